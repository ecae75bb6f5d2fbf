//! What a lane and the machine of an endpoint allow together.
//!
//! Decides: whether a connection may be opened, or recipients probed, at an endpoint now. Takes the tokens of lane and
//! machine, or none. An endpoint that waits for its machine does not delay the other endpoints of its lane: it stands in
//! the queue of the machine, which wakes its lane.

use std::time::Duration;

use super::limits::{EndpointId, LaneId, MachineId, Timer};
use super::machine::Machine;
use super::scheduler::{Scheduler, insert_slot};

/// When an endpoint may open a connection.
pub(super) enum ConnectionTurn {
    /// Now; the tokens are taken.
    Now,
    /// The lane allows none before this time of the run.
    LaneAt(Duration),
    /// The machine allows none now; it wakes the lane.
    Queued,
}

impl Scheduler {
    /// The machine at an IP address from the egress of a lane; `None` if the lane has its machines for itself.
    pub(super) fn attach_machine(&mut self, lane: LaneId, address: std::net::IpAddr) -> Option<MachineId> {
        let lane = &self.lanes[lane];
        let limits = lane.address_limits()?;
        let key = (lane.egress, address);
        let id = match self.machine_ids.get(&key) {
            Some(&id) => id,
            None => {
                let mut new = Machine::new(key, limits, lane.max_burst(), &self.clock);
                new.unknown.seed(self.earlier_at_machine.remove(&key).unwrap_or_default());
                let id = insert_slot(&mut self.machines, &mut self.free_slots.machines, new);
                self.machine_ids.insert(key, id);
                id
            }
        };
        let machine = &mut self.machines[id];
        machine.endpoints += 1;
        machine.unknown.seed(lane.unknown_before.iter().copied());
        Some(id)
    }

    /// An endpoint of the machine is evicted. The last one takes the machine with it, but for what limits count.
    pub(super) fn detach_machine(&mut self, endpoint: EndpointId) {
        let Some(id) = self.endpoints[endpoint].machine.take() else {
            return;
        };
        let now = self.now.elapsed;
        let machine = &mut self.machines[id];
        machine.endpoints -= 1;
        if machine.may_be_evicted(now) {
            let (key, unknown) = (machine.key, machine.unknown.take(now).collect::<Vec<_>>());
            if !unknown.is_empty() {
                self.earlier_at_machine.insert(key, unknown);
            }
            self.machine_ids.remove(&key);
            self.free_slots.machines.push(id);
        }
    }

    /// Takes the tokens for a connection to an endpoint.
    pub(super) fn take_connection(&mut self, endpoint_id: EndpointId) -> ConnectionTurn {
        let now = self.now.elapsed;
        let endpoint = &mut self.endpoints[endpoint_id];
        let lane = &mut self.lanes[endpoint.lane];
        let wait = lane.connection_pacer.wait(1);
        if !wait.is_zero() {
            lane.no_connection_before = now + wait;
            return ConnectionTurn::LaneAt(lane.no_connection_before);
        }
        if let Some(id) = endpoint.machine {
            let machine = &mut self.machines[id];
            if machine.connection_wait(now) != Some(Duration::ZERO) {
                if !std::mem::replace(&mut endpoint.waits_for_machine, true) {
                    machine.enqueue(endpoint_id);
                }
                self.set_machine_timer(id);
                return ConnectionTurn::Queued;
            }
            let _ = machine.connection_pacer.take(1);
            machine.open += 1;
        }
        let lane = &mut self.lanes[self.endpoints[endpoint_id].lane];
        let _ = lane.connection_pacer.take(1);
        lane.open += 1;
        ConnectionTurn::Now
    }

    /// A session at an endpoint has ended.
    pub(super) fn release_connection(&mut self, endpoint: EndpointId) {
        let endpoint = &self.endpoints[endpoint];
        self.lanes[endpoint.lane].open -= 1;
        if let Some(machine) = endpoint.machine {
            self.machines[machine].open -= 1;
            if self.machines[machine].is_waited_for() {
                self.timers.insert((self.now.elapsed, Timer::Machine(machine)));
            }
        }
    }

