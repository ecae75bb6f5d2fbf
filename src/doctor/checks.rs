//! The checks in order, and what each depends on.
//!
//! Decides: which checks are made, for which addresses, and what is not run because something else failed. Without an answer of
//! the resolver none is made, and each says so. Checks wait for each other only where one needs the result of another.

use std::net::IpAddr;
use std::time::SystemTime;

use super::catalog::{
    CLOCK, DKIM, DMARC, EGRESS, FILES, HELO, LISTED, LISTED_DOMAIN, MAILBOX, MTA_STS, MX, PATH, PORT,
    PORT_IPV6, POSTMASTER, PTR, RESOLVER, SPF, TLS_RPT, of,
};
use super::check::{Check, CheckGroup, CheckList, CheckStatus, Finding};
use super::egress::{CheckedEgress, OwnedVisitor};
use super::listed::{Listed, blocklist};
use super::mailbox::{OwnMailboxes, own_mailboxes};
use super::port25::{self, Reachability, TriedPort};
use super::together::{join_all, within};
use super::visit::VisitedHost;
use super::{host, machine, sender, transport};
use crate::address::{Address, Domain};
use crate::policy::Policy;
use crate::route::{AllowedNets, Dns};
use crate::smtp::Connect;

/// What the user wants to know beside the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// The author's address, if it is not the envelope sender.
    pub from: Option<String>,
    /// The selectors of its DKIM keys.
    pub selectors: Vec<String>,
    /// The one check that is wanted.
    pub only: Option<String>,
    /// Also ask the blocklists whose terms exclude some senders.
    pub all_blocklists: bool,
}

/// What the checks work with.
pub(crate) struct SenderChecks<'a> {
    pub(crate) dns: &'a dyn Dns,
    /// `None`: no mail server is contacted.
    pub(crate) connect: Option<&'a dyn Connect>,
    pub(crate) port: u16,
    pub(crate) allowed: &'a AllowedNets,
    pub(crate) policy: Policy,
    pub(crate) now: SystemTime,
    /// The key of blocklists that have keys.
    pub(crate) key: Option<&'a str>,
    pub(crate) options: &'a CheckOptions,
    /// MX hosts of the list to try port 25 at; where there are none, those of the sender's domain are tried.
    pub(crate) hosts: Vec<VisitedHost>,
}

