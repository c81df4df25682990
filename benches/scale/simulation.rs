//! An hour of a cluster, event by event, under a simulated clock.
//!
//! ```text
//!  webhook ─▶ door ─▶ log ─▶ process ─▶ limits ─▶ vendor ─┐
//!                      ▲                  │  ▲            │ next request
//!                      ├── a part of a ◀──┘  └─ wake ◀─┐  │
//!                      │   window                      │  │
//!                      └──────── step ◀────────────────┼──┘
//!                                 └─▶ end ─▶ note ─▶ feed ─▶ copies      a pause until the window ends
//! ```
//! Cores of a machine are one station, for its process and its node; a partition of the log is one with one server, and so is
//! a feed. A piece of work at the log takes its partition and a core of its node, each as soon as it is free, and is done when
//! both are and its commits, one after the other, are durable. Every call goes to a process by chance.

use std::collections::{HashMap, VecDeque};

use super::agenda::Agenda;
use super::load::{Ask, BEGIN_COMMITS, Change, KINDS, Kind, Load, STEP, echo_at};
use super::parameters::Parameters;
use super::random::{Random, mixed};
use super::stations::{Station, Times};
use super::story::{Read, Story};
use super::windows::{Room, Share, Span, Window};

/// What a core is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    Door,
    Log,
    Turns,
    Limits,
    Copies,
}

pub const BUSY: [&str; 5] = ["door", "log", "turns", "limits", "copies"];

/// Records of the log for a part of a window: an invocation with a step and a value that is written.
const LEASE_RECORDS: u64 = 8;
/// Records to write a pause down, and to be called again.
const WAKE_RECORDS: u64 = 18;
/// Whoever would wait for less does so within its turn: `LONG_MS` of `src/engine/paused.rs`.
const LONG: u64 = 2_000_000;
/// A pause is looked at again within: `PAUSE_MS` of `src/engine/restate/line.rs`.
const PAUSE: u64 = 60_000_000;
/// With more runs at once it is plain that it falls behind: the rest is told by how fast.
const ALIVE_MAX: usize = 300_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Begin,
    Step,
    End,
    /// Of which limit of the side.
    Lease(u8),
    Wake,
    /// It looks again whether there is room.
    Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Change,
    /// An echo at an account, by its kind.
    Echo(u32, u8),
    /// It is accepted.
    Comes(u32),
    Log(u32),
    Process(u32),
    /// What a run wanted is there.
    Ready(u32),
    Note(u8),
    Copy(u8, u8),
}

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    /// When its webhook came.
    came: u64,
    account: u32,
    partition: u16,
    process: u16,
    kind: u8,
    next: u8,
    phase: Phase,
    /// A vendor's limit has held it back.
    was_held: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Simulated microseconds; less than was asked for where it fell behind too far.
    pub end: u64,
    pub changes: u64,
    pub echoes: u64,
    pub over: u64,
    /// Runs that are not over.
    pub left: u64,
    pub requests: [u64; 2],
    /// Parts of windows that were asked for, and pauses.
    pub leases: u64,
    pub pauses: u64,
    pub records: u64,
    pub told: u64,
    pub untold: u64,
    /// Notes that are not in the copy that is furthest behind, and those that were dropped before it has read them.
    pub uncopied: u64,
    pub lost: u64,
    /// From webhook to the write that carries it over: what no limit has held back, and what one has.
    pub free: Times,
    pub held: Times,
    /// Of the cores, 0 to 1, by what they do.
    pub busy: [f64; 5],
    /// Of the busiest one.
    pub cores: f64,
    pub partition: f64,
    pub feed: f64,
    pub reader: f64,
    /// Of all accounts' shortest windows, how many requests they gave at most.
    pub most_of_a_window: [u64; 2],
    /// Requests of the account that has made most, by side.
    pub most_of_an_account: [u64; 2],
}

impl Outcome {
    pub fn is_whole(&self, parameters: &Parameters) -> bool {
        self.end >= parameters.end()
    }
}

pub struct Simulation<'p> {
    parameters: &'p Parameters,
    machines: usize,
    spans: &'p [Vec<Span>; 2],
    /// Where a side's limits begin among all.
    offset: [usize; 2],
    limits: usize,
    agenda: Agenda<What>,
    random: Random,
    load: Load,
    change: Option<Change>,
    runs: Vec<Run>,
    unused: Vec<u32>,
    /// Runs that are being lived through, and those that wait until one of these ends or pauses.
    living: usize,
    lobby: VecDeque<u32>,
    cores: Vec<Station>,
    busy: [u64; 5],
    partitions: Vec<Station>,
    /// By account and limit.
    windows: Vec<Window>,
    /// By account, process and limit.
    shares: Vec<Share>,
    /// Runs that wait for a part that another one of their process asks for, by the share.
    waiting: HashMap<usize, Vec<u32>>,
    made: Vec<[u32; 2]>,
    story: Story,
    outcome: Outcome,
    /// Told of each request: when, by which account, at which side.
    pub sent: Option<Vec<(u64, u32, usize)>>,
}

