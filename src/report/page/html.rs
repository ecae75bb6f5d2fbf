//! The page as one HTML file: no script, no remote asset, readable on screens, phones and paper, light and dark.
//!
//! Decides: nothing; `report.html` has the order of the sections, `report.css` the colors. All texts are escaped by the
//! template engine.

use askama::Template;

use super::model::ReportPage;

#[derive(Template)]
#[template(path = "report.html", config = "src/report/page/askama.toml")]
struct Html<'a> {
    page: &'a ReportPage,
}

/// The page as HTML.
pub fn html(page: &ReportPage) -> String {
    // Writing into a string can't fail.
    Html { page }.render().unwrap_or_default()
}
