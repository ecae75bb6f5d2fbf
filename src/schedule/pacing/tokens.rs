//! What a lane and the machine of an endpoint allow together.
//!
//! Decides: whether a connection may be opened, or recipients probed, at an endpoint now. Takes the tokens of lane and
//! machine, or none. An endpoint that waits for its machine does not delay the other endpoints of its lane: it stands in
//! the queue of the machine, which wakes its lane.

use std::time::Duration;

use super::machine::Machine;
use crate::schedule::limits::{EndpointId, LaneId, MachineId, Timer};
use crate::schedule::scheduler::{Scheduler, insert_slot};

/// When an endpoint may open a connection.
pub(in crate::schedule) enum ConnectionTurn {
    /// Now; the tokens are taken.
    Now,
    /// The lane allows none before this time of the run.
    LaneAt(Duration),
    /// The machine allows none now; it wakes the lane.
    Queued,
}

impl Scheduler {
    /// The machine at an IP address from the egress of a lane; `None` if the lane has its machines for itself.
    pub(in crate::schedule) fn attach_machine(
        &mut self,
        lane: LaneId,
        address: std::net::IpAddr,
    ) -> Option<MachineId> {
        let lane = &self.lanes[lane];
        let limits = lane.pace.address_limits()?;
        let key = (lane.egress, address);
        let id = if let Some(&id) = self.machine_ids.get(&key) {
            id
        } else {
            let remembered = self.limits.thresholds.discard.unknown_in_run;
            let mut new = Machine::new(key, limits, lane.pace.max_burst(), remembered, &self.clock);
            let earlier = self.earlier_at_machine.remove(&key).unwrap_or_default();
            new.unknown.seed(earlier, self.now.elapsed);
            let id = insert_slot(&mut self.machines, &mut self.free_slots.machines, new);
            self.machine_ids.insert(key, id);
            id
        };
        let machine = &mut self.machines[id];
        machine.endpoints += 1;
        machine.unknown.seed(lane.unknown_before.iter().copied(), self.now.elapsed);
        Some(id)
    }