impl<'p> Simulation<'p> {
    pub fn new(parameters: &'p Parameters, spans: &'p [Vec<Span>; 2], machines: usize, seed: u64) -> Self {
        let (accounts, limits) = (parameters.accounts(), spans[0].len() + spans[1].len());
        let partitions = (parameters.partitions as usize).max(1);
        Self {
            parameters,
            machines,
            spans,
            offset: [0, spans[0].len()],
            limits,
            agenda: Agenda::new(),
            random: Random::new(mixed(seed)),
            load: Load::new(seed, accounts, parameters.changes, parameters.end()),
            change: None,
            runs: Vec::new(),
            unused: Vec::new(),
            living: 0,
            lobby: VecDeque::new(),
            cores: vec![Station::new(parameters.cores as usize); machines],
            busy: [0; 5],
            partitions: vec![Station::new(1); partitions],
            windows: vec![Window::default(); accounts * limits],
            shares: vec![Share::default(); accounts * machines * limits],
            waiting: HashMap::new(),
            made: vec![[0; 2]; accounts],
            story: Story::new(parameters, machines),
            outcome: Outcome::default(),
            sent: None,
        }
    }

    pub fn run(&mut self) -> Outcome {
        let end = self.parameters.end();
        self.next_change();
        for (reader, feed) in self.story.readings() {
            self.agenda.put(0, What::Copy(reader, feed));
        }
        let mut now = 0;
        while let Some((time, what)) = self.agenda.take(end) {
            now = time;
            self.happens(now, what);
            if self.runs.len() - self.unused.len() > ALIVE_MAX {
                return self.outcome(now);
            }
        }
        self.outcome(end.max(now))
    }

    fn happens(&mut self, now: u64, what: What) {
        match what {
            What::Change => {
                let change = self.change.take().expect("it was put down");
                self.next_change();
                self.outcome.changes += 1;
                self.comes(now, change.account, change.kind);
            }
            What::Echo(account, kind) => {
                self.outcome.echoes += 1;
                self.comes(now, account, kind);
            }
            What::Comes(run) => {
                self.lobby.push_back(run);
                self.admit(now);
            }
            What::Log(run) => {
                if self.runs[run as usize].phase == Phase::Wake {
                    self.living += 1;
                }
                self.log(now, run);
            }
            What::Process(run) => self.process(now, run),
            What::Ready(run) => self.ready(now, run),
            What::Note(feed) => self.told(now, feed),
            What::Copy(reader, feed) => self.copy(now, reader, feed),
        }
    }

    fn next_change(&mut self) {
        self.change = self.load.next().filter(|change| change.at < self.parameters.end());
        if let Some(change) = &self.change {
            self.agenda.put(change.at, What::Change);
        }
    }

    /// A webhook comes to one of the doors.
    fn comes(&mut self, now: u64, account: u32, kind: u8) {
        let process = self.random.below(self.machines) as u16;
        let partition = self.random.below(self.partitions.len()) as u16;
        let came = Run { came: now, account, partition, process, kind, ..Run::default() };
        let run = match self.unused.pop() {
            Some(run) => {
                self.runs[run as usize] = came;
                run
            }
            None => {
                self.runs.push(came);
                (self.runs.len() - 1) as u32
            }
        };
        let work = self.parameters.door_us + self.parameters.crossing_us;
        let done = self.at_core(now, process.into(), work, Busy::Door);
        self.agenda.put(done, What::Comes(run));
    }

    /// A node lives through so many at once; the others wait.
    fn admit(&mut self, now: u64) {
        let most = self.parameters.at_once as usize * self.machines;
        while self.living < most
            && let Some(run) = self.lobby.pop_front()
        {
            self.living += 1;
            self.log(now, run);
        }
    }

    fn at_core(&mut self, now: u64, machine: usize, work: f64, busy: Busy) -> u64 {
        let work = work.round() as u64;
        self.busy[busy as usize] += work;
        self.cores[machine].serve(now, work)
    }

