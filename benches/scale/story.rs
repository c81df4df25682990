//! What lines tell those who look: feeds that number notes, and the processes that read them into copies of their own.

use super::parameters::Parameters;

/// Records of the log of one call of a feed, without its notes; and of one look at it.
const CALL_RECORDS: u64 = 6;
/// Notes that a feed keeps, that are read at once, and how long a reader rests that has found none: as in
/// `src/engine/restate/feed.rs`.
const KEPT: u64 = 400_000;
const PAGE: u64 = 400;
const PAUSE: u64 = 300_000;

#[derive(Clone, Debug, Default)]
pub struct Feed {
    waiting: u64,
    /// Those in the call that is under way.
    under_way: u64,
    head: u64,
    busy: bool,
    /// Calls that have told it.
    calls: u64,
}

pub struct Story {
    pub feeds: Vec<Feed>,
    /// By reader and feed: up to which note.
    read: Vec<Vec<u64>>,
    /// By reader and feed: microseconds of reading.
    reading: Vec<Vec<u64>>,
    partitions: usize,
    at_once: u64,
    read_us: f64,
    /// Notes that were dropped before a process had read them, of all processes.
    pub lost: u64,
}

/// What one look at a feed brings, and costs.
pub struct Read {
    pub partition: usize,
    pub records: u64,
    pub notes: u64,
    /// Microseconds until the reader looks again.
    pub takes: u64,
}

impl Story {
    pub fn new(parameters: &Parameters, machines: usize) -> Story {
        let (feeds, readers) = ((parameters.feeds as usize).clamp(1, 255), parameters.readers_of(machines));
        Story {
            feeds: vec![Feed::default(); feeds],
            read: vec![vec![0; feeds]; readers],
            reading: vec![vec![0; feeds]; readers],
            partitions: parameters.partitions as usize,
            at_once: (parameters.notes_at_once as u64).max(1),
            read_us: parameters.read_us,
            lost: 0,
        }
    }

    /// All that is read, by whom.
    pub fn readings(&self) -> Vec<(u8, u8)> {
        let feeds = self.feeds.len() as u8;
        (0..self.read.len() as u8).flat_map(|reader| (0..feeds).map(move |feed| (reader, feed))).collect()
    }

    fn partition(&self, feed: usize) -> usize {
        // Spread over all.
        feed * self.partitions / self.feeds.len()
    }

    /// A note comes. True: the feed has rested, and takes it.
    pub fn comes(&mut self, feed: usize) -> bool {
        self.feeds[feed].waiting += 1;
        !self.feeds[feed].busy
    }

    /// The feed takes what waits: its partition, and the records that this makes.
    pub fn takes(&mut self, feed: usize) -> (usize, u64) {
        let partition = self.partition(feed);
        let feed = &mut self.feeds[feed];
        let notes = feed.waiting.min(self.at_once);
        feed.waiting -= notes;
        (feed.under_way, feed.busy) = (notes, true);
        feed.calls += 1;
        (partition, CALL_RECORDS)
    }

    /// The call of a feed is over. True: there is more.
    pub fn has_told(&mut self, feed: usize) -> bool {
        let feed = &mut self.feeds[feed];
        feed.head += std::mem::take(&mut feed.under_way);
        feed.busy = false;
        feed.waiting > 0
    }

    pub fn reads(&mut self, reader: usize, feed: usize) -> Read {
        let (partition, head) = (self.partition(feed), self.feeds[feed].head);
        let read = &mut self.read[reader][feed];
        let first = (*read).max(head.saturating_sub(KEPT));
        self.lost += first - *read;
        let notes = PAGE.min(head - first);
        *read = first + notes;
        let worked = (notes as f64 * self.read_us) as u64;
        self.reading[reader][feed] += worked;
        let takes = if notes == 0 { PAUSE } else { worked };
        // What was told together is read together.
        let calls = (notes * self.feeds[feed].calls).div_ceil(head.max(1));
        Read { partition, records: CALL_RECORDS + calls, notes, takes }
    }

    pub fn told(&self) -> u64 {
        self.feeds.iter().map(|feed| feed.head).sum()
    }

    pub fn untold(&self) -> u64 {
        self.feeds.iter().map(|feed| feed.waiting + feed.under_way).sum()
    }

    /// Of the reader that is furthest behind.
    pub fn uncopied(&self) -> u64 {
        let behind = |read: &Vec<u64>| self.feeds.iter().zip(read).map(|(feed, read)| feed.head - read).sum();
        self.read.iter().map(behind).max().unwrap_or(0)
    }

    /// The load of the busiest feed, and of the busiest reading.
    pub fn loads(&self, end: u64, parameters: &Parameters) -> (f64, f64) {
        let wanted = |feed: &Feed| (feed.head + feed.waiting) as f64 / self.at_once as f64;
        let feed = self.feeds.iter().map(wanted).fold(0.0, f64::max) * parameters.feed_us / end.max(1) as f64;
        let behind = |read: &u64, feed: &Feed| (feed.head - read) as f64 * self.read_us;
        let wanted = |(reading, read): (&Vec<u64>, &Vec<u64>)| {
            let each = reading.iter().zip(read).zip(&self.feeds);
            each.map(|((reading, read), feed)| *reading as f64 + behind(read, feed)).fold(0.0, f64::max)
        };
        let reader = self.reading.iter().zip(&self.read).map(wanted).fold(0.0, f64::max) / end.max(1) as f64;
        (feed, reader)
    }
}