impl SenderChecks<'_> {
    /// Makes all checks.
    pub(crate) async fn run(self, egresses: &[CheckedEgress]) -> CheckList {
        let times = self.policy.sender();
        let resolver = within(times.resolver_time(), host::resolver(self.dns)).await;
        let blocked = match resolver.status {
            CheckStatus::Fail => {
                Some((CheckStatus::NotRun, "Not run: the resolver's answers can't be trusted."))
            }
            CheckStatus::CouldNotConfirm => {
                Some((CheckStatus::CouldNotConfirm, "Not known: the resolver does not answer."))
            }
            _ => None,
        };
        let mut checks = vec![of(resolver, RESOLVER)];
        if let Some((status, sentence)) = blocked {
            let rest =
                [PORT, EGRESS, PATH, PTR, HELO, MX, MAILBOX, POSTMASTER, SPF, DMARC, DKIM, MTA_STS, TLS_RPT];
            checks.extend(rest.map(|named| of(Finding::new(status, sentence), named)));
            let lists = self.policy.blocklists().iter().filter(|list| self.may_ask(list));
            checks.extend(lists.map(|list| {
                Finding::new(status, sentence).of(format!("blocklist.{}", list.id), LISTED.0, LISTED.1)
            }));
            return CheckList { checks };
        }
        for egress in egresses {
            checks.extend(self.of_egress(egress).await);
        }
        let mut senders: Vec<&str> =
            egresses.iter().filter_map(|egress| egress.mail_from.as_deref()).collect();
        senders.sort_unstable();
        senders.dedup();
        if senders.is_empty() {
            checks.extend([MX, DMARC, DKIM].map(|named| of(without_sender(), named)));
        }
        for mail_from in senders {
            checks.extend(self.of_domain(domain_of(mail_from)).await);
        }
        checks.push(of(machine::open_files(times), FILES));
        CheckList { checks }
    }

    fn may_ask(&self, list: &crate::policy::Blocklist) -> bool {
        list.may_be_asked(self.key, self.options.all_blocklists)
    }

    /// The checks of what receivers see of one egress.
    async fn of_egress(&self, egress: &CheckedEgress) -> Vec<Check> {
        let times = self.policy.sender();
        let domain = egress.mail_from.as_deref().map(domain_of);
        let own_hosts = match domain {
            Some(domain) if self.connect.is_some() => {
                let hosts = port25::hosts_of(self.dns, domain, self.allowed);
                tokio::time::timeout(times.lookup_time(), hosts).await.unwrap_or_default().0
            }
            _ => Vec::new(),
        };
        let mut checks = Vec::new();
        let (v4, v6) = self.visits(egress, &own_hosts).await.unwrap_or_else(|finding| {
            checks.extend([PORT, PATH].map(|named| of(finding.clone(), named)));
            (Reachability::none(), Reachability::none())
        });
        let visits: Vec<_> = v4.visits.iter().chain(&v6.visits).cloned().collect();
        if checks.is_empty() {
            let tried = TriedPort {
                thresholds: times.port_25,
                port: self.port,
                own_domain: domain.filter(|_| self.hosts.is_empty()),
            };
            checks.push(of(port25::port_25(&v4, tried, "IPv4"), PORT));
            let has_v4 = !v4.visits.is_empty();
            let mut ipv6 = port25::port_25(&v6, tried, "IPv6");
            if v6.visits.is_empty() {
                ipv6.status = CheckStatus::NotRun;
            } else if has_v4 && ipv6.status == CheckStatus::Fail {
                // Connections leave by IPv4 wherever they can.
                ipv6.status = CheckStatus::Warn;
            }
            if v4.visits.is_empty() && v6.is_open() {
                checks[0].status = CheckStatus::Warn;
            }
            checks.push(of(ipv6, PORT_IPV6));
            checks.push(of(port25::path(&visits, self.policy), PATH));
        }
        let addresses = egress.addresses(self.connect, &v4, &v6);
        for (n, known) in addresses.iter().enumerate() {
            let own = known.own;
            let mut found = vec![of(port25::egress(own, known.seen, &visits), EGRESS)];
            found.extend(self.of_address(egress, known.outer, domain).await);
            if n > 0 {
                // Only mail servers without the other family see the second address.
                for check in found.iter_mut().filter(|check| check.status == CheckStatus::Fail) {
                    check.status = CheckStatus::Warn;
                }
            }
            checks.extend(found);
        }
        if self.connect.is_some() {
            checks.push(of(machine::clock(&visits, self.now, times), CLOCK));
        }
        checks.extend(self.of_mailboxes(egress, own_hosts, v4.is_open() || v6.is_open()).await);
        checks
    }

    /// Visits the hosts that port 25 is tried at, by both families; or why none is visited.
    async fn visits(
        &self,
        egress: &CheckedEgress,
        own_hosts: &[VisitedHost],
    ) -> Result<(Reachability, Reachability), Finding> {
        let Some(visitor) = self.visitor(egress) else {
            return Err(self.why_not_visited(egress));
        };
        let hosts = if self.hosts.is_empty() { own_hosts } else { &self.hosts };
        let hosts = port25::chosen(
            hosts.to_vec(),
            self.policy.sender().port_25.hosts,
            self.policy,
            self.hosts.is_empty(),
        );
        Ok(tokio::join!(
            port25::visit_all(visitor.of(), &hosts, true),
            port25::visit_all(visitor.of(), &hosts, false)
        ))
    }

    /// Why no mail server is visited from an egress.
    fn why_not_visited(&self, egress: &CheckedEgress) -> Finding {
        if self.connect.is_none() {
            return Finding::new(
                CheckStatus::NotRun,
                "Not run: no mail server is contacted with these settings.",
            );
        }
        match egress.address.filter(|_| !egress.is_own) {
            None => Finding::new(
                CheckStatus::CouldNotConfirm,
                "Not known: without a HELO name no mail server is contacted.",
            )
            .fix("Name this host with --helo NAME."),
            Some(address) => Finding::new(
                CheckStatus::CouldNotConfirm,
                format!(
                    "Not known: {address} is no address of this machine, so nothing can be tried from it."
                ),
            )
            .fix("Run the same command on that machine."),
        }
    }

    /// How this egress visits; `None` where it can't.
    pub(super) fn visitor<'b>(&'b self, egress: &'b CheckedEgress) -> Option<OwnedVisitor<'b>> {
        egress.visitor(self.connect?, self.port, self.policy.sender())
    }

    /// The checks of one address, and whether SPF allows it.
    async fn of_address(
        &self,
        egress: &CheckedEgress,
        ip: Option<IpAddr>,
        domain: Option<&str>,
    ) -> Vec<Check> {
        let times = self.policy.sender();
        let time = times.lookup_time();
        let helo = egress.helo.as_deref();
        let spf = async {
            match (&egress.mail_from, domain) {
                (Some(mail_from), Some(domain)) => {
                    let spf = sender::spf(self.dns, ip, helo.unwrap_or_default(), mail_from, domain);
                    within(time, spf).await
                }
                _ => without_sender(),
            }
        };
        let (ptr, helo, spf, lists) = tokio::join!(
            within(time, host::ptr(self.dns, ip, helo, times)),
            within(time, host::helo(self.dns, helo, ip)),
            spf,
            async {
                match ip {
                    Some(ip) => self.of_lists(Listed::Address(ip), LISTED).await,
                    None => Vec::new(),
                }
            }
        );
        let mut checks = vec![of(ptr, PTR), of(helo, HELO)];
        checks.extend(lists);
        checks.push(of(spf, SPF));
        checks
    }

    /// What each blocklist says that may be asked about it.
    pub(super) async fn of_lists(
        &self,
        listed: Listed<'_>,
        (group, why): (CheckGroup, &'static str),
    ) -> Vec<Check> {
        let time = self.policy.sender().lookup_time();
        let lists =
            self.policy.blocklists().iter().filter(|list| list.has(listed.kind()) && self.may_ask(list));
        let asked = lists.map(|list| {
            Box::pin(async move {
                let finding = within(time, blocklist(self.dns, list, self.key, listed)).await;
                finding.of(format!("blocklist.{}", list.id), group, why)
            })
        });
        join_all(asked.collect()).await
    }

    /// Whether the own MX host accepts mail for the sender and for postmaster. `is_open`: port 25 is.
    async fn of_mailboxes(
        &self,
        egress: &CheckedEgress,
        hosts: Vec<VisitedHost>,
        is_open: bool,
    ) -> Vec<Check> {
        let sender = egress.mail_from.as_deref().and_then(|text| Address::parse(text).ok());
        let named =
            |sender: Finding, postmaster: Finding| vec![of(sender, MAILBOX), of(postmaster, POSTMASTER)];
        let both = |finding: Finding| named(finding.clone(), finding);
        match (self.visitor(egress), sender) {
            _ if self.connect.is_none() => both(Finding::new(
                CheckStatus::NotRun,
                "Not run: no mail server is contacted with these settings.",
            )),
            (_, None) => both(without_sender()),
            (Some(visitor), Some(sender)) if is_open => {
                let OwnMailboxes { sender, postmaster } = own_mailboxes(visitor.of(), hosts, &sender).await;
                named(sender, postmaster)
            }
            (None, _) => both(
                Finding::new(
                    CheckStatus::CouldNotConfirm,
                    "Not known: no mail server can be asked from this address.",
                )
                .fix("Run the same command on that machine, with --helo NAME."),
            ),
            _ => {
                both(Finding::new(CheckStatus::NotRun, "Not run: no mail server can be reached at port 25."))
            }
        }
    }

    /// The checks of the sender's domain that do not depend on an address.
    async fn of_domain(&self, domain: &str) -> Vec<Check> {
        let time = self.policy.sender().lookup_time();
        let author = self.options.from.as_deref().map_or(domain, domain_of);
        let registered = Domain::parse(domain).ok();
        let registered = registered.as_ref().and_then(Domain::registrable).unwrap_or(domain);
        let (mx, dmarc, dkim, lists, mta_sts, tls_rpt) = tokio::join!(
            within(time, sender::mx(self.dns, domain)),
            within(time, sender::dmarc(self.dns, author, domain)),
            self.dkim(domain),
            self.of_lists(Listed::Domain(registered), LISTED_DOMAIN),
            within(time, transport::mta_sts(self.dns, domain)),
            within(time, transport::tls_reports(self.dns, domain)),
        );
        let mut checks = vec![of(mx, MX), of(dmarc, DMARC)];
        checks.extend(dkim);
        checks.extend(lists);
        checks.extend([of(mta_sts, MTA_STS), of(tls_rpt, TLS_RPT)]);
        checks
    }

    async fn dkim(&self, domain: &str) -> Vec<Check> {
        let selectors = &self.options.selectors;
        if selectors.is_empty() {
            let sentence = "DKIM keys cannot be found without their selector.";
            let finding =
                Finding::new(CheckStatus::CouldNotConfirm, sentence).fix("Name it with --selector NAME.");
            return vec![of(finding, DKIM)];
        }
        let time = self.policy.sender().lookup_time();
        let keys =
            selectors.iter().map(|selector| Box::pin(within(time, sender::dkim(self.dns, domain, selector))));
        join_all(keys.collect()).await.into_iter().map(|finding| of(finding, DKIM)).collect()
    }
}

fn without_sender() -> Finding {
    Finding::new(CheckStatus::CouldNotConfirm, "There is no sender.").fix("Name it with --mail-from ADDR.")
}

fn domain_of(mail_from: &str) -> &str {
    mail_from.rsplit_once('@').map_or(mail_from, |(_, domain)| domain).trim_end_matches('.')
}
