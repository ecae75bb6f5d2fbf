//! Domains that are being looked up, each by a task of its own.
//!
//! Decides: nothing. Fails: a look-up that fails inside says so for its domain ([`DnsFault::Internal`]); one that was cut
//! says nothing.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{self, JoinError, JoinSet};

use crate::address::Domain;
use crate::route::{self, DnsFault, Route};
use crate::run::network::Network;
use crate::state::NameHash;

/// How a task ended.
pub(super) type FinishedLookup = Result<(task::Id, Route), JoinError>;

/// Look-ups under way.
pub(super) struct Lookups {
    network: Arc<Network>,
    tasks: JoinSet<Route>,
    domains: HashMap<task::Id, (NameHash, Domain)>,
}

impl Lookups {
    /// None yet.
    pub(super) fn new(network: Arc<Network>) -> Lookups {
        Lookups { network, tasks: JoinSet::new(), domains: HashMap::new() }
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Looks a domain up.
    pub(super) fn begin(&mut self, key: NameHash, domain: Domain) {
        let (network, name) = (self.network.clone(), domain.clone());
        let task =
            self.tasks.spawn(async move { route::resolve(&*network.dns, &name, &network.allowed).await });
        self.domains.insert(task.id(), (key, domain));
    }

    /// The next task that is over; `None` when none is left.
    pub(super) async fn next_over(&mut self) -> Option<FinishedLookup> {
        self.tasks.join_next_with_id().await
    }

    /// The same without waiting; `None` when none is over.
    pub(super) fn try_next_over(&mut self) -> Option<FinishedLookup> {
        self.tasks.try_join_next_with_id()
    }

    /// What a task that is over found out, and about which domain.
    pub(super) fn found(&mut self, over: FinishedLookup) -> Option<(NameHash, Domain, Route)> {
        let (task, route) = match over {
            Ok((task, route)) => (task, Some(route)),
            Err(fault) => (fault.id(), fault.is_panic().then_some(Route::Failed(DnsFault::Internal))),
        };
        let (key, domain) = self.domains.remove(&task)?;
        Some((key, domain, route?))
    }

    /// Ends all of them.
    pub(super) fn cut(&mut self) {
        self.tasks.abort_all();
    }
}
