//! The schedule against a naive one: a list that is searched from front to back.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use smtp_proto::Domain;

use super::*;

const DOMAINS: [&str; 4] = ["a.example", "b.example", "c.example", "d.example"];

#[derive(Debug, Clone)]
enum Operation {
    Insert { message: u64, number: u32, place: usize, due: u64, expires: u64, notice: Option<u64> },
    Lease { place: usize, at_most: usize },
    LeaseOverdue { at_most: usize },
    GiveBack(usize),
    Defer(usize, u64),
    NoticeSent(usize),
    Finish(usize),
    Remove(usize),
    Hold(usize, Option<u64>),
    Release(usize),
    DueNow(usize),
    Rest(usize, u64),
    Wake(usize),
    Pause(usize, Option<u64>),
    Resume(usize),
    SetLanes(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let place = 0..=DOMAINS.len();
    let seconds = 0_u64..40;
    let scope = 0..DOMAINS.len() + 2;
    let which = 0_usize..12;
    prop_oneof![
        8 => (0_u64..8, 0_u32..3, place.clone(), seconds.clone(), 0_u64..120, proptest::option::of(0_u64..60)).prop_map(
            |(message, number, place, due, expires, notice)| Operation::Insert { message, number, place, due, expires, notice }
        ),
        8 => (place.clone(), 0_usize..4).prop_map(|(place, at_most)| Operation::Lease { place, at_most }),
        2 => (0_usize..3).prop_map(|at_most| Operation::LeaseOverdue { at_most }),
        1 => which.clone().prop_map(Operation::GiveBack),
        3 => (which.clone(), seconds.clone()).prop_map(|(which, due)| Operation::Defer(which, due)),
        1 => which.clone().prop_map(Operation::NoticeSent),
        2 => which.clone().prop_map(Operation::Finish),
        1 => which.clone().prop_map(Operation::Remove),
        1 => (which.clone(), proptest::option::of(seconds.clone())).prop_map(|(which, until)| Operation::Hold(which, until)),
        1 => which.clone().prop_map(Operation::Release),
        1 => which.prop_map(Operation::DueNow),
        2 => (place.clone(), seconds.clone()).prop_map(|(place, until)| Operation::Rest(place, until)),
        1 => place.prop_map(Operation::Wake),
        1 => (scope.clone(), proptest::option::of(seconds)).prop_map(|(scope, until)| Operation::Pause(scope, until)),
        1 => scope.prop_map(Operation::Resume),
        1 => (0_usize..3).prop_map(Operation::SetLanes),
    ]
}

fn destination(place: usize) -> Destination {
    DOMAINS.get(place).map_or_else(to_mailbox, |name| to_domain(name))
}

fn scope(index: usize) -> PauseScope {
    match index.checked_sub(DOMAINS.len()) {
        None => PauseScope::Domain(DOMAINS[index].parse().unwrap()),
        Some(0) => PauseScope::Mta,
        Some(_) => PauseScope::Mda,
    }
}

fn table(which: usize) -> LaneTable {
    let rule = |pattern: &str, name| (pattern.parse().unwrap(), Lane::new(name));
    match which {
        0 => LaneTable::default(),
        1 => LaneTable::new(vec![rule("a.example", "hop"), rule("b.example", "hop")], None),
        _ => LaneTable::new(vec![rule("c.example", "c.example")], Some(Lane::new("hop"))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModelState {
    Waiting,
    Leased(LeaseNumber),
    Held(Option<SystemTime>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModelRest {
    Until(SystemTime),
    Probing(LeaseNumber),
}

#[derive(Debug, Clone)]
struct ModelEntry {
    destination: Destination,
    due: SystemTime,
    expires: SystemTime,
    notice: Option<SystemTime>,
    priority: Priority,
    state: ModelState,
}

/// What may be leased of a message.
struct Leasable {
    /// The less it is, the sooner the message goes: the highest priority, and of that the due time of its first delivery.
    turn: (Reverse<Priority>, SystemTime),
    numbers: Vec<u32>,
}

impl ModelEntry {
    fn overdue(&self, now: SystemTime) -> Option<Overdue> {
        if self.state != ModelState::Waiting {
            return None;
        }
        if self.expires <= now {
            return Some(Overdue::Expired);
        }
        self.notice.is_some_and(|at| at <= now).then_some(Overdue::NoticeOwed)
    }
}

struct Model {
    table: LaneTable,
    entries: BTreeMap<DeliveryId, ModelEntry>,
    rests: HashMap<Lane, ModelRest>,
    pauses: HashMap<PauseScope, Option<SystemTime>>,
    /// Domains that deliveries have come for: their lanes are known.
    known: HashSet<Domain>,
}

impl Model {
    fn lane(&self, entry: &ModelEntry) -> Lane {
        self.table.lane_of(&entry.destination)
    }

    fn lanes(&self) -> HashSet<Lane> {
        let of_domains = self.known.iter().map(|domain| self.table.lane_of_domain(domain));
        of_domains.chain([Lane::local()]).collect()
    }

    fn advance(&mut self, now: SystemTime) {
        for entry in self.entries.values_mut() {
            if matches!(entry.state, ModelState::Held(Some(until)) if until <= now) {
                entry.state = ModelState::Waiting;
            }
        }
        self.pauses.retain(|_, until| until.is_none_or(|until| until > now));
    }

    fn is_blocked(&self, lane: &Lane) -> bool {
        self.pauses.contains_key(if lane.is_local() { &PauseScope::Mda } else { &PauseScope::Mta })
    }

    /// Waiting, and in no paused domain.
    fn may_go(&self, entry: &ModelEntry) -> bool {
        let paused = entry.destination.domain().cloned().map(PauseScope::Domain);
        entry.state == ModelState::Waiting && !paused.is_some_and(|scope| self.pauses.contains_key(&scope))
    }

    fn allowed(&self, lane: &Lane, now: SystemTime, at_most: usize) -> usize {
        match self.rests.get(lane) {
            _ if self.is_blocked(lane) => 0,
            None => at_most,
            Some(ModelRest::Until(until)) if *until <= now => at_most.min(1),
            Some(_) => 0,
        }
    }

    /// What may be leased in a lane, by message.
    fn leasable(&self, lane: &Lane, now: SystemTime) -> BTreeMap<MessageId, Leasable> {
        let mut messages: BTreeMap<MessageId, Leasable> = BTreeMap::new();
        for (id, entry) in &self.entries {
            if self.may_go(entry) && self.lane(entry) == *lane && entry.due <= now && entry.expires > now {
                let turn = (Reverse(entry.priority), entry.due);
                let message = messages.entry(id.message).or_insert(Leasable { turn, numbers: Vec::new() });
                message.turn = message.turn.min(turn);
                message.numbers.push(id.number);
            }
        }
        messages
    }

    fn take(&mut self, lease: &Leased) {
        for number in &lease.numbers {
            let entry = self.entries.get_mut(&DeliveryId { message: lease.message, number: *number }).unwrap();
            assert_eq!(entry.state, ModelState::Waiting, "leased twice");
            entry.state = ModelState::Leased(lease.lease);
        }
    }

    fn leave(&mut self, id: DeliveryId, state: Option<ModelState>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let former = entry.state;
        let destination = entry.destination.clone();
        match state {
            Some(state) => entry.state = state,
            None => drop(self.entries.remove(&id)),
        }
        if let ModelState::Leased(lease) = former {
            let lane = self.table.lane_of(&destination);
            if self.rests.get(&lane) == Some(&ModelRest::Probing(lease)) {
                self.rests.insert(lane, ModelRest::Until(SystemTime::UNIX_EPOCH));
            }
        }
    }

    fn next_due(&self) -> Option<SystemTime> {
        let waiting = self.entries.values().filter(|entry| entry.state == ModelState::Waiting);
        let timers = waiting.map(|entry| entry.notice.map_or(entry.expires, |notice| notice.min(entry.expires)));
        let lanes = self.entries.values().filter(|entry| self.may_go(entry)).filter_map(|entry| {
            let lane = self.lane(entry);
            match self.rests.get(&lane) {
                _ if self.is_blocked(&lane) => None,
                None => Some(entry.due),
                Some(ModelRest::Until(until)) => Some(entry.due.max(*until)),
                Some(ModelRest::Probing(_)) => None,
            }
        });
        let holds = self.entries.values().filter_map(|entry| match entry.state {
            ModelState::Held(until) => until,
            _ => None,
        });
        timers.chain(lanes).chain(holds).chain(self.pauses.values().copied().flatten()).min()
    }
}

struct Pair {
    real: Schedule,
    model: Model,
    leases: Vec<(DeliveryId, LeaseNumber)>,
    now: SystemTime,
}

impl Pair {
    fn new() -> Self {
        let model = Model {
            table: table(0),
            entries: BTreeMap::new(),
            rests: HashMap::new(),
            pauses: HashMap::new(),
            known: HashSet::new(),
        };
        Self { real: Schedule::new(table(0), start()), model, leases: Vec::new(), now: at(100) }
    }

    fn later(&self, seconds: u64) -> SystemTime {
        self.now + Duration::from_secs(seconds)
    }

    fn some_id(&self, which: usize) -> DeliveryId {
        let ids: Vec<_> = self.model.entries.keys().copied().collect();
        if ids.is_empty() { id(0, 0) } else { ids[which % ids.len()] }
    }

    /// A lease, which may be one that has ended or been lost.
    fn some_lease(&self, which: usize) -> Option<(DeliveryId, LeaseNumber)> {
        let recent = self.leases.len().saturating_sub(12);
        self.leases.get(recent + which).copied()
    }

    fn run(&mut self, operation: &Operation) {
        self.real.next_due(self.now);
        self.model.advance(self.now);
        match *operation {
            Operation::Insert { message, number, place, due, expires, notice } => {
                self.insert(id(message, number), &destination(place), due, expires, notice);
            }
            Operation::Lease { place, at_most } => self.lease(place, at_most),
            Operation::LeaseOverdue { at_most } => self.lease_overdue(at_most),
            Operation::GiveBack(which) => self.end(which, Schedule::give_back, |_| true),
            Operation::Defer(which, due) => {
                let due = self.later(due);
                self.end(
                    which,
                    |real, id, lease| real.defer(id, lease, due),
                    |entry| {
                        entry.due = due;
                        true
                    },
                );
            }
            Operation::NoticeSent(which) => self.end(which, Schedule::notice_sent, |entry| {
                entry.notice = None;
                true
            }),
            Operation::Finish(which) => self.end(which, Schedule::finish, |_| false),
            _ => self.control(operation),
        }
        self.compare();
    }

    fn insert(&mut self, id: DeliveryId, destination: &Destination, due: u64, expires: u64, notice: Option<u64>) {
        let (due, expires_at, notice_at) = (self.later(due), self.later(expires), notice.map(|at| self.later(at)));
        let priority = priority_of(id.message);
        let inserted = self.real.insert(&NewEntry { id, destination, due, expires_at, notice_at, priority });
        assert_eq!(inserted, !self.model.entries.contains_key(&id));
        if inserted {
            self.model.known.extend(destination.domain().cloned());
            let (destination, state) = (destination.clone(), ModelState::Waiting);
            let entry = ModelEntry { destination, due, expires: expires_at, notice: notice_at, priority, state };
            self.model.entries.insert(id, entry);
        }
    }

    fn lease(&mut self, place: usize, at_most: usize) {
        let lane = self.model.table.lane_of(&destination(place));
        let leasable = self.model.leasable(&lane, self.now);
        let leases = self.real.lease(&lane, self.now, at_most);
        assert_eq!(leases.len(), self.model.allowed(&lane, self.now, at_most).min(leasable.len()));
        let mut turns: Vec<_> = leasable.values().map(|message| message.turn).collect();
        turns.sort();
        for (lease, turn) in leases.iter().zip(turns) {
            let message = &leasable[&lease.message];
            assert_eq!((&lease.numbers, &lease.lane, lease.overdue), (&message.numbers, &lane, None));
            assert_eq!(message.turn, turn, "the highest priority goes first, and of that the longest due");
            self.note(lease);
        }
        if let (Some(ModelRest::Until(_)), Some(probe)) = (self.model.rests.get(&lane), leases.first()) {
            self.model.rests.insert(lane, ModelRest::Probing(probe.lease));
        }
    }

    fn lease_overdue(&mut self, at_most: usize) {
        let leases = self.real.lease_overdue(self.now, at_most);
        for lease in &leases {
            assert!(lease.overdue.is_some());
            let of_message = self.model.entries.iter().filter(|(id, _)| id.message == lease.message);
            let same_fate = of_message.filter(|(_, entry)| entry.overdue(self.now) == lease.overdue);
            assert_eq!(lease.numbers, same_fate.map(|(id, _)| id.number).collect::<Vec<_>>());
            self.note(lease);
        }
        let left = self.model.entries.values().any(|entry| entry.overdue(self.now).is_some());
        assert!(leases.len() == at_most || !left);
    }

    fn note(&mut self, lease: &Leased) {
        self.model.take(lease);
        let ids = lease.numbers.iter().map(|number| DeliveryId { message: lease.message, number: *number });
        self.leases.extend(ids.map(|id| (id, lease.lease)));
    }

    fn end(
        &mut self,
        which: usize,
        real: impl FnOnce(&mut Schedule, DeliveryId, LeaseNumber) -> bool,
        stays: impl FnOnce(&mut ModelEntry) -> bool,
    ) {
        let Some((id, lease)) = self.some_lease(which) else { return };
        let entry = self.model.entries.get_mut(&id);
        let entry = entry.filter(|entry| entry.state == ModelState::Leased(lease));
        assert_eq!(real(&mut self.real, id, lease), entry.is_some());
        if let Some(entry) = entry {
            let state = stays(entry).then_some(ModelState::Waiting);
            self.model.leave(id, state);
        }
    }

    fn control(&mut self, operation: &Operation) {
        match *operation {
            Operation::Remove(which) => {
                let id = self.some_id(which);
                assert_eq!(self.real.remove(id), self.model.entries.contains_key(&id));
                self.model.leave(id, None);
            }
            Operation::Hold(which, until) => {
                let (id, until) = (self.some_id(which), until.map(|until| self.later(until)));
                assert_eq!(self.real.hold(id, until), self.model.entries.contains_key(&id));
                self.model.leave(id, Some(ModelState::Held(until)));
            }
            Operation::Release(which) => {
                let id = self.some_id(which);
                let held = self.model.entries.get(&id).is_some_and(|entry| matches!(entry.state, ModelState::Held(_)));
                assert_eq!(self.real.release(id), held);
                if held {
                    self.model.leave(id, Some(ModelState::Waiting));
                }
            }
            Operation::DueNow(which) => self.due_now(self.some_id(which)),
            Operation::Pause(index, until) => {
                let until = until.map(|until| self.later(until));
                self.real.pause(&scope(index), until);
                self.model.pauses.insert(scope(index), until);
            }
            Operation::Resume(index) => {
                let paused = self.model.pauses.remove(&scope(index)).is_some();
                assert_eq!(self.real.resume(&scope(index)), paused);
            }
            _ => self.control_lane(operation),
        }
    }

    fn due_now(&mut self, id: DeliveryId) {
        let entry = self.model.entries.get_mut(&id).filter(|entry| entry.state == ModelState::Waiting);
        assert_eq!(self.real.due_now(id, self.now), entry.is_some());
        let Some(entry) = entry else { return };
        entry.due = entry.due.min(self.now);
        let lane = self.model.table.lane_of(&entry.destination);
        if let Some(ModelRest::Until(until)) = self.model.rests.get_mut(&lane) {
            *until = SystemTime::UNIX_EPOCH;
        }
    }

    fn control_lane(&mut self, operation: &Operation) {
        match *operation {
            Operation::Rest(place, until) => {
                let (lane, until) = (self.model.table.lane_of(&destination(place)), self.later(until));
                let known = self.model.lanes().contains(&lane);
                assert_eq!(self.real.rest_lane(&lane, until), known);
                let longer = match self.model.rests.get(&lane) {
                    Some(ModelRest::Until(former)) => until.max(*former),
                    _ => until,
                };
                if known {
                    self.model.rests.insert(lane, ModelRest::Until(longer));
                }
            }
            Operation::Wake(place) => {
                let lane = self.model.table.lane_of(&destination(place));
                assert_eq!(self.real.wake_lane(&lane), self.model.rests.remove(&lane).is_some());
            }
            Operation::SetLanes(which) => {
                self.real.set_lanes(table(which));
                self.model.table = table(which);
                let lanes = self.model.lanes();
                self.model.rests.retain(|lane, _| lanes.contains(lane));
                for rest in self.model.rests.values_mut() {
                    if let ModelRest::Probing(_) = rest {
                        *rest = ModelRest::Until(SystemTime::UNIX_EPOCH);
                    }
                }
            }
            _ => unreachable!("handled before"),
        }
    }

    /// All that can be seen from outside is the same.
    fn compare(&mut self) {
        let next = self.real.next_due(self.now);
        self.model.advance(self.now);
        let count =
            |wanted: fn(&ModelState) -> bool| self.model.entries.values().filter(|entry| wanted(&entry.state)).count();
        let counts = self.real.counts();
        assert_eq!(counts.deliveries, self.model.entries.len());
        assert_eq!(counts.leased, count(|state| matches!(state, ModelState::Leased(_))));
        assert_eq!(counts.held, count(|state| matches!(state, ModelState::Held(_))));
        assert_eq!(counts.lanes_at_rest, self.model.rests.len());
        let expected = self.model.next_due();
        // What has passed may be named by another moment of the past: it means now.
        let passed = |time: Option<SystemTime>| time.map(|time| time.max(self.now));
        assert_eq!(passed(next), passed(expected));
        let ready: HashMap<_, _> =
            self.real.ready(self.now, usize::MAX).into_iter().map(|ready| (ready.lane, ready.due)).collect();
        for lane in self.model.lanes() {
            let due: usize = self.model.leasable(&lane, self.now).values().map(|message| message.numbers.len()).sum();
            let due = due.min(self.model.allowed(&lane, self.now, usize::MAX));
            // Expired deliveries may still be counted, until they are leased as such.
            let expired = self.model.entries.values().filter(|entry| entry.overdue(self.now) == Some(Overdue::Expired));
            let counted = ready.get(&lane).copied().unwrap_or_default();
            assert!(counted >= due && counted <= due + expired.count(), "{lane}: {counted}, {due}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_schedule_does_what_a_naive_one_does(
        steps in proptest::collection::vec((operation(), 0_u64..8), 1..120)
    ) {
        let mut pair = Pair::new();
        for (operation, elapsed) in steps {
            pair.now = pair.later(elapsed);
            pair.run(&operation);
        }
    }
}
