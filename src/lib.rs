//! listproof
pub mod address;
pub mod list;
pub mod reason;
pub mod route;
pub mod smtp;
pub mod verdict;
