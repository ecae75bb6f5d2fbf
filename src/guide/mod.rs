//! The guide: one chapter for each topic, as pages of this crate and as texts for `listproof guide`.
//!
//! Owns the question "what must a user of the program know?". Each fact stands in one chapter; the README has what a first
//! reader needs. `tests/readme.rs` compares the tables with the code and runs the console blocks. `render` shapes a chapter
//! for a terminal.

mod render;

pub use render::render;

/// A chapter of the guide.
#[derive(Clone, Copy, Debug)]
pub struct Chapter {
    /// The word after `listproof guide`.
    pub topic: &'static str,
    /// The text, in Markdown. The first line is its title.
    pub text: &'static str,
}

impl Chapter {
    /// The title.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ")
    }
}

/// The chapter on a topic.
pub fn chapter(topic: &str) -> Option<&'static Chapter> {
    CHAPTERS.iter().find(|chapter| chapter.topic == topic)
}

macro_rules! chapters {
    ($($module:ident $topic:literal)*) => {
        $(
            #[doc = include_str!(concat!($topic, ".md"))]
            #[allow(clippy::doc_markdown, reason = "a page for readers of the program, not of code")]
            pub mod $module {}
        )*

        /// All chapters, in the order of reading.
        pub const CHAPTERS: &[Chapter] = &[
            $(Chapter { topic: $topic, text: include_str!(concat!($topic, ".md")) },)*
        ];
    };
}

chapters! {
    verdicts "verdicts"
    columns "columns"
    files "files"
    reading "reading"
    sender "sender"
    asking "asking"
    providers "providers"
    state "state"
    nightly "nightly"
    import "import"
    bounces "bounces"
    policy "policy"
    worlds "worlds"
    exit_codes "exit-codes"
    measurements "measurements"
    security "security"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chapter_has_a_title_and_every_file_is_a_chapter() {
        for chapter in CHAPTERS {
            assert!(chapter.text.starts_with("# "), "{}", chapter.topic);
        }
        let files = std::fs::read_dir("src/guide").unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<String> = files
            .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let mut topics: Vec<&str> = CHAPTERS.iter().map(|chapter| chapter.topic).collect();
        files.sort();
        topics.sort_unstable();
        assert_eq!(files, topics);
    }
}
