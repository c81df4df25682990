//! A run that was kept elsewhere is taken over by its line.

use serde::{Deserialize, Serialize};

use super::super::line::{Desk, GoOn, Held, IN_LINE, place};
use super::super::mail::Waiter;
use super::super::objects::{mail, turn};
use super::super::steps::{Steps, Stopped};
use super::super::turn::{Turns, taker};
use crate::engine::now_ms;
use crate::run::{Ending, Entry, Kept, Start, State};

/// A run that is not over, or has failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::engine::restate) struct Taking {
    pub start: Start,
    pub journal: Vec<Entry>,
    /// It waits, out of line.
    pub waits: bool,
    pub due_ms: i64,
    /// It has failed.
    pub ending: Option<Ending>,
    /// Which call it answers to: none that was made in another life of the line.
    pub call: u64,
}

impl<S: Steps> Desk<'_, S> {
    /// Takes a run over. Who is in line is not called yet: others may come before it.
    pub async fn take_over(&self, taking: Taking) -> Result<(), Stopped> {
        let Taking { start, journal, waits, mut due_ms, ending, call } = taking;
        let run = start.id.clone();
        if self.steps.get::<Held>(&place(&run)).await?.is_some() {
            return Ok(());
        }
        if ending.is_none() && waits {
            for wait in State::fold(&journal).subscriptions() {
                let waiter = Waiter { run: run.clone(), line: self.this.key.clone(), after: wait.after };
                if self.steps.call::<_, bool>(&mail(&wait.correlation), "wait", waiter).await? {
                    due_ms = 0;
                }
            }
            self.call_in(GoOn::called(&run, call), due_ms - now_ms());
        } else if ending.is_none() {
            let mut line = self.line().await?;
            line.push(run.clone());
            self.steps.set(IN_LINE, line);
        }
        let turns = if ending.is_none() { self.take_turns_again(&start, &journal).await? } else { Turns::new() };
        let kept = Kept::default();
        let mut held = Held { start, journal, told: 0, kept, is_told: false, call, waits, turns };
        self.tell(&mut held, due_ms, ending).await?;
        self.steps.set(&place(&run), held);
        Ok(())
    }

    /// What is under way keeps others away until it is known what came of it. One that is taken already is waited for.
    async fn take_turns_again(&self, start: &Start, journal: &[Entry]) -> Result<Turns, Stopped> {
        let state = State::fold(journal);
        let turns: Turns = state.open_turns().map(|(address, all)| (address.to_owned(), all.to_vec())).collect();
        for (address, identities) in &turns {
            for identity in identities {
                let taker = taker(self.this, start, address);
                self.steps.call::<_, bool>(&turn(identity), "take", taker).await?;
            }
        }
        Ok(turns)
    }
}
