//! What a generated list is made of, as data: `mixes/b2b.toml` explains every key.
//!
//! Decides: nothing. Fails: with file and line, when a mix is wrong.

use serde::Deserialize;

use crate::policy::{PolicyError, Providers};

/// The mixes that come with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShippedMix {
    /// Business contacts.
    B2b,
    /// Consumers.
    B2c,
}

impl ShippedMix {
    /// All of them.
    pub const ALL: [ShippedMix; 2] = [ShippedMix::B2b, ShippedMix::B2c];

    /// The mix.
    pub fn mix(self) -> Result<Mix, PolicyError> {
        match self {
            ShippedMix::B2b => Mix::parse("b2b.toml", include_str!("mixes/b2b.toml")),
            ShippedMix::B2c => Mix::parse("b2c.toml", include_str!("mixes/b2c.toml")),
        }
    }

    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            ShippedMix::B2b => "b2b",
            ShippedMix::B2c => "b2c",
        }
    }
}

/// What a generated list is made of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    /// Share of mailboxes that don't exist.
    pub unknown: f64,
    /// Share of rows that repeat another.
    pub duplicates: f64,
    /// Share of rows that are no address.
    pub invalid: f64,
    /// Share of domains without mail.
    pub dead: f64,
    /// Domains looked up in a second.
    pub dns_per_second: f64,
    /// How long a greylisting host puts a recipient off, in seconds.
    pub wait_s: u64,
    /// How rows fall on domains.
    pub domains: PowerLaw,
    /// Single domains with many rows.
    pub big: Vec<LargeProvider>,
    /// Operators of the table.
    pub operator: Vec<SharedProvider>,
    /// Hosting firms that the table does not know.
    pub hosters: Hosters,
    /// Hosts that serve one domain.
    pub own: SelfHosted,
}

/// Rank x has weight x^-exponent.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerLaw {
    /// Domains there are.
    pub universe: f64,
    /// Below 1.
    pub exponent: f64,
    /// The first rank.
    pub head: f64,
}

impl PowerLaw {
    /// The rank at a place between 0 and 1.
    pub fn rank(&self, place: f64) -> f64 {
        let power = 1.0 - self.exponent;
        let (low, high) = (self.head.powf(power), self.universe.powf(power));
        (low + place * (high - low)).powf(1.0 / power)
    }
}

/// A domain with many rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeProvider {
    /// Whose it is.
    pub operator: String,
    /// Share of all rows.
    pub share: f64,
}

/// An operator of the table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedProvider {
    /// Its id in the table.
    pub id: String,
    /// Share of the domains that are not big.
    pub share: f64,
    /// Its addresses.
    pub doors: u32,
    /// Share of its domains that accept any name.
    pub catch_all: f64,
    /// A round trip.
    pub latency_ms: u32,
    /// A server's time per recipient.
    pub think_ms: u32,
    /// It refuses us at the greeting.
    #[serde(default)]
    pub refuses: bool,
}

/// Hosting firms that the table does not know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosters {
    /// How many.
    pub count: u32,
    /// Share of the domains that are not big.
    pub share: f64,
    /// Share of their domains that accept any name.
    pub catch_all: f64,
    /// A round trip.
    pub latency_ms: u32,
    /// A server's time per recipient.
    pub think_ms: u32,
}

/// Hosts that serve one domain.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfHosted {
    /// Share of the domains that are not big.
    pub share: f64,
    /// Share of them that accept any name.
    pub catch_all: f64,
    /// Share of them that greylist.
    pub greylists: f64,
    /// Share of them that refuse us at the greeting.
    pub refuses: f64,
    /// A round trip.
    pub latency_ms: u32,
    /// A server's time per recipient.
    pub think_ms: u32,
}

impl Mix {
    /// Reads a mix; `file` is for the messages.
    pub fn parse(file: &str, text: &str) -> Result<Mix, PolicyError> {
        let mix: Mix = toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        let wrong = |what: String, hint: &str| {
            Err(PolicyError { file: file.to_owned(), line: 1, what, hint: hint.to_owned() })
        };
        let listed = |id: &str| mix.operator.iter().any(|operator| operator.id == id);
        if let Some(big) = mix.big.iter().find(|big| !listed(&big.operator)) {
            return wrong(
                format!("`{}` has a big domain but no entry", big.operator),
                "give it an `operator` entry",
            );
        }
        let known = Providers::built_in();
        if let Some(operator) = mix.operator.iter().find(|operator| known.by_id(&operator.id).is_none()) {
            return wrong(format!("nobody knows `{}`", operator.id), "take ids from `providers.toml`");
        }
        let shares: f64 = mix.operator.iter().map(|operator| operator.share).sum();
        let shares = shares + mix.hosters.share + mix.own.share;
        if (shares - 1.0).abs() > 1e-6 {
            return wrong(
                format!("the shares of domains add up to {shares}"),
                "let `operator`, `hosters` and `own` add up to 1",
            );
        }
        Ok(mix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_mixes_are_sound() {
        for shipped in [ShippedMix::B2b, ShippedMix::B2c] {
            shipped.mix().unwrap();
        }
    }

    #[test]
    fn a_power_law_runs_from_its_head_to_its_end() {
        let law = PowerLaw { universe: 1e6, exponent: 0.8, head: 10.0 };
        assert!((law.rank(0.0) - 10.0).abs() < 1e-6);
        assert!((law.rank(1.0) - 1e6).abs() < 1.0);
    }
}
