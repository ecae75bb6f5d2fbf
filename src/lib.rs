//! listproof
pub mod address;
pub mod policy;
pub mod reason;
pub mod route;
pub mod smtp;
pub mod verdict;
