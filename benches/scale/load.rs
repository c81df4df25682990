//! What comes: who changes what, and when; and what a change costs at the vendors and in the cluster.

use super::random::Random;

/// Of changes, so many come from the first side of the sync: people work in both.
const FROM_FIRST: f64 = 0.5;
/// Of the changes that are no import, so many make a new contact. A sales team edits a contact some twenty times.
const NEW: f64 = 0.05;
/// Of the accounts, so many import a list within the hour: each about once a week, in working hours.
pub const IMPORTERS: f64 = 0.02;
/// Contacts of one import; they are a part of the account's changes of that hour.
pub const IMPORTED: usize = 300;
/// So long the vendor takes for an import, and tells of it as it goes. Seconds.
const IMPORT_TAKES: f64 = 30.0;

pub const FIRST: usize = 0;
pub const SECOND: usize = 1;

/// A request of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub side: usize,
    /// It carries the change over.
    pub writes: bool,
}

const fn read(side: usize) -> Ask {
    Ask { side, writes: false }
}

const fn write(side: usize) -> Ask {
    Ask { side, writes: true }
}

/// What a run of the shipped sync `contacts` does.
///
/// The requests are counted by `tests/past_this_machine.rs` on the real program. The rest is what a node of Restate 1.x says at
/// its `/metrics` of 100 changes of each kind, each with its echo: 27.9, 28.7 and 33.7 invocations, 237, 240 and 295 records of
/// the log, without those of processes that only look at the feeds.
#[derive(Debug)]
pub struct Kind {
    pub asks: &'static [Ask],
    /// Side whose webhook tells of what this one has written.
    pub echo: Option<usize>,
    /// Records of the log until the first request, and at the end; the note to the feed is apart.
    pub begin: u64,
    pub end: u64,
    /// Crossings between a process and the cluster: invocations served, calls through the ingress, steps.
    pub crossings_begin: u64,
    pub crossings_end: u64,
}

/// Records of one step: the command, and what came of it. With what else goes along, four.
pub const STEP: u64 = 4;
/// Commits that follow each other until the first request: accepted; two looks of three calls; two turns.
pub const BEGIN_COMMITS: u64 = 1 + 2 * 3 * 2 + 2 * 2;

/// A contact of the first side is changed: both are read, the second is written.
const FROM_FIRST_SIDE: Kind = Kind {
    asks: &[read(FIRST), read(SECOND), write(SECOND)],
    echo: Some(SECOND),
    begin: 80,
    end: 26,
    crossings_begin: 24,
    crossings_end: 4,
};

/// The other way; the first side is read back, since its connector says `confirm_writes`.
const FROM_SECOND_SIDE: Kind = Kind {
    asks: &[read(SECOND), read(FIRST), write(FIRST), read(FIRST)],
    echo: Some(FIRST),
    begin: 80,
    end: 26,
    crossings_begin: 24,
    crossings_end: 4,
};

/// A new contact of the first side: looked for by address and by number, made; then lists of notes and tasks of both.
const NEW_AT_FIRST: Kind = Kind {
    asks: &[
        read(FIRST),
        read(SECOND),
        read(SECOND),
        write(SECOND),
        read(FIRST),
        read(SECOND),
        read(FIRST),
        read(SECOND),
    ],
    echo: Some(SECOND),
    begin: 100,
    end: 44,
    crossings_begin: 28,
    crossings_end: 6,
};

/// The echo of our own write: it is read, and nothing has changed.
const ECHO_AT_FIRST: Kind =
    Kind { asks: &[read(FIRST)], echo: None, begin: 80, end: 21, crossings_begin: 24, crossings_end: 2 };

const ECHO_AT_SECOND: Kind = Kind { asks: &[read(SECOND)], ..ECHO_AT_FIRST };

pub const KINDS: [Kind; 5] = [FROM_FIRST_SIDE, FROM_SECOND_SIDE, NEW_AT_FIRST, ECHO_AT_FIRST, ECHO_AT_SECOND];
const NEW_KIND: u8 = 2;

/// The run that the echo at a side starts.
pub fn echo_at(side: usize) -> u8 {
    if side == FIRST { 3 } else { 4 }
}

/// A change.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub at: u64,
    pub account: u32,
    pub kind: u8,
}

/// The changes of all accounts, in the order of time: a Poisson stream for each, which together are one, and imports.
pub struct Load {
    random: Random,
    accounts: usize,
    /// Microseconds between two changes of the stream, on average.
    pause: f64,
    next: f64,
    /// Those of imports, the last first.
    imported: Vec<Change>,
}

const HOUR: f64 = 3_600e6;

impl Load {
    /// So many changes an hour of each account on average, imports among them.
    pub fn new(seed: u64, accounts: usize, changes_an_hour: f64, end: u64) -> Load {
        let mut random = Random::new(seed);
        let hours = end as f64 / HOUR;
        let imports = (accounts as f64 * IMPORTERS * hours).round() as usize;
        let mut imported = Vec::new();
        for _ in 0..imports {
            let (account, begin) = (random.below(accounts) as u32, random.share() * end as f64);
            imported.extend((0..IMPORTED).map(|_| {
                let at = (begin + random.share() * IMPORT_TAKES * 1e6) as u64;
                Change { at, account, kind: NEW_KIND }
            }));
        }
        imported.sort_by_key(|change| std::cmp::Reverse(change.at));
        let an_hour = (accounts as f64 * (changes_an_hour - IMPORTERS * IMPORTED as f64)).max(1.0);
        let pause = HOUR / an_hour;
        let next = random.pause() * pause;
        Load { random, accounts, pause, next, imported }
    }
}

impl Iterator for Load {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        if let Some(first) = self.imported.last().filter(|first| (first.at as f64) < self.next) {
            let first = *first;
            self.imported.pop();
            return Some(first);
        }
        let at = self.next as u64;
        self.next += self.random.pause() * self.pause;
        let account = self.random.below(self.accounts) as u32;
        let chance = self.random.share();
        let kind = match () {
            () if chance < NEW => NEW_KIND,
            () if chance < NEW + (1.0 - NEW) * FROM_FIRST => 0,
            () => 1,
        };
        Some(Change { at, account, kind })
    }
}

/// Requests of a change at a side, with its echo: of the stream, on average.
pub fn requests_of_a_change(side: usize) -> f64 {
    let of = |kind: usize| {
        let echo = KINDS[kind].echo.map_or(0, |side| usize::from(echo_at(side)));
        let all = KINDS[kind].asks.iter().chain(KINDS[echo].asks);
        all.filter(|ask| ask.side == side).count() as f64
    };
    NEW * of(2) + (1.0 - NEW) * (FROM_FIRST * of(0) + (1.0 - FROM_FIRST) * of(1))
}