    /// Records of a partition: by itself, and on a core of its node and of those that keep copies.
    fn at_log(&mut self, now: u64, partition: usize, records: u64, busy: Busy) -> u64 {
        let Parameters { record_us, serial_us, replica_share, copies_of_log, .. } = *self.parameters;
        let node = partition % self.machines;
        self.outcome.records += records;
        let serial = self.partitions[partition].serve(now, (records as f64 * serial_us).round() as u64);
        let work = records as f64 * record_us;
        for copy in 1..(copies_of_log as usize).min(self.machines) {
            self.at_core(now, (node + copy) % self.machines, work * replica_share, busy);
        }
        self.at_core(now, node, work, busy).max(serial)
    }

    fn kind(&self, run: u32) -> &'static Kind {
        &KINDS[usize::from(self.runs[run as usize].kind)]
    }

    fn ask(&self, run: u32) -> Ask {
        self.kind(run).asks[usize::from(self.runs[run as usize].next)]
    }

    fn log(&mut self, now: u64, run: u32) {
        let Run { partition, phase, account, .. } = self.runs[run as usize];
        let (partition, kind) = (usize::from(partition), self.kind(run));
        let (partition, records, commits, busy) = match phase {
            Phase::Begin => (partition, kind.begin, BEGIN_COMMITS, Busy::Log),
            Phase::Step => (partition, STEP, 2, Busy::Log),
            Phase::End => (partition, STEP + kind.end, 2, Busy::Log),
            Phase::Lease(limit) => {
                let key = (u64::from(account) << 8) | (self.offset[self.ask(run).side] as u64 + u64::from(limit));
                let own = mixed(key) % self.partitions.len() as u64;
                (own as usize, LEASE_RECORDS, 3, Busy::Limits)
            }
            Phase::Wake | Phase::Look => (partition, WAKE_RECORDS, 3, Busy::Limits),
        };
        let done = self.at_log(now, partition, records, busy);
        let commits = commits as f64 * self.parameters.commit_us;
        self.agenda.put(done + commits as u64, What::Process(run));
    }

    fn process(&mut self, now: u64, run: u32) {
        let Run { process, phase, .. } = self.runs[run as usize];
        let kind = self.kind(run);
        let (crossings, requests, busy) = match phase {
            Phase::Begin => (kind.crossings_begin, 1, Busy::Turns),
            Phase::Step => (1, 1, Busy::Turns),
            Phase::End => (1 + kind.crossings_end, 0, Busy::Turns),
            Phase::Lease(_) => (3, 0, Busy::Limits),
            Phase::Wake | Phase::Look => (2, 0, Busy::Limits),
        };
        let Parameters { crossing_us, request_us, .. } = *self.parameters;
        let work = crossings as f64 * crossing_us + f64::from(requests) * request_us;
        let done = self.at_core(now, process.into(), work, busy);
        self.agenda.put(done, What::Ready(run));
    }

    fn ready(&mut self, now: u64, run: u32) {
        match self.runs[run as usize].phase {
            Phase::End => {
                self.outcome.over += 1;
                self.unused.push(run);
                self.tell(now);
                self.living -= 1;
                self.admit(now);
            }
            Phase::Lease(limit) => {
                let (at, share) = self.places(run, limit.into());
                let span = &self.spans[self.ask(run).side][usize::from(limit)];
                let granted = self.windows[at].lease(span, now);
                self.shares[share].asks = false;
                self.shares[share].got(granted, &self.windows[at]);
                let waiting = self.waiting.remove(&share).unwrap_or_default();
                self.request(now, run);
                waiting.into_iter().for_each(|other| self.request(now, other));
            }
            Phase::Begin | Phase::Step | Phase::Wake | Phase::Look => self.request(now, run),
        }
    }

    /// Where a limit of an account is kept, and what the run's process has got of it.
    fn places(&self, run: u32, limit: usize) -> (usize, usize) {
        let Run { account, process, .. } = self.runs[run as usize];
        let (account, limit) = (account as usize, self.offset[self.ask(run).side] + limit);
        let share = (account * self.machines + usize::from(process)) * self.limits + limit;
        (account * self.limits + limit, share)
    }

    /// The next request goes if every limit has room.
    fn request(&mut self, now: u64, run: u32) {
        let Ask { side, writes } = self.ask(run);
        let spans = &self.spans[side];
        let mut until = 0;
        for (limit, span) in spans.iter().enumerate() {
            let share = self.places(run, limit).1;
            match self.shares[share].room(span, now) {
                Room::Go => {}
                Room::Until(end) => until = until.max(end),
                Room::Ask if self.shares[share].asks => {
                    self.runs[run as usize].phase = Phase::Look;
                    return self.waiting.entry(share).or_default().push(run);
                }
                Room::Ask => {
                    self.shares[share].asks = true;
                    self.outcome.leases += 1;
                    self.runs[run as usize].phase = Phase::Lease(limit as u8);
                    return self.agenda.put(now, What::Log(run));
                }
            }
        }
        if until > now {
            return self.hold(now, run, until);
        }
        for limit in 0..spans.len() {
            let share = self.places(run, limit).1;
            self.shares[share].take();
        }
        let count = self.kind(run).asks.len();
        let one = &mut self.runs[run as usize];
        self.outcome.requests[side] += 1;
        self.made[one.account as usize][side] += 1;
        if let Some(sent) = &mut self.sent {
            sent.push((now, one.account, side));
        }
        if writes {
            let times = if one.was_held { &mut self.outcome.held } else { &mut self.outcome.free };
            times.add(now - one.came);
            let there = now + (self.parameters.vendor_us / 2.0 + self.parameters.echo_us) as u64;
            self.agenda.put(there, What::Echo(one.account, echo_at(side)));
        }
        one.next += 1;
        one.phase = if usize::from(one.next) < count { Phase::Step } else { Phase::End };
        self.agenda.put(now + self.parameters.vendor_us as u64, What::Log(run));
    }

    /// A limit is used up: a short wait is in the turn, a long one ends it.
    fn hold(&mut self, now: u64, run: u32, until: u64) {
        let process = self.random.below(self.machines) as u16;
        let one = &mut self.runs[run as usize];
        one.was_held = true;
        if until - now < LONG {
            one.phase = Phase::Look;
            return self.agenda.put(until, What::Ready(run));
        }
        (one.phase, one.process) = (Phase::Wake, process);
        self.outcome.pauses += 1;
        self.agenda.put(until.min(now + PAUSE), What::Log(run));
        // Every turn is told.
        self.tell(now);
        self.living -= 1;
        self.admit(now);
    }

    fn tell(&mut self, now: u64) {
        let feed = self.random.below(self.story.feeds.len());
        if self.story.comes(feed) {
            self.begin_note(now, feed);
        }
    }

    /// A feed takes what waits, as much as one call brings.
    fn begin_note(&mut self, now: u64, feed: usize) {
        let (partition, records) = self.story.takes(feed);
        let process = self.random.below(self.machines);
        let done = self.at_log(now, partition, records, Busy::Copies);
        self.at_core(now, process, self.parameters.crossing_us, Busy::Copies);
        self.agenda.put(done.max(now + self.parameters.feed_us as u64), What::Note(feed as u8));
    }

    fn told(&mut self, now: u64, feed: u8) {
        if self.story.has_told(feed.into()) {
            self.begin_note(now, feed.into());
        }
    }

    /// A process reads a feed on.
    fn copy(&mut self, now: u64, reader: u8, feed: u8) {
        let Read { partition, records, notes, takes } = self.story.reads(reader.into(), feed.into());
        let work = self.parameters.crossing_us + notes as f64 * self.parameters.copy_us;
        let log = self.at_log(now, partition, records, Busy::Copies);
        let core = self.at_core(now, reader.into(), work, Busy::Copies);
        self.agenda.put(log.max(core).max(now + takes), What::Copy(reader, feed));
    }

    fn outcome(&mut self, end: u64) -> Outcome {
        let mut outcome = std::mem::take(&mut self.outcome);
        let all = end as f64 * self.machines as f64 * self.parameters.cores;
        outcome.end = end;
        outcome.left = (self.runs.len() - self.unused.len()) as u64;
        outcome.busy = self.busy.map(|busy| busy as f64 / all);
        let most = |stations: &[Station]| stations.iter().map(|station| station.load(end)).fold(0.0, f64::max);
        outcome.cores = most(&self.cores);
        outcome.partition = most(&self.partitions);
        (outcome.told, outcome.untold) = (self.story.told(), self.story.untold());
        (outcome.uncopied, outcome.lost) = (self.story.uncopied(), self.story.lost);
        (outcome.feed, outcome.reader) = self.story.loads(end, self.parameters);
        for side in 0..2 {
            let made = self.made.iter().map(|made| u64::from(made[side])).max();
            outcome.most_of_an_account[side] = made.unwrap_or(0);
            let windows = self.windows.iter().skip(self.offset[side]).step_by(self.limits);
            outcome.most_of_a_window[side] = windows.map(|window| u64::from(window.total)).max().unwrap_or(0);
        }
        outcome
    }
}
