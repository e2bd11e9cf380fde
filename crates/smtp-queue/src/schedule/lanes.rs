//! The upper level of the schedule: lanes, the domains in them, their rests and pauses.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;

use smtp_mail::Destination;
use smtp_proto::Domain;

use super::PauseScope;
use super::tick::Tick;
use crate::lane::{Lane, LaneTable};

/// The mailboxes of this host, or one domain: what a lane and a pause depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneIndex(pub(super) u32);

const MAILBOXES: Place = Place(0);
const LOCAL: LaneIndex = LaneIndex(0);

/// So many domains without deliveries are kept at least, before they are swept out.
const EMPTY_PLACES_MIN: usize = 64;

#[derive(Debug)]
struct PlaceState {
    lane: LaneIndex,
    deliveries: u32,
    paused: bool,
}

#[derive(Debug)]
struct LaneState {
    lane: Lane,
    places: u32,
    rest: Rest,
    /// When something of it was last leased.
    served: Tick,
    /// When there is something to do in it: its key in the index of lanes.
    wake: Option<Tick>,
}

/// How a lane does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// All that is due may be leased.
    Open,
    /// Its next hop is in trouble: nothing is leased until then, and then one probe.
    Until(Tick),
    /// The probe is under way.
    Probing(NonZeroU32),
}

#[derive(Debug)]
pub(super) struct Lanes {
    table: LaneTable,
    places: Vec<PlaceState>,
    free_places: Vec<Place>,
    /// Places without deliveries, which are still in `by_domain`.
    empty_places: usize,
    by_domain: HashMap<Domain, Place>,
    states: Vec<Option<LaneState>>,
    free_states: Vec<LaneIndex>,
    by_name: HashMap<Lane, LaneIndex>,
    awake: BTreeSet<(Tick, LaneIndex)>,
    pauses: HashMap<PauseScope, Tick>,
}

impl Lanes {
    pub(super) fn new(table: LaneTable) -> Self {
        let local = LaneState { lane: Lane::local(), places: 1, rest: Rest::Open, served: Tick::ZERO, wake: None };
        Self {
            table,
            places: vec![PlaceState { lane: LOCAL, deliveries: 0, paused: false }],
            free_places: Vec::new(),
            empty_places: 0,
            by_domain: HashMap::new(),
            states: vec![Some(local)],
            free_states: Vec::new(),
            by_name: HashMap::from([(Lane::local(), LOCAL)]),
            awake: BTreeSet::new(),
            pauses: HashMap::new(),
        }
    }

    /// Counts one delivery more to that destination.
    pub(super) fn enter(&mut self, destination: &Destination) -> Place {
        let place = match destination {
            Destination::Mailbox(_) => MAILBOXES,
            Destination::Domain(domain) => match self.by_domain.get(domain) {
                Some(place) => *place,
                None => self.add_place(domain),
            },
        };
        let state = &mut self.places[place.0 as usize];
        if place != MAILBOXES && state.deliveries == 0 {
            self.empty_places -= 1;
        }
        state.deliveries += 1;
        place
    }

    /// Counts one delivery less.
    pub(super) fn leave(&mut self, place: Place) {
        let state = &mut self.places[place.0 as usize];
        state.deliveries -= 1;
        if place != MAILBOXES && state.deliveries == 0 {
            self.empty_places += 1;
            if self.empty_places > EMPTY_PLACES_MIN.max(self.by_domain.len() / 2) {
                self.sweep();
            }
        }
    }

    fn add_place(&mut self, domain: &Domain) -> Place {
        let lane = self.use_lane(self.table.lane_of_domain(domain));
        let paused = self.pauses.contains_key(&PauseScope::Domain(domain.clone()));
        let state = PlaceState { lane, deliveries: 0, paused };
        let place = if let Some(place) = self.free_places.pop() {
            self.places[place.0 as usize] = state;
            place
        } else {
            self.places.push(state);
            Place(index(self.places.len() - 1))
        };
        self.by_domain.insert(domain.clone(), place);
        self.empty_places += 1;
        place
    }

