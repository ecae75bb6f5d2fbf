//! listproof
pub mod address;
pub mod explain;
pub mod policy;
pub mod reason;
pub mod route;
pub mod smtp;
pub mod verdict;
