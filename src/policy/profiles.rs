//! What products take that a list is handed over to: `data/profiles.toml`.
//!
//! Decides: which names, values and causes a profile may have. Must not: write a row; `list::output` does. Fails: with file
//! and line, on a file that is not valid TOML or has an unknown key or value.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::file::PolicyError;

const BUILT_IN: &str = include_str!("data/profiles.toml");

/// All profiles.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles {
    profile: Vec<Profile>,
}

/// What one product takes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The word for `--profile`.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// The month in which the sources were read.
    pub as_of: String,
    /// Where the facts are from.
    pub sources: Vec<String>,
    /// What no source of the vendor confirms.
    #[serde(default)]
    pub unconfirmed: Vec<String>,
    /// What to do in the product, with placeholders.
    pub steps: Vec<String>,
    /// What else to know, with placeholders.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The file of deliverable rows; `None`: as without a profile.
    pub contacts: Option<ContactFile>,
    /// The file of addresses that are not to be sent to.
    pub suppression: SuppressionFile,
}

/// The file of deliverable rows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactFile {
    /// The header of the address column.
    pub email: String,
    /// Headers in small letters and digits only, and what they become.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// All headers in `A-Z`, `0-9` and `_`.
    #[serde(default)]
    pub upper: bool,
    /// Added columns.
    #[serde(default)]
    pub add: Vec<ProfileColumn>,
    /// Addresses that the product does not take.
    #[serde(default)]
    pub leave_out: Vec<SkipCause>,
    /// Longer cells are cut, in bytes.
    pub max_cell_bytes: Option<usize>,
    /// With the added ones.
    pub max_columns: Option<usize>,
    /// Line ends and splits.
    #[serde(default)]
    pub form: FileForm,
}

/// The file of addresses that are not to be sent to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuppressionFile {
    /// All columns.
    pub columns: Vec<ProfileColumn>,
    /// The first line names the columns.
    #[serde(default = "yes")]
    pub has_header: bool,
    /// Only addresses with these reasons; `None`: with any.
    pub reasons: Option<Vec<String>>,
    /// Addresses that the product does not take.
    #[serde(default)]
    pub leave_out: Vec<SkipCause>,
    /// Line ends and splits.
    #[serde(default)]
    pub form: FileForm,
}

fn yes() -> bool {
    true
}

/// A column of a file for a product.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileColumn {
    /// Its name.
    pub header: String,
    /// The value of the row that its cells hold.
    pub value: Option<ProfileValue>,
    /// Without a value: the text of each cell.
    #[serde(default)]
    pub text: String,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileValue {
    /// The address.
    Email,
    /// The verdict.
    Verdict,
    /// The reason.
    Reason,
    /// When the evidence was gathered, RFC 3339.
    CheckedAt,
    /// The same as a date of mail (RFC 5322 3.3).
    Date,
    /// The code of the reply.
    SmtpCode,
    /// The text of the reply.
    SmtpText,
}

/// Line ends and splits of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileForm {
    /// A byte order mark comes first.
    #[serde(default)]
    pub bom: bool,
    /// Line ends are CR LF.
    #[serde(default)]
    pub crlf: bool,
    /// Most rows of a file, without the header.
    pub max_rows: Option<u64>,
    /// Most bytes of a file.
    pub max_bytes: Option<u64>,
}

/// Why a row is not handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipCause {
    /// Letters beyond ASCII before the @.
    NonAsciiLocalPart,
    /// A role account.
    RoleAccount,
    /// The address is longer than a cell may be.
    AddressTooLong,
    /// The product takes addresses with other reasons only.
    ReasonNotTaken,
}

impl SkipCause {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            SkipCause::NonAsciiLocalPart => "non_ascii_local_part",
            SkipCause::RoleAccount => "role_account",
            SkipCause::AddressTooLong => "address_too_long",
            SkipCause::ReasonNotTaken => "reason_not_taken",
        }
    }

    /// The same for people.
    pub fn sentence(self) -> &'static str {
        match self {
            SkipCause::NonAsciiLocalPart => "letters beyond ASCII before the @ are not taken",
            SkipCause::RoleAccount => "role accounts are not taken",
            SkipCause::AddressTooLong => "the address is longer than a cell may be",
            SkipCause::ReasonNotTaken => {
                "addresses with this reason do not belong into this suppression list"
            }
        }
    }
}

impl Profiles {
    /// The shipped profiles.
    pub fn built_in() -> &'static Profiles {
        static SHIPPED: LazyLock<Profiles> = LazyLock::new(|| match toml::from_str(BUILT_IN) {
            Ok(profiles) => profiles,
            // A test reads the shipped file, so this can't happen in a build that passed it.
            Err(fault) => unreachable!("the shipped policy is wrong: {fault}"),
        });
        &SHIPPED
    }

    /// These profiles with those of a user's file; `file` is its name in errors. A known id replaces.
    pub fn with(&self, file: &str, text: &str) -> Result<Profiles, PolicyError> {
        let own: Profiles = toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        let mut profile = self.profile.clone();
        profile.retain(|shipped| own.profile.iter().all(|own| own.id != shipped.id));
        profile.extend(own.profile);
        Ok(Profiles { profile })
    }

    /// The profile with this id.
    pub fn named(&self, id: &str) -> Option<&Profile> {
        self.profile.iter().find(|profile| profile.id == id)
    }

    /// All ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.profile.iter().map(|profile| profile.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{Cause, Finding};

    #[test]
    fn the_shipped_profiles_are_complete() {
        let profiles = Profiles::built_in();
        let wanted = "hubspot salesforce mailchimp klaviyo brevo activecampaign zoho pipedrive dynamics customerio \
                      braze iterable marketo generic ses mailgun cloudflare sendgrid";
        for id in wanted.split_whitespace() {
            assert!(profiles.named(id).is_some(), "{id}");
        }
        for profile in &profiles.profile {
            assert!(!profile.steps.is_empty() && profile.as_of.len() == 7, "{}", profile.id);
            assert!(profile.id == "generic" || !profile.sources.is_empty(), "{}", profile.id);
            let reasons = profile.suppression.reasons.iter().flatten();
            for reason in reasons {
                let mut words =
                    Cause::ALL.iter().map(|c| c.word()).chain(Finding::ALL.iter().map(|f| f.word()));
                assert!(words.any(|word| word == reason), "{reason}");
            }
        }
    }

    #[test]
    fn a_users_file_adds_and_replaces_and_errors_name_the_line() {
        let own = "[[profile]]\nid = \"ses\"\nname = \"x\"\nas_of = \"2026-12\"\nsources = []\nsteps = []\n\
                   [profile.suppression]\ncolumns = [{ header = \"a\", value = \"email\" }]\n";
        let profiles = Profiles::built_in().with("own.toml", own).unwrap();
        assert_eq!(profiles.named("ses").unwrap().name, "x");
        assert_eq!(profiles.ids().count(), Profiles::built_in().ids().count());
        let fault = Profiles::built_in().with("own.toml", &own.replace("\"email\"", "\"mail\"")).unwrap_err();
        assert!(fault.to_string().starts_with("own.toml:8"), "{fault}");
    }
}
