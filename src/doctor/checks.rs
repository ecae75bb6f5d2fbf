//! The checks in order, and what each depends on.
//!
//! Decides: which checks are made. Without an answer of the resolver none is, and each says so.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::check::{Check, CheckGroup, CheckList, CheckStatus, Finding};
use super::{host, sender};
use crate::error::Error;
use crate::route::{Dns, DnsTimeouts, NameServers};

/// Time-out of a query, once repeated.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The sender that is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedSender {
    /// The address that receivers see.
    pub ip: Option<IpAddr>,
    /// The HELO name.
    pub helo: Option<String>,
    /// The envelope sender.
    pub mail_from: Option<String>,
    /// The author's address, if it is not the envelope sender.
    pub from: Option<String>,
    /// The selectors of its DKIM keys.
    pub selectors: Vec<String>,
}

const RESOLVER: &str = "Every verdict rests on its answers.";
const PTR: &str = "Many receivers reject hosts without a name that leads back to their address.";
const HELO: &str = "Receivers look up the name in HELO, and reject one that does not exist.";
const MX: &str = "Receivers check whether the sender can get a reply, and reject senders that cannot.";
const SPF: &str = "Receivers reject hosts that the sender's domain does not allow.";
const DMARC: &str = "Large receivers want a policy from those who send much mail.";
const DKIM: &str = "Large receivers want signed mail.";

/// Makes the checks by the name servers of this machine, or by given ones.
pub async fn check_sender(of: &CheckedSender, servers: &[SocketAddr]) -> Result<CheckList, Error> {
    let timeouts = DnsTimeouts { timeout: TIMEOUT, retries: 1 };
    let dns = if servers.is_empty() {
        NameServers::of_system(timeouts)?
    } else {
        NameServers::at(servers, timeouts)?
    };
    Ok(all(&dns, of).await)
}

/// Makes the checks by the answers of a name service.
pub(super) async fn all(dns: &dyn Dns, of: &CheckedSender) -> CheckList {
    use CheckGroup::{Host, Sender};
    let resolver = host::resolver(dns).await;
    let blocked = match resolver.status {
        CheckStatus::Fail => Some((CheckStatus::NotRun, "Not run: the resolver's answers can't be trusted.")),
        CheckStatus::CouldNotConfirm => {
            Some((CheckStatus::CouldNotConfirm, "Not known: the resolver does not answer."))
        }
        _ => None,
    };
    let mut checks = vec![resolver.of("dns.resolver", Host, RESOLVER)];
    let domain = of.mail_from.as_deref().map(domain_of);
    if let Some((status, sentence)) = blocked {
        let rest = [
            ("dns.ptr", Host, PTR),
            ("smtp.helo", Host, HELO),
            ("from.mx", Sender, MX),
            ("spf", Sender, SPF),
            ("dmarc", Sender, DMARC),
            ("dkim", Sender, DKIM),
        ];
        checks.extend(rest.map(|(id, group, why)| Finding::new(status, sentence).of(id, group, why)));
        return CheckList { checks };
    }
    let helo = of.helo.as_deref();
    let ptr = host::ptr(dns, of.ip, helo).await;
    checks.push(ptr.of("dns.ptr", Host, PTR));
    checks.push(host::helo(dns, helo, of.ip).await.of("smtp.helo", Host, HELO));
    match (&of.mail_from, domain) {
        (Some(mail_from), Some(domain)) => {
            checks.push(sender::mx(dns, domain).await.of("from.mx", Sender, MX));
            let spf = sender::spf(dns, of.ip, helo.unwrap_or_default(), mail_from, domain).await;
            checks.push(spf.of("spf", Sender, SPF));
            checks.push(
                sender::dmarc(dns, of.from.as_deref().map_or(domain, domain_of), domain)
                    .await
                    .of("dmarc", Sender, DMARC),
            );
            checks.extend(dkim(dns, domain, &of.selectors).await);
        }
        _ => checks.extend([("from.mx", MX), ("spf", SPF), ("dmarc", DMARC), ("dkim", DKIM)].map(
            |(id, why)| {
                Finding::new(CheckStatus::CouldNotConfirm, "There is no sender.")
                    .fix("Name it with --mail-from ADDR.")
                    .of(id, Sender, why)
            },
        )),
    }
    CheckList { checks }
}

async fn dkim(dns: &dyn Dns, domain: &str, selectors: &[String]) -> Vec<Check> {
    if selectors.is_empty() {
        let sentence = "DKIM keys cannot be found without their selector.";
        let finding =
            Finding::new(CheckStatus::CouldNotConfirm, sentence).fix("Name it with --selector NAME.");
        return vec![finding.of("dkim", CheckGroup::Sender, DKIM)];
    }
    let mut checks = Vec::new();
    for selector in selectors {
        checks.push(sender::dkim(dns, domain, selector).await.of("dkim", CheckGroup::Sender, DKIM));
    }
    checks
}

fn domain_of(mail_from: &str) -> &str {
    mail_from.rsplit_once('@').map_or(mail_from, |(_, domain)| domain).trim_end_matches('.')
}
