//! The encodings that the text of a list may have.
//!
//! Decides: their names. Must not: find out which one a list has; `input` does.

use encoding_rs::{REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How the text of a list is encoded, one of the encodings of the WHATWG standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// UTF-8, and so ASCII.
    pub const UTF_8: Encoding = Encoding(UTF_8);
    /// UTF-16, little-endian.
    pub const UTF_16LE: Encoding = Encoding(UTF_16LE);
    /// UTF-16, big-endian.
    pub const UTF_16BE: Encoding = Encoding(UTF_16BE);
    /// Windows code page 1252, "ANSI" of western Europe.
    pub const WINDOWS_1252: Encoding = Encoding(WINDOWS_1252);

    /// The encoding with this label of the WHATWG standard, as `windows-1251`, `koi8-r` or `gbk`; case does not count.
    pub fn labeled(label: &str) -> Option<Encoding> {
        let label = label.trim();
        let found = encoding_rs::Encoding::for_label(label.as_bytes()).or_else(|| {
            // `cp1251` and `1251` are how many programs name the code pages of Windows.
            let number = label.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '-' || c == '_');
            let name = match number {
                "932" => "shift_jis",
                "936" => "gbk",
                "949" => "euc-kr",
                "950" => "big5",
                "1200" => "utf-16le",
                "65001" => "utf-8",
                _ => return encoding_rs::Encoding::for_label(format!("windows-{number}").as_bytes()),
            };
            encoding_rs::Encoding::for_label(name.as_bytes())
        });
        found.filter(|&found| found != REPLACEMENT).map(Encoding)
    }

    /// The name of the encoding.
    pub fn word(self) -> &'static str {
        match self.0.name() {
            "windows-874" => "Windows-874",
            "windows-1250" => "Windows-1250",
            "windows-1251" => "Windows-1251",
            "windows-1252" => "Windows-1252",
            "windows-1253" => "Windows-1253",
            "windows-1254" => "Windows-1254",
            "windows-1255" => "Windows-1255",
            "windows-1256" => "Windows-1256",
            "windows-1257" => "Windows-1257",
            "windows-1258" => "Windows-1258",
            "gb18030" => "GB18030",
            name => name,
        }
    }

    pub(in crate::list) fn coder(self) -> &'static encoding_rs::Encoding {
        self.0
    }
}

impl From<&'static encoding_rs::Encoding> for Encoding {
    fn from(encoding: &'static encoding_rs::Encoding) -> Encoding {
        Encoding(encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_standard_and_numbers_of_code_pages_name_an_encoding() {
        for (label, expected) in [
            ("UTF-8", Some("UTF-8")),
            (" latin1", Some("Windows-1252")),
            ("cp1251", Some("Windows-1251")),
            ("1250", Some("Windows-1250")),
            ("CP936", Some("GBK")),
            ("KOI8-R", Some("KOI8-R")),
            ("Shift_JIS", Some("Shift_JIS")),
            ("utf-7", None),
            ("iso-2022-kr", None),
            ("", None),
        ] {
            assert_eq!(Encoding::labeled(label).map(Encoding::word), expected, "{label}");
        }
    }
}
