//! The limits of an account as a cluster keeps them: a window in an object, of which processes take parts.
//!
//! The program's own types for this are private or hold a text for each key, too much for accounts by the ten thousand: this is
//! the same in numbers. `tests/past_this_machine.rs` plays both beside each other.

/// A limit, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Requests in a window.
    pub most: u64,
    pub per: u64,
    /// A process takes so many at once.
    pub part: u64,
}

/// A window of one limit of one account, as its object keeps it (`src/engine/restate/budget.rs`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    pub number: u32,
    pub total: u32,
    pub ends: u64,
}

/// What a process has got of a window (`src/http/window.rs`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    number: u32,
    used: u32,
    allowed: u32,
    /// What all have got, as far as it is known here.
    total: u32,
    ends: u64,
    /// The process asks for a part just now.
    pub asks: bool,
}

/// Whether a request may go by one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Go,
    /// A part is to be asked for.
    Ask,
    /// Nothing is left for anybody until then.
    Until(u64),
}

fn small(number: u64) -> u32 {
    u32::try_from(number).expect("a limit below four thousand million")
}

impl Window {
    /// A process gets a part: what it gets, and the window as it is then.
    pub fn lease(&mut self, span: &Span, now: u64) -> u32 {
        if self.ends <= now {
            *self = Window { number: self.number + 1, total: 0, ends: now + span.per };
        }
        let granted = small(span.part.min(span.most.saturating_sub(u64::from(self.total))));
        self.total += granted;
        granted
    }
}

impl Share {
    pub fn room(&self, span: &Span, now: u64) -> Room {
        if self.ends <= now {
            return Room::Ask;
        }
        match (self.used < self.allowed, u64::from(self.total) >= span.most) {
            (true, _) => Room::Go,
            (false, true) => Room::Until(self.ends),
            (false, false) => Room::Ask,
        }
    }

    pub fn got(&mut self, granted: u32, window: &Window) {
        match self.number == window.number {
            true => {
                (self.allowed, self.total) = (self.allowed + granted, self.total.max(window.total));
                self.ends = self.ends.min(window.ends);
            }
            false => {
                let Window { number, total, ends } = *window;
                *self = Share { number, used: 0, allowed: granted, total, ends, asks: self.asks };
            }
        }
    }

    pub fn take(&mut self) {
        self.used += 1;
    }
}
