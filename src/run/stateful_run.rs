//! A run over a list that asks: its state, who is to be asked, and its end.
//!
//! Decides: whether an earlier run goes on, whether anybody needs to be asked at all, and when the run is over.

use std::time::Duration;

use super::analyze::{AnalyzeOptions, Analyzer};
use super::cancel::CancelToken;
use super::engine::{self, ProbeJob, RunOutcome};
use super::evidence_reader::{EvidenceReader, FactFilter, FactReader, RunConditions};
use super::list_job::OpenedList;
use super::network::NetworkJob;
use super::progress::{Progress, ProgressReporter};
use super::write_results::{StateUpdates, Validity};
use super::{parallel, wait_for_state};
use crate::address::Address;
use crate::error::Error;
use crate::evidence::{AddressStatus, NotProbedReason, Timestamp};
use crate::list::{List, ListEntry, RowBatch};
use crate::schedule::RunBlocked;
use crate::settings::Settings;
use crate::state::{FreshnessPolicy, RunHandle, RunKey, State};

/// A run that asks, with its state.
pub(super) struct StatefulRun {
    job: ProbeJob,
    state: State,
    run: RunHandle,
    fresh: FreshnessPolicy,
    /// An earlier run found out everything, and all of it is fresh.
    all_known: bool,
    /// What was told is compared with what is told, and noted.
    tells_news: bool,
}

impl StatefulRun {
    /// Opens the state, and finds or begins the run.
    pub(super) fn begin(
        job: NetworkJob<'_>,
        opened: &OpenedList,
        cancel: &CancelToken,
    ) -> Result<StatefulRun, Error> {
        let NetworkJob { settings, target, policy, .. } = job;
        let OpenedList { list, job: listing } = opened;
        let job = ProbeJob::of(job, false)?;
        let mut state = wait_for_state::open_state(settings, target, job.network.clock, cancel)?;
        let now = job.network.clock.now().wall;
        let command = RunKey {
            identity: identity(list, listing.analyze_options(policy), job.dns_only)?,
            input: list.format().name.clone(),
            terms: terms(settings, &job),
        };
        let anew = settings.state.fresh;
        let fresh = |at| {
            // What servers said is not told where only the DNS is asked.
            let is_nothing = anew || job.dns_only;
            if is_nothing {
                FreshnessPolicy::nothing()
            } else {
                FreshnessPolicy::of(at, settings.state.max_age)
            }
        };
        let known = if anew { None } else { state.fresh_run(&command, fresh(now))? };
        // What a run found out itself is as old as the run.
        let goes_on = if anew { Duration::ZERO } else { settings.state.max_age.unwrap_or(Duration::MAX) };
        let (run, all_known) = match known {
            Some(run) => (run, true),
            None => (state.begin(&command, goes_on, now, policy.lifetimes().run)?, false),
        };
        // What is known is told as it was the last time; that it all is told as then is not worth a look at each row.
        let tells_news = state.is_kept() && (listing.changed_only || !all_known);
        let run = RunHandle { goes_on: run.goes_on && !all_known, ..run };
        let fresh = fresh(if all_known { now } else { run.at });
        Ok(StatefulRun { job, state, run, fresh, all_known, tells_news })
    }

