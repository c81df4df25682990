//! The story of one run on a terminal.

use std::sync::Arc;

use anyhow::Result;

use super::past::now_ms;
use super::{say, shown};
use crate::engine::kept_plan;
use crate::store::{Run, Store};
use crate::story::{Line, Story};

/// Where lines without a terminal are cut.
const WIDTH: usize = 160;
/// Clock time and what follows it.
const MARGIN: &str = "              ";

/// Tells the story of a run on stdout.
///
/// # Errors
/// The store's.
pub async fn tell(store: &Store, run: Run, as_json: bool) -> Result<()> {
    let story = read(store, run).await?;
    if as_json {
        say::data(&serde_json::to_string_pretty(&story.as_value())?);
        return Ok(());
    }
    tell_whole(&story);
    Ok(())
}

/// A story with its head.
pub fn tell_whole(story: &Story) {
    let width = say::width().unwrap_or(WIDTH);
    let run = &story.run;
    say::data(&format!("run {}: {}, {}", run.seq, run.start.workflow, run.status.word()));
    for (what, text) in story.head() {
        say::data(&format!("  {what:<9} {}", say::shortened(&text, width.max(60) - 12)));
    }
    say::data("");
    steps(story, width);
}

/// The same as a part of a longer story: what began it in a line, and its steps.
///
/// # Errors
/// The store's.
pub async fn follow(store: &Store, run: Run) -> Result<()> {
    let story = read(store, run).await?;
    let (start, status) = (&story.run.start, story.run.status.word());
    say::data(&format!("run {}: {}, {status}, about {}", story.run.seq, start.workflow, shown::about(start)));
    steps(&story, say::width().unwrap_or(WIDTH));
    Ok(())
}

/// # Errors
/// The store's.
pub async fn read(store: &Store, run: Run) -> Result<Story> {
    let plan = kept_plan(store, &run.start.plan).await?.map(Arc::new);
    let story = Story::of(store, run, plan).await?;
    if let Some(why) = &story.unreadable {
        say::talk(&format!("run {}: {why}; its steps are left out", story.run.seq));
    }
    Ok(story)
}

fn steps(story: &Story, width: usize) {
    let mut day = String::new();
    for line in story.lines(now_ms()) {
        if let Some(at_ms) = line.at_ms {
            let today = &shown::minute(at_ms)[..10];
            if today != day {
                say::data(&format!("{today} (UTC)"));
                day = today.to_owned();
            }
        }
        say_line(&line, width);
    }
}

fn say_line(line: &Line, width: usize) {
    let margin = line.at_ms.map_or_else(|| MARGIN.to_owned(), |at_ms| format!("{}  ", shown::clock(at_ms)));
    let indent = "  ".repeat(line.depth.into());
    if line.is_value {
        let room = width.saturating_sub(MARGIN.len() + indent.len());
        return say::data(&format!("{margin}{indent}{}", say::shortened(&line.text, room)));
    }
    let room = width.saturating_sub(MARGIN.len() + indent.len() + 2).max(20);
    for (number, text) in say::wrap(&line.text, room).iter().enumerate() {
        let (margin, hang) = if number == 0 { (margin.as_str(), "") } else { (MARGIN, "  ") };
        say::data(&format!("{margin}{indent}{hang}{text}"));
    }
}
