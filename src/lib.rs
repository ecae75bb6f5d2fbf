//! listproof
pub mod address;
pub mod policy;
pub mod probe;
pub mod reason;
pub mod route;
pub mod schedule;
pub mod smtp;
pub mod verdict;
