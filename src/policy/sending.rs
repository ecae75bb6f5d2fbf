//! What is known about sending to a list: `data/sending.toml`.
//!
//! Decides: nothing; a report shows it. Fails: with file and line, on a file that is not valid TOML or has an unknown key.

use std::sync::LazyLock;

use serde::Deserialize;

use super::file::PolicyError;

const BUILT_IN: &str = include_str!("data/sending.toml");

/// Limits and habits of sending.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendingAdvice {
    /// How much one account may send.
    #[serde(default)]
    pub limit: Vec<SendingLimit>,
    /// How much a new domain sends a day, one entry for each week.
    #[serde(default)]
    pub warm_up: Vec<WarmUpWeek>,
    /// Complaints.
    pub complaints: Option<ComplaintRates>,
}

/// `[[limit]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendingLimit {
    /// What is limited.
    pub name: String,
    /// Messages a day.
    pub per_day: u64,
}

/// `[[warm_up]]`: messages a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUpWeek {
    /// At least.
    pub low: u64,
    /// At most.
    pub high: u64,
}

/// `[complaints]`: percent.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComplaintRates {
    /// Stay below this.
    pub below: f64,
    /// Never reach this.
    pub never: f64,
}

impl SendingAdvice {
    /// The shipped advice.
    pub fn built_in() -> &'static SendingAdvice {
        static SHIPPED: LazyLock<SendingAdvice> = LazyLock::new(|| match toml::from_str(BUILT_IN) {
            Ok(advice) => advice,
            // A test reads the shipped file, so this can't happen in a build that passed it.
            Err(fault) => unreachable!("the shipped policy is wrong: {fault}"),
        });
        &SHIPPED
    }

    /// This advice with what a user's file has in its place; `file` is its name in errors.
    pub fn with(&self, file: &str, text: &str) -> Result<SendingAdvice, PolicyError> {
        let own: SendingAdvice =
            toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        Ok(SendingAdvice {
            limit: if own.limit.is_empty() { self.limit.clone() } else { own.limit },
            warm_up: if own.warm_up.is_empty() { self.warm_up.clone() } else { own.warm_up },
            complaints: own.complaints.or(self.complaints),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_file_replaces_parts_and_errors_name_the_line() {
        let shipped = SendingAdvice::built_in();
        assert!(!shipped.limit.is_empty() && shipped.warm_up.len() == 3 && shipped.complaints.is_some());
        let own = shipped.with("own.toml", "[[limit]]\nname = \"x\"\nper_day = 9\n").unwrap();
        assert_eq!((own.limit[0].per_day, own.limit.len(), &own.warm_up), (9, 1, &shipped.warm_up));
        let fault = shipped.with("own.toml", "[[limit]]\nname = \"x\"\nday = 9\n").unwrap_err();
        assert!(fault.to_string().starts_with("own.toml:"), "{fault}");
    }
}