    /// An endpoint of the machine is evicted. The last one takes the machine with it, but for what limits count.
    pub(in crate::schedule) fn detach_machine(&mut self, endpoint: EndpointId) {
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
    pub(in crate::schedule) fn take_connection(&mut self, endpoint_id: EndpointId) -> ConnectionTurn {
        let now = self.now.elapsed;
        let endpoint = &mut self.endpoints[endpoint_id];
        let lane = &mut self.lanes[endpoint.lane];
        if let Err(at) = lane.pace.may_take_connection(now) {
            return ConnectionTurn::LaneAt(at);
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
        let _ = lane.pace.take_connection(now);
        lane.pace.on_open();
        ConnectionTurn::Now
    }

    /// A session at an endpoint has ended, with so many probes in flight.
    pub(in crate::schedule) fn release_connection(&mut self, endpoint: EndpointId, in_flight: u32) {
        let endpoint = &self.endpoints[endpoint];
        self.lanes[endpoint.lane].pace.on_end(in_flight);
        if let Some(machine) = endpoint.machine {
            self.machines[machine].open -= 1;
            self.remove_in_flight_at(machine, in_flight);
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
    pub(in crate::schedule) fn on_machine_timer(&mut self, id: MachineId) {
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
    pub(in crate::schedule) fn take_recipients(
        &mut self,
        endpoint: EndpointId,
        count: u32,
    ) -> Result<(), Duration> {
        let endpoint = &self.endpoints[endpoint];
        let lane = &mut self.lanes[endpoint.lane];
        let Some(machine) = endpoint.machine.map(|machine| &mut self.machines[machine]) else {
            return lane.pace.take_recipients(count);
        };
        let wait = lane.pace.recipient_wait(count).max(machine.recipient_pacer.wait(count));
        if !wait.is_zero() {
            return Err(wait);
        }
        lane.pace.take_recipients(count)?;
        machine.recipient_pacer.take(count)
    }

    /// The most recipients in a batch now.
    pub(in crate::schedule) fn max_batch(&self, endpoint: EndpointId) -> u32 {
        let endpoint = &self.endpoints[endpoint];
        let most = self.lanes[endpoint.lane].pace.max_batch();
        let of_machine = endpoint.machine.map(|machine| self.machines[machine].recipient_pacer.burst());
        of_machine.map_or(most, |of_machine| of_machine.min(most))
    }

    /// Counts probes in flight.
    pub(in crate::schedule) fn add_in_flight(&mut self, endpoint: EndpointId, count: u32) {
        let endpoint = &self.endpoints[endpoint];
        self.lanes[endpoint.lane].pace.on_sent(count);
        if let Some(machine) = endpoint.machine {
            self.machines[machine].in_flight += count;
        }
    }

    /// Counts off a probe that is no longer in flight.
    pub(in crate::schedule) fn remove_in_flight(&mut self, endpoint: EndpointId) {
        let endpoint = &self.endpoints[endpoint];
        self.lanes[endpoint.lane].pace.on_answered();
        if let Some(machine) = endpoint.machine {
            self.remove_in_flight_at(machine, 1);
        }
    }

    fn remove_in_flight_at(&mut self, machine: MachineId, count: u32) {
        let now = self.now.elapsed;
        let lanes = self.machines[machine].remove_in_flight(count);
        self.timers.extend(lanes.into_iter().map(|lane| (now, Timer::Lane(lane))));
    }

    /// Lets the lane of an endpoint wait for a reply to a probe that is in flight at its machine, from whatever lane.
    pub(in crate::schedule) fn await_reply(&mut self, endpoint: EndpointId) {
        let endpoint = &self.endpoints[endpoint];
        if let Some(machine) = endpoint.machine {
            self.machines[machine].await_reply(endpoint.lane);
        }
    }

    /// Counts an unknown recipient.
    pub(in crate::schedule) fn count_unknown(&mut self, endpoint: EndpointId) {
        let now = self.now.elapsed;
        let endpoint = &self.endpoints[endpoint];
        self.lanes[endpoint.lane].unknown.count(now);
        if let Some(machine) = endpoint.machine {
            self.machines[machine].count_unknown(now);
        }
    }

    /// How many more recipients may be probed if all of them, and all in flight, should be unknown.
    pub(in crate::schedule) fn unknown_left(&self, endpoint: EndpointId) -> u32 {
        let now = self.now.elapsed;
        let endpoint = &self.endpoints[endpoint];
        let of_machine = endpoint.machine.map(|machine| self.machines[machine].unknown_left(now));
        self.lanes[endpoint.lane].unknown_left(now).min(of_machine.unwrap_or(u32::MAX))
    }

    /// Unknown recipients of this run at the lane of an endpoint, or at its machine if those are more: a machine counts those of
    /// all lanes, and remembers them when its lanes are evicted.
    pub(in crate::schedule) fn unknown_in_run(&self, endpoint: EndpointId) -> u32 {
        let endpoint = &self.endpoints[endpoint];
        let of_machine = endpoint.machine.map_or(0, |machine| self.machines[machine].unknown.in_run());
        self.lanes[endpoint.lane].unknown.in_run().max(of_machine)
    }

    /// The time of the run from which the limits of unknown recipients allow another one; `None` if that depends on
    /// replies in flight.
    pub(in crate::schedule) fn unknown_allowed_at(&self, endpoint: EndpointId) -> Option<Duration> {
        let now = self.now.elapsed;
        let endpoint = &self.endpoints[endpoint];
        let lane = &self.lanes[endpoint.lane];
        let machine = endpoint.machine.map(|machine| &self.machines[machine]);
        let in_flight = lane.pace.in_flight() + machine.map_or(0, |machine| machine.in_flight);
        let of_machine = machine.map_or(now, |machine| machine.unknown_allowed_at(now));
        let allowed_at = lane.unknown.allowed_at(now).max(of_machine);
        (in_flight == 0 && allowed_at > now).then_some(allowed_at)
    }
}
