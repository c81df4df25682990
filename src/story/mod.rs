//! What happened, in words: of runs, of syncs and of values; secrets never.
//!
//! The command line and whoever else speaks to people tell the same.

mod run;
pub mod shown;
mod sync;

use std::fmt::Display;

pub use run::{Line, Story};
pub use sync::{answers, asks, choice, difference};

pub fn count(number: impl Display + PartialEq + From<u8>, what: &str) -> String {
    let ending = if number == 1.into() { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// A text in one line of so many characters at most.
pub fn shortened(text: &str, width: usize) -> String {
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    if line.chars().count() <= width {
        return line;
    }
    let cut: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}
