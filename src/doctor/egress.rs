//! An egress that is checked: how it visits mail servers, and which addresses receivers see of it.
//!
//! Decides: which address counts. What servers echo comes before what the user names, and that before the local address. An
//! address of an inner network counts only for servers in such a network.

use std::net::IpAddr;
use std::time::Duration;

use super::port25::{self, Reachability};
use super::visit::Visitor;
use crate::address::{Address, Domain};
use crate::policy::SenderPolicy;
use crate::route::AllowedNets;
use crate::smtp::{Connect, EgressPath};

/// An egress that is checked, with texts as the user wrote them: a wrong one is a finding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CheckedEgress {
    pub(crate) path: EgressPath,
    /// The address that receivers see, as far as the user says.
    pub(crate) address: Option<IpAddr>,
    /// Connections can leave from it: it is no address of another machine.
    pub(crate) is_own: bool,
    pub(crate) helo: Option<String>,
    pub(crate) mail_from: Option<String>,
}

/// What is known about the address of one family.
pub(super) struct KnownAddress {
    /// The local one, or the one that the user names.
    pub(super) own: Option<IpAddr>,
    /// The one that servers echo.
    pub(super) seen: Option<IpAddr>,
    /// The one that counts for receivers.
    pub(super) outer: Option<IpAddr>,
}

/// A visitor with its own name and sender.
pub(super) struct OwnedVisitor<'a> {
    connect: &'a dyn Connect,
    path: &'a EgressPath,
    helo: Domain,
    sender: Address,
    port: u16,
    connect_time: Duration,
    reply_time: Duration,
}

impl OwnedVisitor<'_> {
    pub(super) fn of(&self) -> Visitor<'_> {
        Visitor {
            connect: self.connect,
            path: self.path,
            helo: &self.helo,
            sender: &self.sender,
            port: self.port,
            connect_time: self.connect_time,
            reply_time: self.reply_time,
        }
    }
}

impl CheckedEgress {
    /// How this egress visits; `None` where it can't.
    pub(super) fn visitor<'a>(
        &'a self,
        connect: &'a dyn Connect,
        port: u16,
        policy: &SenderPolicy,
    ) -> Option<OwnedVisitor<'a>> {
        if !self.is_own {
            return None;
        }
        let helo = Domain::parse(self.helo.as_deref()?).ok()?;
        let sender = self.mail_from.as_deref().and_then(|text| Address::parse(text).ok());
        // Never sent: without a sender no recipient is asked about.
        let sender = sender.or_else(|| Address::parse(&format!("postmaster@{helo}")).ok())?;
        let (connect_time, reply_time) = (policy.connect_time(), policy.reply_time());
        Some(OwnedVisitor { connect, path: &self.path, helo, sender, port, connect_time, reply_time })
    }

    /// The addresses that receivers see: one of each family at most, the first being the usual one.
    pub(super) fn addresses(
        &self,
        connect: Option<&dyn Connect>,
        v4: &Reachability,
        v6: &Reachability,
    ) -> Vec<KnownAddress> {
        let known = |is_ipv4: bool, found: &Reachability| {
            let claimed = self.address.filter(|address| address.is_ipv4() == is_ipv4);
            let is_direct = matches!(self.path, EgressPath::Direct(None));
            let own = claimed.or_else(|| {
                let target = found.visits.first().filter(|_| is_direct)?.to.address;
                connect?.source_toward(target)
            });
            let seen = port25::echoed(&found.visits, is_ipv4);
            let is_inner = found.visits.iter().all(|visit| AllowedNets::is_internal(visit.to.address));
            let counts = |ip: &IpAddr| !AllowedNets::is_internal(*ip) || (is_inner && claimed == Some(*ip));
            let outer = seen.or(own).filter(counts);
            let is_used = claimed.is_some() || found.is_open() || outer.is_some();
            is_used.then_some(KnownAddress { own, seen, outer })
        };
        let mut addresses: Vec<KnownAddress> =
            [known(true, v4), known(false, v6)].into_iter().flatten().collect();
        if addresses.is_empty() {
            addresses.push(KnownAddress { own: None, seen: None, outer: None });
        }
        addresses
    }
}
