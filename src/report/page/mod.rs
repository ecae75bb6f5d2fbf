//! The report on a list as one page, for a person who was not there: HTML, and Markdown with the same numbers.
//!
//! `model` has the words and numbers of the page, from a [`Summary`](super::Summary); `charts` the places and lengths of what is
//! drawn; `html` and `markdown` write it. The HTML has no script and loads nothing; all texts are escaped by the template
//! engine. Must not: hold an address, unless the user wants examples.

mod charts;
mod html;
mod markdown;
mod model;
mod sections;

pub use html::html;
pub use markdown::markdown;
pub use model::{PageOptions, ReportPage};
