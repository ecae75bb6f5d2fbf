//! listproof
pub mod address;
pub mod reason;
pub mod route;
pub mod smtp;
pub mod verdict;
pub mod world;
