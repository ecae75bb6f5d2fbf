//! What a simulation starts with, as data: the mix of a generated list (`mixes/b2b.toml` explains every key), and the
//! setup of the run.
//!
//! Decides: nothing. Fails: with file and line, when a mix is wrong.

use std::time::Duration;

use serde::Deserialize;

use crate::policy::{Pace, PolicyError, Providers};

/// How a list is run.
#[derive(Clone, Copy, Debug)]
pub struct SimulationSetup {
    /// The number of source addresses.
    pub egresses: usize,
    /// How fast the run may probe.
    pub pace: Pace,
    /// How long deferred recipients are retried.
    pub max_wait: Duration,
    /// Rejections that stand alone are confirmed by `postmaster`.
    pub confirm: bool,
    /// The most connections that are open at the same time.
    pub sockets: usize,
    /// The seed of the random recipients.
    pub seed: u64,
}

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

    /// The mix itself.
    pub fn mix(self) -> Result<Mix, PolicyError> {
        match self {
            ShippedMix::B2b => Mix::parse("b2b.toml", include_str!("mixes/b2b.toml")),
            ShippedMix::B2c => Mix::parse("b2c.toml", include_str!("mixes/b2c.toml")),
        }
    }

    /// The name of the mix on the command line.
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
    /// The share of recipients that are unknown.
    pub unknown: f64,
    /// The share of rows that repeat another one.
    pub duplicates: f64,
    /// The share of rows without a valid address.
    pub invalid: f64,
    /// The share of domains without mail.
    pub dead: f64,
    /// The domains that are looked up in a second.
    pub dns_per_second: f64,
    /// How long a greylisting host defers a recipient, in seconds.
    pub wait_s: u64,
    /// How rows are distributed over domains.
    pub domains: PowerLaw,
    /// Single domains with many rows.
    pub big: Vec<LargeDomain>,
    /// Providers of `providers.toml`.
    #[serde(rename = "operator")]
    pub providers: Vec<SharedProvider>,
    /// Hosting firms that are not in `providers.toml`.
    pub hosters: Hosters,
    /// Domains with an MX host of their own.
    pub own: SelfHosted,
}

/// A power law: rank x has weight x^-exponent.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerLaw {
    /// The last rank: the number of domains from which a list is drawn.
    pub count: f64,
    /// The exponent, below 1.
    pub exponent: f64,
    /// The first rank.
    pub head: f64,
}

impl PowerLaw {
    /// The rank at a quantile between 0 and 1.
    pub fn rank(&self, quantile: f64) -> f64 {
        let power = 1.0 - self.exponent;
        let (low, high) = (self.head.powf(power), self.count.powf(power));
        (low + quantile * (high - low)).powf(1.0 / power)
    }
}

/// A domain with many rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LargeDomain {
    /// The id of its provider.
    #[serde(rename = "operator")]
    pub provider: String,
    /// Its share of all rows.
    pub share: f64,
}

/// A provider of `providers.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedProvider {
    /// Its id.
    pub id: String,
    /// Its share of the domains that are not large.
    pub share: f64,
    /// The number of its endpoints.
    #[serde(rename = "doors")]
    pub endpoints: u32,
    /// The share of its domains that are catch-alls.
    pub catch_all: f64,
    /// The time of a round trip.
    pub latency_ms: u32,
    /// The server's time per recipient.
    pub think_ms: u32,
    /// The provider rejects us at the greeting.
    #[serde(default, rename = "refuses")]
    pub rejects_us: bool,
}

/// Hosting firms that are not in `providers.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosters {
    /// Their number.
    pub count: u32,
    /// Their share of the domains that are not large.
    pub share: f64,
    /// The share of their domains that are catch-alls.
    pub catch_all: f64,
    /// The time of a round trip.
    pub latency_ms: u32,
    /// The server's time per recipient.
    pub think_ms: u32,
}

/// Domains with an MX host of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfHosted {
    /// Their share of the domains that are not large.
    pub share: f64,
    /// The share of them that are catch-alls.
    pub catch_all: f64,
    /// The share of their hosts that greylist.
    pub greylists: f64,
    /// The share of their hosts that reject us at the greeting.
    #[serde(rename = "refuses")]
    pub rejects_us: f64,
    /// The time of a round trip.
    pub latency_ms: u32,
    /// The server's time per recipient.
    pub think_ms: u32,
    /// The share of these hosts that are on a machine (IP address) with others.
    #[serde(default)]
    pub shared: f64,
    /// The number of such machines.
    #[serde(default)]
    pub machines: u32,
}

impl Mix {
    /// Reads a mix. Errors name `file`.
    pub fn parse(file: &str, text: &str) -> Result<Mix, PolicyError> {
        let mix: Mix = toml::from_str(text).map_err(|fault| PolicyError::toml(file, text, &fault))?;
        let wrong = |what: String, hint: &str| {
            Err(PolicyError { file: file.to_owned(), line: 1, what, hint: hint.to_owned() })
        };
        let has_entry = |id: &str| mix.providers.iter().any(|provider| provider.id == id);
        if let Some(big) = mix.big.iter().find(|big| !has_entry(&big.provider)) {
            return wrong(
                format!("`{}` has a big domain but no entry", big.provider),
                "add an `operator` entry for it",
            );
        }
        let known = Providers::built_in();
        if let Some(provider) = mix.providers.iter().find(|provider| known.by_id(&provider.id).is_none()) {
            return wrong(
                format!("`{}` is not in `providers.toml`", provider.id),
                "use ids of `providers.toml`",
            );
        }
        let shares: f64 = mix.providers.iter().map(|provider| provider.share).sum();
        let shares = shares + mix.hosters.share + mix.own.share;
        if (shares - 1.0).abs() > 1e-6 {
            return wrong(
                format!("the shares of domains add up to {shares}"),
                "make `operator`, `hosters` and `own` add up to 1",
            );
        }
        Ok(mix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_mixes_are_valid() {
        for shipped in ShippedMix::ALL {
            shipped.mix().unwrap();
        }
    }

    #[test]
    fn a_power_law_runs_from_its_head_to_its_end() {
        let law = PowerLaw { count: 1e6, exponent: 0.8, head: 10.0 };
        assert!((law.rank(0.0) - 10.0).abs() < 1e-6);
        assert!((law.rank(1.0) - 1e6).abs() < 1.0);
    }
}