    fn sweep(&mut self) {
        let mut by_domain = std::mem::take(&mut self.by_domain);
        by_domain.retain(|_, place| {
            let state = &self.places[place.0 as usize];
            let filled = state.deliveries > 0;
            if !filled {
                self.free_places.push(*place);
                let lane = state.lane;
                self.give_up_lane(lane);
            }
            filled
        });
        by_domain.shrink_to(by_domain.len() * 2);
        self.by_domain = by_domain;
        self.empty_places = 0;
    }

    fn use_lane(&mut self, lane: Lane) -> LaneIndex {
        if let Some(known) = self.find(&lane) {
            self.state_mut(known).places += 1;
            return known;
        }
        let state = LaneState { lane: lane.clone(), places: 1, rest: Rest::Open, served: Tick::ZERO, wake: None };
        let lane_index = if let Some(free) = self.free_states.pop() {
            self.states[free.0 as usize] = Some(state);
            free
        } else {
            self.states.push(Some(state));
            LaneIndex(index(self.states.len() - 1))
        };
        self.by_name.insert(lane, lane_index);
        lane_index
    }

    fn give_up_lane(&mut self, lane: LaneIndex) {
        let state = self.state_mut(lane);
        state.places -= 1;
        if state.places > 0 {
            return;
        }
        self.set_wake(lane, None);
        if let Some(state) = self.states[lane.0 as usize].take() {
            self.by_name.remove(&state.lane);
            self.free_states.push(lane);
        }
    }

    /// Puts every domain into the lane that the new table names. All lanes must be refreshed after it.
    pub(super) fn set_table(&mut self, table: LaneTable) {
        self.table = table;
        for state in self.states.iter_mut().flatten() {
            // The probe under way may belong to another lane from now on, and would not be missed here.
            if let Rest::Probing(_) = state.rest {
                state.rest = Rest::Until(Tick::ZERO);
            }
        }
        let by_domain = std::mem::take(&mut self.by_domain);
        let former: Vec<_> = by_domain.values().map(|place| self.places[place.0 as usize].lane).collect();
        for (domain, place) in &by_domain {
            let lane = self.use_lane(self.table.lane_of_domain(domain));
            self.places[place.0 as usize].lane = lane;
        }
        // Given up only now, so that a lane that stays keeps its rest.
        for lane in former {
            self.give_up_lane(lane);
        }
        self.by_domain = by_domain;
    }

    pub(super) fn table(&self) -> &LaneTable {
        &self.table
    }

    pub(super) fn lane_of(&self, place: Place) -> LaneIndex {
        self.places[place.0 as usize].lane
    }

    pub(super) fn is_paused(&self, place: Place) -> bool {
        self.places[place.0 as usize].paused
    }

    pub(super) fn find(&self, lane: &Lane) -> Option<LaneIndex> {
        self.by_name.get(lane).copied()
    }

    pub(super) fn name(&self, lane: LaneIndex) -> &Lane {
        &self.state(lane).lane
    }

    pub(super) fn indices(&self) -> Vec<LaneIndex> {
        self.by_name.values().copied().collect()
    }

    pub(super) fn rest(&self, lane: LaneIndex) -> Rest {
        self.state(lane).rest
    }

    pub(super) fn set_rest(&mut self, lane: LaneIndex, rest: Rest) {
        self.state_mut(lane).rest = rest;
    }

    /// Something of the lane was leased: it goes behind those that have waited longer for that, however old its next mail.
    pub(super) fn set_served(&mut self, lane: LaneIndex, now: Tick) {
        self.state_mut(lane).served = now;
    }

    /// The clock was set back: what it showed before is no measure.
    pub(super) fn forget_served(&mut self) {
        for state in self.states.iter_mut().flatten() {
            state.served = Tick::ZERO;
        }
    }

    /// A lease has ended, by whatever way: if it was a probe, the next one may go.
    pub(super) fn end_probe(&mut self, lane: LaneIndex, lease: NonZeroU32) {
        let state = self.state_mut(lane);
        if state.rest == Rest::Probing(lease) {
            state.rest = Rest::Until(Tick::ZERO);
        }
    }

