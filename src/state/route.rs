//! A route as it stands in the table: a word, and a line for each exchanger.

use std::fmt::Write;

use crate::address::Domain;
use crate::route::{DnsFault, MxHost, NoMailReason, Route};

/// The word and the detail of a route.
pub(super) fn written(route: &Route) -> (&'static str, String) {
    match route {
        Route::Hosts(mx_hosts) => {
            let mut lines = String::new();
            for MxHost { host, preference, addresses } in mx_hosts {
                // Writing into a string can't fail.
                let _ = write!(lines, "{preference} {host}");
                for address in addresses {
                    let _ = write!(lines, " {address}");
                }
                lines.push('\n');
            }
            ("hosts", lines)
        }
        Route::NullMx => ("null_mx", String::new()),
        Route::Absent(NoMailReason::NoSuchDomain) => ("no_such_domain", String::new()),
        Route::Absent(NoMailReason::NoMailHost) => ("no_mail_host", String::new()),
        Route::Unroutable(address) => ("unroutable", address.to_string()),
        Route::Failed(DnsFault::Other(words)) => ("failed", words.clone()),
        Route::Failed(fault) => ("failed", fault.word().to_owned()),
    }
}

/// Reads a route back; `None` for what no version ever wrote.
pub(super) fn read(kind: &str, detail: &str) -> Option<Route> {
    Some(match kind {
        "hosts" => Route::Hosts(detail.lines().map(mx_host).collect::<Option<_>>()?),
        "null_mx" => Route::NullMx,
        "no_such_domain" => Route::Absent(NoMailReason::NoSuchDomain),
        "no_mail_host" => Route::Absent(NoMailReason::NoMailHost),
        "unroutable" => Route::Unroutable(detail.parse().ok()?),
        "failed" => Route::Failed(match detail {
            "servfail" => DnsFault::ServFail,
            "refused" => DnsFault::Refused,
            "timeout" => DnsFault::Timeout,
            "rewritten" => DnsFault::Rewritten,
            "private_address" => DnsFault::PrivateAddress,
            "internal" => DnsFault::Internal,
            words => DnsFault::Other(words.to_owned()),
        }),
        _ => return None,
    })
}

fn mx_host(line: &str) -> Option<MxHost> {
    let mut words = line.split(' ');
    Some(MxHost {
        preference: words.next()?.parse().ok()?,
        host: Domain::from_dns(words.next()?).ok()?,
        addresses: words.map(|word| word.parse().ok()).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_read_as_it_was_written() {
        let host = |host: &str, preference, addresses: &[&str]| MxHost {
            host: Domain::from_dns(host).unwrap(),
            preference,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        };
        for route in [
            Route::Hosts(vec![
                host("mx1.acme.example", 10, &["192.0.2.1", "2001:db8::1"]),
                host("_mx.acme.example", 20, &["192.0.2.2"]),
            ]),
            Route::NullMx,
            Route::Absent(NoMailReason::NoSuchDomain),
            Route::Absent(NoMailReason::NoMailHost),
            Route::Unroutable("127.0.0.1".parse().unwrap()),
            Route::Failed(DnsFault::ServFail),
            Route::Failed(DnsFault::Refused),
            Route::Failed(DnsFault::Timeout),
            Route::Failed(DnsFault::Rewritten),
            Route::Failed(DnsFault::PrivateAddress),
            Route::Failed(DnsFault::Internal),
            Route::Failed(DnsFault::Other("the server said no".to_owned())),
        ] {
            let (kind, detail) = written(&route);
            assert_eq!(read(kind, &detail), Some(route));
        }
        assert_eq!(read("elsewhere", ""), None);
    }
}
