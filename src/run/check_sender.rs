//! The checks of the sender's side as a job: on which network, from which egresses, at which mail servers.
//!
//! Decides: nothing that [`crate::doctor`] decides. The list is planned first, so that port 25 is tried where its mail goes.

use std::sync::Arc;
use std::time::Duration;

use super::check_list;
use super::list_job::OpenedList;
use super::network::{Network, NetworkJob};
use super::plan;
use crate::doctor::{
    CheckFinding, CheckGroup, CheckList, CheckOptions, CheckStatus, CheckedEgress, SenderChecks, VisitedHost,
};
use crate::error::Error;
use crate::policy::Policy;
use crate::route::DnsTimeouts;
use crate::settings::{BlocklistKey, CheckTarget, NetworkTarget, RunDepth, Settings, WrittenEgress};
use crate::smtp::{Connect, EgressPath, is_own_address};

/// Time-outs of the DNS: without a network all checks have to end within seconds.
const TIMEOUTS: DnsTimeouts = DnsTimeouts { timeout: Duration::from_millis(1500), retries: 1 };

/// Makes all checks.
pub(super) async fn check_sender(
    settings: &Settings,
    policy: Policy,
    list: Option<&OpenedList>,
    options: &CheckOptions,
) -> Result<CheckList, Error> {
    let mut checks = CheckList { checks: Vec::new() };
    let target = match &settings.depth {
        RunDepth::Dns(target) | RunDepth::Probe(target) => Some(target),
        RunDepth::Offline => None,
    };
    if let (Some(target), Some(CheckTarget { egresses, visits })) = (target, &settings.checks) {
        let network = Network::with_timeouts(target, TIMEOUTS)?;
        let mut hosts = Vec::new();
        let mut of_list = Vec::new();
        if let Some(list) = list {
            let is_alive =
                tokio::time::timeout(policy.sender().resolver_time(), network.dns.is_alive()).await;
            if is_alive.unwrap_or(false) {
                let job = NetworkJob { settings, target, policy, network: network.clone() };
                let (forecast, listed) = plan::plan_with_hosts(list, job).await?;
                hosts = listed
                    .into_iter()
                    .flat_map(|hop| {
                        let host = hop.host;
                        hop.addresses
                            .into_iter()
                            .map(move |address| VisitedHost { host: host.clone(), address })
                    })
                    .collect();
                of_list = check_list::of_list(list, &forecast.json());
            } else {
                of_list = check_list::without_dns(list);
            }
        }
        let network = Arc::new(network);
        let egresses: Vec<CheckedEgress> =
            egresses.iter().map(|written| checked(written, &network, target)).collect();
        let sender = SenderChecks {
            dns: &*network.dns,
            connect: visits.then_some(&*network.connect as &dyn Connect),
            port: network.smtp_port,
            allowed: &network.allowed,
            policy,
            now: network.clock.now().wall,
            key: settings.spamhaus_key.as_ref().map(BlocklistKey::secret),
            options,
            hosts,
        };
        checks = sender.run(&egresses).await;
        checks.checks.extend(of_list);
        checks.checks.extend(check_list::of_machine(settings, target, policy));
    } else {
        let sentence = "Not run: these settings use no network.";
        let finding = CheckFinding::new(CheckStatus::NotRun, sentence);
        checks.checks.push(finding.of(
            "dns.resolver",
            CheckGroup::Host,
            "Every verdict rests on its answers.",
        ));
        checks.checks.extend(list.map(check_list::without_dns).unwrap_or_default());
    }
    if let Some(only) = &options.only {
        let ids: Vec<String> = checks.checks.iter().map(|check| check.id.clone()).collect();
        let is_wanted =
            |id: &str| id == only || id.strip_prefix(only.as_str()).is_some_and(|rest| rest.starts_with('.'));
        checks.checks.retain(|check| is_wanted(&check.id));
        if checks.checks.is_empty() {
            return Err(Error::Usage {
                message: format!("there is no check `{only}` with these settings"),
                hint: format!("the checks are {}", ids.join(", ")),
            });
        }
    }
    Ok(checks)
}

/// An egress as it is checked. In a scripted world what is not given is that of the world.
fn checked(written: &WrittenEgress, network: &Network, target: &NetworkTarget) -> CheckedEgress {
    let WrittenEgress { path, helo, mail_from } = written.clone();
    let of_world = network.egresses.first().filter(|_| matches!(target, NetworkTarget::World { .. }));
    let address = match path {
        EgressPath::Direct(source) => source,
        EgressPath::Socks5 { .. } => None,
    };
    CheckedEgress {
        path,
        address,
        is_own: of_world.is_some() || address.is_none_or(is_own_address),
        helo: helo.or_else(|| of_world.map(|own| own.helo.to_string())),
        mail_from: mail_from.or_else(|| of_world.map(|own| own.sender.to_string())),
    }
}
