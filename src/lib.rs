//! listproof
pub mod address;
pub mod cli;
pub mod error;
pub mod explain;
pub mod list;
pub mod policy;
pub mod probe;
pub mod reason;
pub mod report;
pub mod route;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod smtp;
pub mod verdict;
pub mod world;
