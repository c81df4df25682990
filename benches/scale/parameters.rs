//! What is not simulated but measured or assumed: one table, each with its source. Who has measured anew gives theirs by a flag
//! (`--feeds 64`) or by the environment (`SCALE_FEEDS=64`).

macro_rules! parameters {
    ($($name:ident = $value:literal, $unit:literal, $source:literal;)*) => {
        /// See the table.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Parameters { $(pub $name: f64),* }

        impl Default for Parameters {
            fn default() -> Parameters {
                Parameters { $($name: $value),* }
            }
        }

        impl Parameters {
            /// False: there is none of that name.
            pub fn set(&mut self, name: &str, value: f64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => return false,
                }
                true
            }

            /// Name, value, unit, source.
            pub fn rows(&self) -> Vec<(&'static str, f64, &'static str, &'static str)> {
                vec![$((stringify!($name), self.$name, $unit, $source)),*]
            }
        }
    };
}

parameters! {
    accounts = 10_000.0, "accounts", "the question";
    changes = 1_000.0, "changes an hour of each", "the question";
    hours = 1.0, "hours", "the question; imports are in it";
    cores = 8.0, "cores of a machine", "assumed: one process of ours and one node of Restate on each";
    door_us = 40.0, "µs of a core a webhook", "measured-beside-a-bare-loop.md: a sixth and more of 130 µs";
    request_us = 85.0, "µs of a core a request", "the same: 130 µs without its store";
    crossing_us = 100.0, "µs of a core a crossing", "load bench on Restate: 653 µs an event, less 130, over 5 crossings";
    record_us = 157.0, "µs of a core a log record", "load bench: (2 cores / 530 a second - 0.8 ms) / 19 records; at most";
    serial_us = 75.0, "µs of its partition a record", "a node's metrics: to apply one, on a busy machine; at most";
    commit_us = 8_000.0, "µs until a commit is durable", "a node's metrics: to append, on a busy machine";
    replica_share = 0.3, "of record_us, a further copy", "assumed";
    copies_of_log = 2.0, "copies of each record", "as `cluster up --nodes 3` has it";
    record_bytes = 890.0, "bytes a record", "a node's metrics";
    partitions = 24.0, "partitions", "Restate's default";
    at_once = 1_000.0, "runs at once a node", "Restate's default for invocations";
    feeds = 1.0, "feeds", "src/engine/restate/feed.rs";
    feed_us = 7_500.0, "µs of a feed for a call", "530 a second over 4 feeds, a note each: at most; 20,000 on a busy machine";
    notes_at_once = 400.0, "notes a call", "src/engine/restate/outbox.rs: a megabyte of them, the busier the feed the more";
    read_us = 50.0, "µs of a reader a note", "assumed: 200 calls of a note each took 264 ms to read, of which some 30 go together";
    readers = 0.0, "processes with a copy", "0: every one";
    copy_us = 45.0, "µs of a core a note copied", "measured-beside-a-bare-loop.md: a third of 130 µs";
    copy_bytes = 7_500.0, "bytes a run in a copy", "a data folder after 600 runs of the sync, with its indices";
    keep_days = 1.0, "days that a copy keeps", "assumed; the project says";
    trim_hours = 6.0, "hours of log that a node keeps", "assumed: until a snapshot lets it go";
    vendor_us = 200_000.0, "µs until a vendor answers", "assumed";
    echo_us = 1_000_000.0, "µs until our write is told", "assumed";
    bytes_a_request = 3_000.0, "bytes a request and answer", "assumed: a contact of 1 KB and headers, both ways";
    goal_s = 5.0, "s, of 99 of 100", "the question: of what no vendor's limit holds back";
    goal_load = 0.7, "of any station", "the question";
    machine_price = 250.0, "a month a machine", "assumed 2026-11, in any currency: 8 cores, 32 GB, rented by the month";
    disk_price = 0.1, "a month a GB", "assumed 2026-11: a fast disk beside it";
    traffic_price = 0.01, "a GB between machines", "assumed 2026-11: between zones of one provider";
}

impl Parameters {
    pub fn end(&self) -> u64 {
        (self.hours * 3_600e6) as u64
    }

    pub fn accounts(&self) -> usize {
        self.accounts as usize
    }

    /// So many processes of so many keep a copy.
    pub fn readers_of(&self, machines: usize) -> usize {
        if self.readers > 0.0 { machines.min(self.readers as usize) } else { machines }
    }
}
