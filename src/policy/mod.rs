//! Policy is data: what is known about lists of words, operators and their replies, compiled in and merged with the
//! user's own files. Code knows mechanisms only.

pub mod lists;
pub mod table;