    fn set_machine_timer(&mut self, id: MachineId) {
        let now = self.now.elapsed;
        let machine = &mut self.machines[id];
        if let Some(wait) = machine.connection_wait(now).filter(|_| machine.is_waited_for())
            && !std::mem::replace(&mut machine.timer_is_set, true)
        {
            self.timers.insert((now + wait.max(Duration::from_nanos(1)), Timer::Machine(id)));
        }
    }

    /// Lets endpoints that wait for a machine open connections, as many as it may take now.
    pub(super) fn on_machine_timer(&mut self, id: MachineId) {
        self.machines[id].timer_is_set = false;
        while self.machines[id].connection_wait(self.now.elapsed) == Some(Duration::ZERO)
            && let Some(endpoint) = self.machines[id].next_waiting()
        {
            self.endpoints[endpoint].waits_for_machine = false;
            self.run_lane(self.endpoints[endpoint].lane);
        }
        self.set_machine_timer(id);
    }

    /// Takes the tokens for a batch of so many recipients. The error is the time after which that may succeed.
    pub(super) fn take_recipients(&mut self, endpoint: EndpointId, count: u32) -> Result<(), Duration> {
        let endpoint = &self.endpoints[endpoint];
        let lane = &mut self.lanes[endpoint.lane];
        let Some(machine) = endpoint.machine.map(|machine| &mut self.machines[machine]) else {
            return lane.recipient_pacer.take(count);
        };
        let wait = lane.recipient_pacer.wait(count).max(machine.recipient_pacer.wait(count));
        if !wait.is_zero() {
            return Err(wait);
        }
        lane.recipient_pacer.take(count)?;
        machine.recipient_pacer.take(count)
    }

    /// The most recipients that the rates allow in one batch.
    pub(super) fn recipient_burst(&self, endpoint: EndpointId) -> u32 {
        let endpoint = &self.endpoints[endpoint];
        let burst = self.lanes[endpoint.lane].recipient_pacer.burst();
        let of_machine = endpoint.machine.map(|machine| self.machines[machine].recipient_pacer.burst());
        of_machine.map_or(burst, |of_machine| of_machine.min(burst))
    }

    /// Counts probes in flight.
    pub(super) fn add_in_flight(&mut self, endpoint: EndpointId, count: u32) {
        let endpoint = &self.endpoints[endpoint];
        self.lanes[endpoint.lane].in_flight += count;
        if let Some(machine) = endpoint.machine {
            self.machines[machine].in_flight += count;
        }
    }

    /// Counts probes that are no longer in flight.
    pub(super) fn remove_in_flight(&mut self, endpoint: EndpointId, count: u32) {
        let endpoint = &self.endpoints[endpoint];
        self.lanes[endpoint.lane].in_flight -= count;
        if let Some(machine) = endpoint.machine {
            self.machines[machine].in_flight -= count;
        }
    }

    /// Counts an unknown recipient.
    pub(super) fn count_unknown(&mut self, endpoint: EndpointId) {
        let now = self.now.elapsed;
        let endpoint = &self.endpoints[endpoint];
        self.lanes[endpoint.lane].count_unknown(now);
        if let Some(machine) = endpoint.machine {
            self.machines[machine].count_unknown(now);
        }
    }

    /// How many more recipients may be probed if all of them, and all in flight, should be unknown.
    pub(super) fn unknown_left(&self, endpoint: EndpointId) -> u32 {
        let now = self.now.elapsed;
        let endpoint = &self.endpoints[endpoint];
        let of_machine = endpoint.machine.map(|machine| self.machines[machine].unknown_left(now));
        self.lanes[endpoint.lane].unknown_left(now).min(of_machine.unwrap_or(u32::MAX))
    }

    /// The time of the run from which the limits of unknown recipients allow another one; `None` if that depends on
    /// replies in flight.
    pub(super) fn unknown_allowed_at(&self, endpoint: EndpointId) -> Option<Duration> {
        let now = self.now.elapsed;
        let endpoint = &self.endpoints[endpoint];
        let lane = &self.lanes[endpoint.lane];
        let machine = endpoint.machine.map(|machine| &self.machines[machine]);
        let in_flight = lane.in_flight + machine.map_or(0, |machine| machine.in_flight);
        let of_machine = machine.map_or(now, |machine| machine.unknown_allowed_at(now));
        let allowed_at = lane.unknown_allowed_at(now).max(of_machine);
        (in_flight == 0 && allowed_at > now).then_some(allowed_at)
    }
}