    /// Gathers who is to be asked about, unless an earlier process did so, and asks them.
    pub(super) async fn ask(
        &mut self,
        list: &List,
        how: AnalyzeOptions,
        cancel: &CancelToken,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<RunOutcome, Error> {
        if self.all_known {
            let unprobed =
                Some(if self.job.dns_only { NotProbedReason::DnsOnly } else { NotProbedReason::Deadline });
            return Ok(RunOutcome {
                whole: RunConditions { unprobed, ..RunConditions::default() },
                ..RunOutcome::default()
            });
        }
        if !self.run.gathered {
            let mut arrivals = self.state.arrivals(self.run.id)?;
            let look = |analyzer: &mut Analyzer, batch: &RowBatch, seen: &mut Vec<Address>| {
                seen.clear();
                seen.extend(addresses(analyzer, batch));
                Ok(())
            };
            parallel::each(list, parallel::analyzers(how), look, |addresses| {
                // Nobody was asked by this process, so there is nothing new to tell.
                cancel.check()?;
                Ok(addresses.drain(..).try_for_each(|address| arrivals.arrive(&address))?)
            })?;
            arrivals.close(self.fresh)?;
        }
        let mut progress = ProgressReporter::new(self.state.still_to_ask(self.run.id)?, progress);
        engine::ask(&self.job, &mut self.state, self.run, self.fresh, cancel, &mut progress).await
    }

    /// How many are still to be asked.
    pub(super) fn still_to_ask(&self) -> Result<u64, Error> {
        Ok(self.state.still_to_ask(self.run.id)?)
    }

    /// What was found out, for each of so many who judge rows.
    pub(super) fn found(
        &self,
        whole: &RunConditions,
        worker_count: usize,
    ) -> Result<Vec<EvidenceReader>, Error> {
        let news = self.tells_news.then_some(self.run);
        let scope = FactFilter { policy: self.job.policy, run: self.run.id, fresh: self.fresh, news };
        let found = |facts| EvidenceReader::of(facts, whole.clone(), self.now().wall);
        Ok(FactReader::for_each(&self.state, scope, worker_count, !self.all_known)?
            .into_iter()
            .map(found)
            .collect())
    }

    /// Now, where the run is made.
    pub(super) fn now(&self) -> Timestamp {
        self.job.network.clock.now()
    }

    /// Keeps what is told otherwise than before.
    pub(super) fn keep(&mut self, StateUpdates { update, notes }: &StateUpdates) -> Result<(), Error> {
        // In a temporary state nobody will read it, and those who read it now would be in the way.
        if self.state.is_kept() {
            update.iter().try_for_each(|update| self.state.write_reported(update))?;
            self.state.note(notes)?;
        }
        Ok(())
    }

    /// Ends the run, unless somebody is still to be asked in it: then the same command goes on
    /// with it.
    pub(super) fn end(&mut self, outcome: &RunOutcome, age: Validity) -> Result<(), Error> {
        if self.tells_news {
            self.state.close_notes(self.run)?;
        }
        self.state.mark_reported(self.run.id)?;
        if !self.all_known && (outcome.whole.shut.is_some() || self.still_to_ask()? == 0) {
            let Validity { fresh_until, oldest } = age;
            let shut = outcome.whole.shut.map(RunBlocked::word);
            let anomalies = outcome.whole.anomalies.iter().map(|lane| &**lane);
            self.state.end(self.run.id, self.now().wall, shut, anomalies, fresh_until, oldest)?;
        }
        Ok(self.state.commit()?)
    }
}

/// On which terms a run is made: what decides who has to be asked, besides the list.
fn terms(settings: &Settings, job: &ProbeJob) -> String {
    let max_age = settings.state.max_age.map(|age| format!("no older than {} s", age.as_secs()));
    let allowed = job.network.allowed.to_string();
    let allowed = (!allowed.is_empty()).then(|| format!("also at {allowed}"));
    [max_age, allowed].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What makes "the same command again".
pub(super) fn identity(list: &List, how: AnalyzeOptions, dns_only: bool) -> Result<String, Error> {
    let far = if dns_only { "names" } else { "mailboxes" };
    let applied = if how.apply_suggestions { " applied" } else { "" };
    Ok(format!("{} {far}{applied}", list.identity()?))
}

/// The addresses of a batch that can be asked about.
fn addresses(analyzer: &mut Analyzer, batch: &RowBatch) -> impl Iterator<Item = Address> {
    batch.entries().filter_map(|entry| match entry {
        ListEntry::Row(row) => match analyzer.look(row.address()).form {
            AddressStatus::Valid(address) => Some(address),
            _ => None,
        },
        ListEntry::Unreadable(_) => None,
    })
}