    /// How many leases of the lane may be given now.
    pub(super) fn leases_allowed(&self, lane: LaneIndex, now: Tick, at_most: usize) -> usize {
        match self.rest(lane) {
            _ if self.is_blocked(lane) => 0,
            Rest::Open => at_most,
            Rest::Until(until) if until <= now => at_most.min(1),
            Rest::Until(_) | Rest::Probing(_) => 0,
        }
    }

    /// Notes when the lane is worth a look: at its first due time, or since it was last served; but not before its rest is
    /// over.
    pub(super) fn set_first_due(&mut self, lane: LaneIndex, first_due: Option<Tick>) {
        let wake = match (first_due, self.rest(lane)) {
            _ if self.is_blocked(lane) => None,
            (None, _) | (_, Rest::Probing(_)) => None,
            (Some(due), Rest::Open) => Some(due.max(self.state(lane).served)),
            (Some(due), Rest::Until(until)) => Some(due.max(until)),
        };
        self.set_wake(lane, wake);
    }

    fn set_wake(&mut self, lane: LaneIndex, wake: Option<Tick>) {
        let former = std::mem::replace(&mut self.state_mut(lane).wake, wake);
        if former == wake {
            return;
        }
        if let Some(former) = former {
            self.awake.remove(&(former, lane));
        }
        if let Some(wake) = wake {
            self.awake.insert((wake, lane));
        }
    }

    /// The lane of the mailboxes, and since when it has something to do.
    pub(super) fn local_awake(&self, now: Tick) -> Option<(Tick, LaneIndex)> {
        self.state(LOCAL).wake.filter(|wake| *wake <= now).map(|wake| (wake, LOCAL))
    }

    /// The other lanes with something to do, the longest waiting first.
    pub(super) fn others_awake(&self, now: Tick) -> impl Iterator<Item = (Tick, LaneIndex)> {
        self.awake.range(..=(now, LaneIndex(u32::MAX))).filter(|(_, lane)| *lane != LOCAL).copied()
    }

    /// When the next lane has something to do.
    pub(super) fn first_wake(&self) -> Option<Tick> {
        self.awake.first().map(|(wake, _)| *wake)
    }

    /// Notes a pause; returns the place whose deliveries it takes out.
    pub(super) fn pause(&mut self, scope: &PauseScope, until: Tick) -> Option<Place> {
        self.pauses.insert(scope.clone(), until);
        self.mark_place(scope, true)
    }

    pub(super) fn is_paused_by(&self, scope: &PauseScope) -> bool {
        self.pauses.contains_key(scope)
    }

    /// Ends a pause; returns the place whose deliveries come back.
    pub(super) fn resume(&mut self, scope: &PauseScope) -> Option<Place> {
        self.pauses.remove(scope);
        self.mark_place(scope, false)
    }

    fn mark_place(&mut self, scope: &PauseScope, paused: bool) -> Option<Place> {
        let PauseScope::Domain(domain) = scope else {
            return None;
        };
        let place = *self.by_domain.get(domain)?;
        self.places[place.0 as usize].paused = paused;
        Some(place)
    }

    pub(super) fn pauses(&self) -> impl Iterator<Item = (&PauseScope, Tick)> {
        self.pauses.iter().map(|(scope, until)| (scope, *until))
    }

    fn is_blocked(&self, lane: LaneIndex) -> bool {
        let scope = if lane == LOCAL { PauseScope::Mda } else { PauseScope::Mta };
        self.is_paused_by(&scope)
    }

    fn state(&self, lane: LaneIndex) -> &LaneState {
        self.states[lane.0 as usize].as_ref().expect("a lane in use has its state")
    }

    fn state_mut(&mut self, lane: LaneIndex) -> &mut LaneState {
        self.states[lane.0 as usize].as_mut().expect("a lane in use has its state")
    }
}

fn index(length: usize) -> u32 {
    u32::try_from(length).expect("there are fewer than 2^32 domains")
}
