//! One half is gone: what becomes of the other?

use serde_json::{Value, json};

use super::{Halves, Read, Step, Stepped, failed, sorted};
use crate::sync::{Choice, Delete, Question, Which};
use crate::workflow::{Advance, Answer, Finish, Looked, Outcome, Purpose, Synced};

/// A share is no sign with fewer deletes than this.
const SHARE_MIN: u64 = 5;

impl Step<'_> {
    pub(super) fn gone(&self, gone: Which, halves: &Halves<'_>) -> Stepped<Advance> {
        let left = gone.other();
        let answered = halves.looked.answers.iter().find(|one| one.question.key() == "deleted");
        let decided = answered.and_then(|answered| match answered.choice {
            Choice::Delete => Some(Delete::Delete),
            Choice::Archive => Some(Delete::Archive),
            Choice::Unlink => Some(Delete::Unlink),
            _ => None,
        });
        let wanted = decided.unwrap_or(self.pair.sides[gone.index()].delete);
        let standard = match wanted {
            Delete::Unlink => return self.parted(halves, left, "the other half is gone"),
            Delete::Delete => "delete",
            Delete::Archive => "archive",
            Delete::Ask => return self.ask_about(halves, gone, "`deletes` says so"),
        };
        let held;
        let halves = match decided.is_none() && self.has_brake() {
            true => {
                held = self.alone_with_deletes(halves)?;
                &held
            }
            false => halves,
        };
        if decided.is_none() && self.is_braked(halves.looked) {
            return self.ask_about(halves, gone, "these are more deletes at once than `delete_brake` allows");
        }
        let Read::Record(record) = self.read(left, halves)? else {
            return self.parted(halves, left, "both are gone");
        };
        let pact = halves.looked.pact.as_deref().cloned().unwrap_or_default();
        if decided.is_none() && self.pair.is_news(left, &self.half(left, &record), &pact.agreed) {
            return self.ask_about(halves, gone, "the other half was changed meanwhile");
        }
        let Ok(operation) = self.remote(left).operation(standard) else {
            // Only where it is so for what is above; whoever says it of the object itself is told by the check.
            return self.parted(halves, left, &format!("the other half is gone, and this one has no `{standard}`"));
        };
        let name = operation.name.clone();
        let Some(call) = self.exchange(left, |one| one.purpose == Purpose::Call && one.operation == name) else {
            let input = self.named(left, standard, &halves.ids[left.index()], halves)?;
            return Err(self.sending(left, Purpose::Call, standard, Value::Object(input), &halves.looked.turns));
        };
        match &call.answer {
            Some(Answer::Done { .. }) => {}
            Some(Answer::Failed(failure)) if failure.name == "not_found" => {}
            answer => return Err(failed(answer.as_ref()).into()),
        }
        self.parted(halves, left, &format!("the other half is gone, and so it was given to `{standard}`"))
    }

    /// They are no pair any more. What is left is left: it makes no new half of what was deleted.
    fn parted(&self, halves: &Halves<'_>, left: Which, why: &str) -> Stepped<Advance> {
        let mut questions = [Vec::new(), Vec::new()];
        questions[left.index()].push(Question::Parted);
        self.no_pair(halves, questions, why)
    }

    /// A person says that they are no pair.
    pub(super) fn unlinked(&self, halves: &Halves<'_>) -> Stepped<Advance> {
        let questions = [vec![Question::Unlinked], vec![Question::Unlinked]];
        self.no_pair(halves, questions, "a person says that the two are not one: both are left as they are")
    }

    /// Questions: by side.
    fn no_pair(&self, halves: &Halves<'_>, questions: [Vec<Question>; 2], why: &str) -> Stepped<Advance> {
        let [first, second] = self.references(&halves.ids)?;
        let [of_first, of_second] = questions;
        let [under, other] = halves.parents.clone();
        let finish = Finish {
            outcome: Some(Outcome::Done),
            result: json!({ "why": why, "pair": halves.ids }),
            synced: vec![
                Synced { parent: under, ..self.synced(first.clone(), of_first) },
                Synced { parent: other, ..self.synced(second.clone(), of_second) },
            ],
            unlink: Some((first, second)),
            ..Finish::default()
        };
        Ok(Advance::Finish(Box::new(finish)))
    }

    fn has_brake(&self) -> bool {
        self.sync.delete_brake_records.is_some() || self.sync.delete_brake_percent.is_some()
    }

    /// Deletes of a sync with a brake happen one after the other, so that each knows of those before.
    fn alone_with_deletes<'h>(&self, halves: &'h Halves<'_>) -> Stepped<Halves<'h>>
    where
        Self: 'h,
    {
        let mut turns = halves.looked.turns.clone();
        turns.push(format!("sync/{}/{}/deletes", self.sync.name, self.context.event.tenant.as_deref().unwrap_or("")));
        let looked = self.looked(&self.of, self.own, &sorted(turns))?;
        Ok(Halves { ids: halves.ids.clone(), parents: halves.parents.clone(), looked })
    }

    fn is_braked(&self, looked: &Looked) -> bool {
        let (parted, pairs) = looked.parted.unwrap_or_default();
        let records = self.sync.delete_brake_records.is_some_and(|most| parted >= most);
        let share = |most: u8| parted >= SHARE_MIN && (parted + 1) * 100 > pairs * u64::from(most);
        records || self.sync.delete_brake_percent.is_some_and(share)
    }

    fn ask_about(&self, halves: &Halves<'_>, gone: Which, why: &str) -> Stepped<Advance> {
        let sides = self.pair.sides.each_ref().map(|side| side.alias.clone());
        let question = Question::Deleted { sides, side: gone, why: why.to_owned() };
        self.ask(halves, question, &format!("one half is gone: a person decides, since {why}"))
    }

    /// Nothing is done about the pair until a person has said what.
    pub(super) fn ask(&self, halves: &Halves<'_>, question: Question, why: &str) -> Stepped<Advance> {
        let pair = self.references(&halves.ids)?;
        let pact = halves.looked.pact.as_deref().cloned().unwrap_or_default();
        let finish = Finish {
            outcome: Some(Outcome::Skipped),
            result: json!({ "why": why, "pair": halves.ids }),
            synced: vec![Synced { pair: Some(pair), pact, ..self.synced(self.of.clone(), vec![question]) }],
            ..Finish::default()
        };
        Ok(Advance::Finish(Box::new(finish)))
    }
}
