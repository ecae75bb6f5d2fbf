//! The verifier: settings, policy and network, made once, for any number of jobs.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use super::cancel::CancelToken;
use super::check::{self, CheckOutcome, OfflineChecker};
use super::list_job::OpenedList;
use super::network::{Network, NetworkJob};
use super::progress::Progress;
use super::report::{self, ReportTerms};
use super::{plan, verify};
use crate::error::Error;
use crate::policy::Policy;
use crate::report::{Forecast, Summary};
use crate::settings::{NetworkTarget, RunDepth, Settings};
use crate::state::{Namespace, StateError};
use crate::verdict::AddressResult;

/// Verifies addresses and lists. It holds the settings, the policy, the network and the location of the state; the state
/// itself is opened by each job, because another process may use it between two jobs.
///
/// A job installs no signal handler, prints nothing and raises no limit of the process. It runs on a single-threaded tokio
/// runtime: the caller's, or that of [`Verifier::block_on`]. A scripted world needs [`Verifier::block_on`], whose runtime
/// has a virtual clock then.
pub struct Verifier {
    settings: Settings,
    policy: Policy,
    network: OnceLock<Network>,
    runtime: OnceLock<Runtime>,
}

impl Verifier {
    /// Makes a verifier. Fails where a file of the user's policy is wrong.
    pub fn new(settings: Settings) -> Result<Verifier, Error> {
        let policy = settings.policy()?;
        Ok(Verifier { settings, policy, network: OnceLock::new(), runtime: OnceLock::new() })
    }

    /// Checks one address: syntax, DNS, and a probe of its MX hosts, as far as the settings go.
    pub async fn check(&self, address: &str) -> Result<AddressResult, Error> {
        let outcome = self.check_many(&[address], false, &CancelToken::new()).await?;
        outcome.results.into_iter().next().ok_or_else(|| Error::System {
            what: "check an address",
            source: std::io::Error::other("it has no result"),
        })
    }

    /// Checks some addresses together, so that those at one provider share connections. `trace` keeps the dialogue with each
    /// MX host; it probes anew, whatever is stored.
    pub async fn check_many<S: AsRef<str>>(
        &self,
        addresses: &[S],
        trace: bool,
        cancel: &CancelToken,
    ) -> Result<CheckOutcome, Error> {
        if let Some(job) = self.network_job()? {
            return check::check(addresses, job, trace, cancel).await;
        }
        let mut offline = OfflineChecker::new(self.policy, self.settings.risky_roles);
        let results = addresses.iter().map(|address| offline.check(address.as_ref()));
        Ok(CheckOutcome::offline(results.collect::<Result<_, _>>()?))
    }

    /// A checker for a stream of addresses; `None` where the settings use the network.
    pub fn offline_checker(&self) -> Option<OfflineChecker> {
        let is_offline = matches!(self.settings.depth, RunDepth::Offline);
        is_offline.then(|| OfflineChecker::new(self.policy, self.settings.risky_roles))
    }

    /// Verifies a list and writes its results. `progress` is called now and then on the thread of the job.
    pub async fn verify(
        &self,
        list: OpenedList,
        progress: &mut (dyn FnMut(Progress) + Send),
        cancel: &CancelToken,
    ) -> Result<Summary, Error> {
        match self.network_job()? {
            Some(job) => Box::pin(verify::verify(list, job, progress, cancel)).await,
            None => verify::verify_offline(list, &self.settings, self.policy, cancel),
        }
    }

    /// What verifying a list would cost: probes, connections and time per provider. Contacts no mail server.
    pub async fn plan(&self, list: &OpenedList) -> Result<Forecast, Error> {
        match self.network_job()? {
            Some(job) => plan::plan(list, job).await,
            None => plan::plan_offline(list, &self.settings, self.policy),
        }
    }

    /// Writes the results of an earlier run over a list again, from the state. Contacts no server. `rejudge` also writes the
    /// verdicts of the current policy into the state.
    pub fn report(&self, list: OpenedList, rejudge: bool, cancel: &CancelToken) -> Result<Summary, Error> {
        let namespace = match self.target() {
            Some(target) => target.namespace()?,
            None => Namespace::internet(),
        };
        let file = self.settings.state_file(&namespace)?.ok_or(StateError::NoRun)?;
        let terms = ReportTerms { policy: self.policy, risky_roles: self.settings.risky_roles, rejudge };
        report::report(list, &file, terms, cancel).map_err(|error| error.in_state(Some(&file)))
    }

    /// Runs a job to its end on a single-threaded runtime of the verifier's own. In a scripted world the clock of this runtime
    /// is virtual: waits pass immediately.
    pub fn block_on<T>(&self, job: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let runtime = if let Some(runtime) = self.runtime.get() {
            runtime
        } else {
            let mut builder = Builder::new_current_thread();
            builder.enable_all().start_paused(self.settings.is_in_world());
            let made =
                builder.build().map_err(|source| Error::System { what: "start the runtime", source })?;
            self.runtime.get_or_init(|| made)
        };
        runtime.block_on(job)
    }

    fn target(&self) -> Option<&NetworkTarget> {
        match &self.settings.depth {
            RunDepth::Offline => None,
            RunDepth::Dns(target) | RunDepth::Probe(target) => Some(target),
        }
    }

    /// What a job over the network works with; `None` offline. The clock of the job starts now.
    fn network_job(&self) -> Result<Option<NetworkJob<'_>>, Error> {
        let Some(target) = self.target() else {
            return Ok(None);
        };
        let network = if let Some(network) = self.network.get() {
            network
        } else {
            let made = Network::of(target)?;
            self.network.get_or_init(|| made)
        };
        let network = network.for_next_run();
        Ok(Some(NetworkJob { settings: &self.settings, target, policy: self.policy, network }))
    }
}
