//! The two voices: data on stdout, talk on stderr.

use std::io::{self, BufRead as _, IsTerminal, Write};

use tracing_subscriber::EnvFilter;

pub use crate::story::shortened;

/// Data, one line.
pub fn data(text: &str) {
    // A reader that has gone (`| head`) is no failure of ours.
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Data, one line; false if nobody reads it any more.
pub fn is_heard(text: &str) -> bool {
    writeln!(anstream::stdout(), "{text}").is_ok()
}

/// Talk, one line.
pub fn talk(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Talk, broken at spaces where a terminal is too narrow; each line begins with the margin.
pub fn talk_in(margin: &str, text: &str) {
    let room = std::io::stderr().is_terminal().then(terminal_size::terminal_size).flatten();
    let Some((terminal_size::Width(width), _)) = room else { return talk(&format!("{margin}{text}")) };
    for line in wrap(text, usize::from(width).max(40).saturating_sub(margin.len())) {
        talk(&format!("{margin}{line}"));
    }
}

/// A failure, in one line.
pub fn error(text: &str) {
    talk(&format!("error: {text}"));
}

/// What may go wrong.
pub fn warning(text: &str) {
    talk_in("", &format!("warning: {text}"));
}

/// May colour be used on stderr?
pub fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// The columns of the terminal that shows stdout; None in a pipe or a file, where nothing is cut or wrapped.
pub fn width() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let (width, _) = terminal_size::terminal_size()?;
    Some(usize::from(width.0).max(40))
}

/// A table without borders, as wide as the terminal at most. Where there is room, only the last column is broken.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    if let Some(width) = width() {
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        let widths = table.column_max_content_widths();
        let last = widths.len().saturating_sub(1);
        let firm: usize = widths.iter().take(last).map(|width| usize::from(width + GAP)).sum();
        if firm + LAST_MIN <= width {
            for column in table.column_iter_mut().take(last) {
                column.set_constraint(comfy_table::ColumnConstraint::ContentWidth);
            }
        }
    }
    for line in table.to_string().lines() {
        data(line.trim_end());
    }
}

/// Between two columns of a table.
const GAP: u16 = 2;
/// Room that the last column of a table needs.
const LAST_MIN: usize = 16;

/// Breaks a text at spaces into lines of so many characters, where words allow it.
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// Logs go to stderr: of this level, and more when asked for.
pub fn start_log(verbose: u8, level: &str) {
    let level = match verbose {
        0 => level,
        1 => "dovetail=info,warn",
        2 => "dovetail=debug,info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour());
    // A second start (in tests) keeps the first.
    let _ = subscriber.try_init();
}

/// Asks a person, if one is there.
///
/// # Errors
/// Stdin cannot be read.
pub fn is_meant() -> io::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    talk("is that meant? yes or no");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}
