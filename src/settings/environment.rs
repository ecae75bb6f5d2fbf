//! The environment as a layer of settings: `LISTPROOF_HELO`, `LISTPROOF_DNS`, and so on.
//!
//! Decides: the names of the variables, and that an empty one is not set. A list has commas between its values.
//! Fails: naming the variable, and never showing a value that may hold a password.

use std::ffi::OsString;
use std::fmt::Display;
use std::str::FromStr;

use super::layer::SettingsLayer;
use super::origin::{Origin, Origins};
use crate::duration;
use crate::error::Error;
use crate::policy::Pace;

impl SettingsLayer {
    /// The names of the variables that [`SettingsLayer::from_environment`] reads.
    pub const VARIABLES: [&'static str; 16] = [
        "LISTPROOF_HELO",
        "LISTPROOF_MAIL_FROM",
        "LISTPROOF_DNS",
        "LISTPROOF_SMTP_PORT",
        "LISTPROOF_SOURCE_IP",
        "LISTPROOF_PROXY",
        "LISTPROOF_ALLOW_MX_NET",
        "LISTPROOF_PACE",
        "LISTPROOF_MAX_WAIT",
        "LISTPROOF_MAX_DURATION",
        "LISTPROOF_DEADLINE",
        "LISTPROOF_STATE",
        "LISTPROOF_MAX_AGE",
        "LISTPROOF_POLICY",
        "LISTPROOF_SPAMHAUS_KEY",
        "LISTPROOF_CONFIG",
    ];

    /// What the environment sets. `variable` gives the value of a variable, as [`std::env::var_os`] does.
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Result<SettingsLayer, Error> {
        let environment = Environment { variable };
        Ok(SettingsLayer {
            helo: environment.list("LISTPROOF_HELO", text)?,
            mail_from: environment.list("LISTPROOF_MAIL_FROM", text)?,
            dns: environment.list("LISTPROOF_DNS", text)?,
            smtp_port: environment.one("LISTPROOF_SMTP_PORT", parse)?,
            source_ip: environment.list("LISTPROOF_SOURCE_IP", parse)?,
            proxy: environment.list("LISTPROOF_PROXY", |text| Ok(text.to_owned().into()))?,
            allow_mx_net: environment.list("LISTPROOF_ALLOW_MX_NET", parse)?,
            pace: environment.one("LISTPROOF_PACE", |text| {
                Pace::from_word(text).ok_or_else(|| "it is none of gentle, normal, fast".to_owned())
            })?,
            max_wait: environment.one("LISTPROOF_MAX_WAIT", duration::parse)?,
            max_duration: environment.one("LISTPROOF_MAX_DURATION", duration::parse)?,
            deadline: environment.one("LISTPROOF_DEADLINE", parse)?,
            state: environment.value("LISTPROOF_STATE").map(Into::into),
            max_age: environment.one("LISTPROOF_MAX_AGE", duration::parse)?,
            policy: environment.value("LISTPROOF_POLICY").map(Into::into),
            spamhaus_key: environment.one("LISTPROOF_SPAMHAUS_KEY", |text| text.to_owned().try_into())?,
            origins: Origins::all(&Origin::Variable),
            ..SettingsLayer::default()
        })
    }
}

struct Environment<V> {
    variable: V,
}

impl<V: Fn(&str) -> Option<OsString>> Environment<V> {
    fn value(&self, name: &str) -> Option<OsString> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn list<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Error> {
        let Some(value) = self.value(name) else {
            return Ok(Vec::new());
        };
        let text = value.to_str().ok_or_else(|| fault(name, "it is not UTF-8"))?;
        text.split(',').map(|part| read(part).map_err(|what| fault(name, &what))).collect()
    }

    fn one<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Error> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let text = value.to_str().ok_or_else(|| fault(name, "it is not UTF-8"))?;
        read(text).map(Some).map_err(|what| fault(name, &what))
    }
}

fn fault(name: &str, what: &str) -> Error {
    Error::Usage {
        message: format!("the environment variable {name} is wrong: {what}"),
        hint: format!("correct it, or `unset {name}`; flags win over the environment"),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "one of several readers")]
fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|fault: T::Err| format!("`{text}`: {fault}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn layer(set: &[(&str, &str)]) -> Result<SettingsLayer, Error> {
        SettingsLayer::from_environment(|name| {
            set.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn each_variable_sets_its_value_and_an_empty_one_sets_nothing() {
        let set = [
            ("LISTPROOF_HELO", "one.example.org,two.example.org"),
            ("LISTPROOF_SOURCE_IP", "192.0.2.1,2001:db8::1"),
            ("LISTPROOF_PACE", "gentle"),
            ("LISTPROOF_MAX_WAIT", "5m"),
            ("LISTPROOF_STATE", "s.db"),
            ("LISTPROOF_DNS", ""),
        ];
        let read = layer(&set).unwrap();
        assert_eq!((read.helo.len(), read.source_ip.len()), (2, 2));
        assert_eq!((read.pace, read.max_wait), (Some(Pace::Gentle), Some(Duration::from_secs(300))));
        assert_eq!(read.state, Some("s.db".into()));
        assert!(read.dns.is_empty());
        let origins = Origins::all(&Origin::Variable);
        assert_eq!(layer(&[]).unwrap(), SettingsLayer { origins, ..SettingsLayer::default() });
    }

    #[test]
    fn a_wrong_value_is_blamed_on_its_variable() {
        for (name, value) in [
            ("LISTPROOF_SMTP_PORT", "0x19"),
            ("LISTPROOF_PACE", "swift"),
            ("LISTPROOF_DEADLINE", "25:99"),
            ("LISTPROOF_ALLOW_MX_NET", "10.0.0.0/99"),
            ("LISTPROOF_SOURCE_IP", "192.0.2.1,me"),
        ] {
            let fault = layer(&[(name, value)]).unwrap_err();
            assert!(fault.to_string().contains(name) && fault.exit().code() == 2, "{fault}");
        }
    }
}
