//! How far long work is.

use std::io::Write as _;
use std::time::Duration;

/// A bar on a terminal; nothing where nobody would see it move.
pub struct Bar {
    pub is_drawn: bool,
}

impl Bar {
    pub fn new() -> Bar {
        Bar { is_drawn: std::io::IsTerminal::is_terminal(&std::io::stderr()) }
    }

    pub fn draw(&self, done: u64, all: u64, spent: Duration) {
        if !self.is_drawn || all == 0 {
            return;
        }
        let width = 30;
        let full = usize::try_from(done * width / all).unwrap_or_default();
        let rest = usize::try_from(width).unwrap_or_default().saturating_sub(full);
        let left = (done > 0).then(|| spent.as_secs() * (all - done) / done);
        let left = left.map_or_else(String::new, |left| format!(", {} left", span(left)));
        let _ = write!(std::io::stderr(), "\r[{}{}] {done} of {all}{left}\u{1b}[K", "█".repeat(full), "░".repeat(rest));
    }

    pub fn end(&self) {
        if self.is_drawn {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

/// `a moment`, `45 s`, `12 min`, `3 h 5 min`
pub fn span(seconds: u64) -> String {
    match seconds {
        0 => "a moment".into(),
        1..90 => format!("{seconds} s"),
        90..5_400 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}
