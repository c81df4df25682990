//! Brings a record and its other half into line, as a sync says. Nobody writes it; see [`crate::workflow::syncing`].
//!
//! ```text
//!  Look: in a pair? ─ yes ─ Look again, with the turns of both ─ get own ─ news? ─ get other ─▶ compare ─▶ writes ─▶ agreed
//!        └ no ─ get own ─ Look again, with its turns ─ find by each `match` field ─┬─ one ─ get ─▶ compare, and a pair
//!                                                                                 ├─ none ─▶ create, and a pair
//!                                                                                 └─ several ─▶ a question
//!  a half is gone ─▶ what `deletes` says about the other
//! ```
//! The event is a hint only: both records are read while nobody else of us writes them. Every step is recorded, as with
//! `upsert`; what was agreed comes with the answer to the Look, so that a later walk decides the same.

mod cascade;
mod gone;
mod matching;
mod write;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::remote::Remote;
use super::undecided;
use crate::connector::{Failure, Operation};
use crate::expr::{Condition, Scope, as_text};
use crate::sync::{
    Choice, Comparison, Half, Mode, Pact, Pair, Question, Rules, Sync, WRITES_MAX, WRITES_MS, Which, decided,
};
use crate::workflow::{Advance, Answer, Context, Exchange, Finish, Look, Looked, Outcome, Purpose, RecordRef, Synced};

pub use cascade::Cascade;

/// One side's view of a pair: what is done when a record of this side is new, changed or gone.
#[derive(Debug)]
pub struct Reconcile {
    pub sync: Arc<Sync>,
    /// See [`Sync::numbered`].
    pub number: usize,
    pub side: Which,
}

/// What has come of a step: something, or what is to be done before there is something.
type Stepped<T> = Result<T, Box<Advance>>;

impl From<Failure> for Box<Advance> {
    fn from(failure: Failure) -> Self {
        Box::new(Advance::Fail(failure))
    }
}

impl Reconcile {
    pub fn pair(&self) -> &Pair {
        self.sync.numbered(self.number)
    }

    pub fn advance(&self, context: &Context<'_>) -> Advance {
        Step::new(self, context).and_then(|step| step.advance()).unwrap_or_else(|advance| *advance)
    }
}

/// A record as it was read.
enum Read {
    Record(Value),
    Gone,
}

/// One look at where it stands.
struct Step<'a> {
    sync: &'a Sync,
    pair: &'a Pair,
    is_child: bool,
    own: Which,
    /// By side.
    remotes: [Remote<'a>; 2],
    context: &'a Context<'a>,
    /// The record that the event is about.
    of: RecordRef,
}

/// Both records of a pair.
struct Halves<'s> {
    /// By side.
    ids: [String; 2],
    /// By side: the records under which they live.
    parents: [Option<String>; 2],
    looked: &'s Looked,
}

impl<'a> Step<'a> {
    fn new(reconcile: &'a Reconcile, context: &'a Context<'a>) -> Stepped<Self> {
        let pair = reconcile.pair();
        let [first, second] = &pair.sides;
        let remotes =
            [Remote::new(&first.alias, &first.object, context)?, Remote::new(&second.alias, &second.object, context)?];
        let own = reconcile.side;
        let side = &pair.sides[own.index()];
        let id = context.event.record_id.as_deref();
        let id = id.ok_or_else(|| Failure::new("invalid", "the event does not say which record it is about"))?;
        let of = context.reference(&side.alias, &side.object, id)?;
        let is_child = reconcile.number > 0;
        Ok(Self { sync: &reconcile.sync, pair, is_child, own, remotes, context, of })
    }

    fn advance(&self) -> Stepped<Advance> {
        let looked = self.looked(&self.of, self.own, &[])?;
        if self.sync.first_run.mode == Mode::Plan && !looked.begun {
            let name = &self.sync.name;
            return Ok(self.nothing(&format!("the first run was not applied yet: see `dovetail plan {name}`")));
        }
        match &looked.found {
            None => self.alone(looked),
            Some(partner) => {
                let mut ids = [self.of.id.clone(), partner.clone()];
                if self.own == Which::Second {
                    ids.reverse();
                }
                let records = self.references(&ids)?;
                let turns = records.iter().map(turn).collect();
                let looked = self.looked(&self.of, self.own, &sorted(turns))?;
                self.in_pair(Halves { parents: self.parents(looked)?, ids, looked })
            }
        }
    }

    fn in_pair(&self, halves: Halves<'_>) -> Stepped<Advance> {
        if halves.looked.answers.iter().any(|one| one.question == Question::Same && one.choice == Choice::Unlink) {
            return self.unlinked(&halves);
        }
        let pact = halves.looked.pact.as_deref().cloned().unwrap_or_default();
        let Read::Record(own) = self.read(self.own, &halves)? else { return self.gone(self.own, &halves) };
        if !self.is_meant(self.own, &own)? {
            return Ok(self.nothing("`only_if` does not hold"));
        }
        let answers = decided(&halves.looked.answers);
        if self.is_runaway(&pact, &halves) {
            let writes = pact.written_ms.len();
            return self.ask(&halves, Question::Runaway { writes }, "it is written again and again: a person decides");
        }
        let is_news = self.pair.is_news(self.own, &self.half(self.own, &own), &pact.agreed);
        if !is_news && answers.is_empty() {
            return Ok(self.nothing("nothing has changed since the two agreed"));
        }
        let Read::Record(other) = self.read(self.own.other(), &halves)? else {
            return self.gone(self.own.other(), &halves);
        };
        if !self.is_meant(self.own.other(), &other)? {
            return Ok(self.nothing("`only_if` of the other side does not hold"));
        }
        self.compare(&halves, [own, other], &pact)
    }

    /// Compares both records, own first, and writes what differs.
    fn compare(&self, halves: &Halves<'_>, [own, other]: [Value; 2], pact: &Pact) -> Stepped<Advance> {
        let mut records = [own, other];
        if self.own == Which::Second {
            records.reverse();
        }
        let [first, second] = &records;
        let both = [self.half(Which::First, first), self.half(Which::Second, second)];
        let answers = decided(&halves.looked.answers);
        let rules = Rules { first: self.sync.first_run.on_difference, decided: &answers };
        let comparison = self.pair.compare(&both, &pact.agreed, &rules);
        self.update(halves, comparison)
    }

    /// Is the pair written so often that something must answer each of our writes?
    fn is_runaway(&self, pact: &Pact, halves: &Halves<'_>) -> bool {
        let goes_on = halves.looked.answers.iter().any(|answered| answered.choice == Choice::GoOn);
        let since_ms = self.context.now_ms.saturating_sub(WRITES_MS);
        let often = pact.written_ms.iter().filter(|at_ms| **at_ms > since_ms).count() >= WRITES_MAX;
        often && !goes_on && self.context.exchanges.iter().all(|exchange| exchange.purpose != Purpose::Update)
    }

    fn remote(&self, side: Which) -> &Remote<'a> {
        &self.remotes[side.index()]
    }

    fn half<'r>(&'r self, side: Which, record: &'r Value) -> Half<'r> {
        let remote = self.remote(side);
        Half { object: remote.object, record, locale: remote.locale.clone() }
    }

    fn connection(&self, side: Which) -> &str {
        self.context.accounts.connection(self.remote(side).alias).unwrap_or_default()
    }

    fn references(&self, ids: &[String; 2]) -> Result<[RecordRef; 2], Failure> {
        let of = |side: Which| {
            let remote = self.remote(side);
            self.context.reference(remote.alias, &remote.object.name, &ids[side.index()])
        };
        Ok([of(Which::First)?, of(Which::Second)?])
    }

    /// What the store says of a record of a side, once these turns are held.
    fn looked(&self, of: &RecordRef, side: Which, turns: &[String]) -> Stepped<&'a Looked> {
        let other = &self.pair.sides[side.other().index()];
        self.looked_at(of, side, (&other.alias, &other.object), turns)
    }

    fn looked_at(
        &self,
        of: &RecordRef,
        side: Which,
        (alias, object): (&str, &str),
        turns: &[String],
    ) -> Stepped<&'a Looked> {
        let is_it =
            |looked: &&Looked| looked.of.as_ref() == Some(of) && turns.iter().all(|turn| looked.turns.contains(turn));
        let looked = self.context.looked.iter().rev().find(is_it);
        looked.ok_or_else(|| {
            let (alias, object) = (alias.into(), object.into());
            let sync = Some((self.sync.name.clone(), side));
            Box::new(Advance::Look(Look { of: of.clone(), alias, object, turns: turns.to_vec(), sync }))
        })
    }

    /// By side: the records under which the two live.
    fn parents(&self, looked: &Looked) -> Stepped<[Option<String>; 2]> {
        let mut parents = looked.pact.as_ref().map(|pact| pact.parents.clone()).unwrap_or_default();
        let Some(parent) = self.remote(self.own).object.parent.as_ref().filter(|_| self.is_child) else {
            return Ok(parents);
        };
        let own = &mut parents[self.own.index()];
        *own = self.told_parent().or(own.take());
        let (Some(id), None) = (own.clone(), &parents[self.own.other().index()]) else { return Ok(parents) };
        let other = self.own.other();
        let above = &self.sync.pair.sides[other.index()];
        let of = self.context.reference(self.remote(self.own).alias, &parent.object, &id)?;
        let found = self.looked_at(&of, self.own, (&above.alias, &above.object), &[])?.found.clone();
        parents[other.index()] = found;
        Ok(parents)
    }

    /// The record under which the event says that the one lives that it is about.
    fn told_parent(&self) -> Option<String> {
        let parent = self.remote(self.own).object.parent.as_ref()?;
        let told = || self.context.scope.root(&self.of.object)?.get(&parent.id).and_then(as_text);
        self.context.event.parent_id.clone().or_else(told)
    }

    /// The last exchange of a side for this purpose.
    fn exchange(&self, side: Which, is_it: impl Fn(&Exchange) -> bool) -> Option<&'a Exchange> {
        let (connection, object) = (self.connection(side), &self.remote(side).object.name);
        let of = |exchange: &&Exchange| {
            let operation = exchange.operation.split_once('.').map(|(object, _)| object);
            exchange.connection == connection && operation == Some(object) && is_it(exchange)
        };
        self.context.exchanges.iter().rev().find(of)
    }

    /// Reads one of the two, while nobody else of us writes it.
    fn read(&self, side: Which, halves: &Halves<'_>) -> Stepped<Read> {
        self.read_within(side, halves, &halves.looked.turns)
    }

    fn read_within(&self, side: Which, halves: &Halves<'_>, turns: &[String]) -> Stepped<Read> {
        let id = &halves.ids[side.index()];
        let get = self.exchange(side, |exchange| {
            exchange.purpose == Purpose::Get
                && exchange.input.get("id").and_then(as_text).as_ref() == Some(id)
                && turns.iter().all(|turn| exchange.turns.contains(turn))
        });
        let Some(get) = get else {
            let input = self.named(side, "get", id, halves)?;
            return Err(self.sending(side, Purpose::Get, "get", Value::Object(input), turns));
        };
        match &get.answer {
            Some(Answer::Done { value, .. }) if !value.is_null() => {
                Ok(Read::Record(self.remote(side).shape("get", value)))
            }
            Some(Answer::Done { .. }) => Ok(Read::Gone),
            Some(Answer::Failed(failure)) if failure.name == "not_found" => Ok(Read::Gone),
            answer => Err(failed(answer.as_ref()).into()),
        }
    }

    /// The input of an operation that names a record: its id, and its parent's.
    fn named(&self, side: Which, standard: &str, id: &str, halves: &Halves<'_>) -> Stepped<Map<String, Value>> {
        let operation = self.remote(side).operation(standard)?;
        let mut input = self.under(side, operation, halves)?;
        input.insert("id".into(), Value::String(id.into()));
        Ok(input)
    }

    /// The parent's id, where the operation needs it in its path.
    fn under(&self, side: Which, operation: &Operation, halves: &Halves<'_>) -> Stepped<Map<String, Value>> {
        let mut input = Map::new();
        let parent = self.remote(side).object.parent.as_ref();
        for hole in operation.input_holes().filter(|hole| *hole != "id") {
            let is_parent = parent.is_some_and(|parent| parent.id == hole);
            let Some(id) = halves.parents[side.index()].as_ref().filter(|_| is_parent) else {
                let message = format!("it is not known which `{hole}` is meant, and `{}` needs it", operation.name);
                return Err(Failure::new("invalid", message).into());
            };
            input.insert(hole.into(), Value::String(id.clone()));
        }
        Ok(input)
    }

    fn sending(&self, side: Which, purpose: Purpose, standard: &str, input: Value, turns: &[String]) -> Box<Advance> {
        Box::new(Advance::Send(self.remote(side).sending(purpose, standard, input, turns.to_vec())))
    }

    /// The object of the other side, as people are asked about it.
    fn other_object(&self) -> String {
        let other = &self.pair.sides[self.own.other().index()];
        format!("{} of {}", other.object, other.alias)
    }

    /// Does the side's `only_if` hold for a record?
    fn is_meant(&self, side: Which, record: &Value) -> Result<bool, Failure> {
        let holds = |condition: &Condition| condition.holds(&Scope::new(record, self.context.locale).without_null());
        let condition = self.pair.sides[side.index()].only_if.as_ref();
        condition.map_or(Ok(true), holds).map_err(|fault| undecided(&fault, "only_if"))
    }

    /// There is nothing to do, and what is known stays as it is.
    fn nothing(&self, why: &str) -> Advance {
        let finish = Finish { outcome: Some(Outcome::Unchanged), result: json!({ "why": why }), ..Finish::default() };
        Advance::Finish(Box::new(finish))
    }

    /// Nothing is done, and this is what is open about the record; it is in no pair.
    fn left(&self, why: &str, questions: Vec<Question>) -> Advance {
        let finish = Finish {
            outcome: Some(Outcome::Skipped),
            result: json!({ "why": why }),
            synced: vec![Synced { parent: self.told_parent(), ..self.synced(self.of.clone(), questions) }],
            ..Finish::default()
        };
        Advance::Finish(Box::new(finish))
    }

    /// What is open about a record that is in no pair.
    fn synced(&self, about: RecordRef, questions: Vec<Question>) -> Synced {
        let sync = self.sync.name.clone();
        Synced { sync, about, parent: None, pair: None, pact: Pact::default(), questions }
    }

    /// Both are in line, or as far as they can be without a person.
    fn agreed(
        &self,
        outcome: Outcome,
        halves: &Halves<'_>,
        comparison: Comparison,
        refused: &[String],
    ) -> Stepped<Advance> {
        let records = self.references(&halves.ids)?;
        let is_new = halves.looked.found.is_none();
        let mut warnings: Vec<String> = comparison.stuck().collect();
        warnings.extend(refused.iter().map(|field| format!("not_accepted: {field}")));
        let told = comparison.fields.iter().filter(|field| field.verdict != crate::sync::Verdict::Alike);
        let result = json!({ "pair": halves.ids, "is_new": is_new, "fields": told.collect::<Vec<_>>() });
        let questions = comparison.asked().map(|field| Question::of(field, self.pair)).collect();
        let mut written_ms = halves.looked.pact.as_ref().map(|pact| pact.written_ms.clone()).unwrap_or_default();
        let since_ms = self.context.now_ms.saturating_sub(WRITES_MS);
        written_ms.retain(|at_ms| *at_ms > since_ms);
        if halves.looked.answers.iter().any(|answered| answered.choice == Choice::GoOn) {
            written_ms.clear();
        }
        written_ms.extend((outcome == Outcome::Updated).then_some(self.context.now_ms));
        let pact = Pact { agreed: comparison.agreed, parents: halves.parents.clone(), written_ms };
        let [first, second] = records.clone();
        let synced = Synced { pair: Some(records), pact, ..self.synced(self.of.clone(), questions) };
        let finish = Finish {
            outcome: Some(outcome),
            result,
            warnings,
            link: is_new.then_some((first, second)),
            synced: vec![synced],
            ..Finish::default()
        };
        Ok(Advance::Finish(Box::new(finish)))
    }
}

/// Whoever reads and writes this record holds it.
fn turn(record: &RecordRef) -> String {
    format!("{}/{}/id={}", record.connection, record.object, record.id)
}

fn sorted(mut turns: Vec<String>) -> Vec<String> {
    turns.sort();
    turns.dedup();
    turns
}

fn failed(answer: Option<&Answer>) -> Failure {
    match answer {
        Some(Answer::Failed(failure)) => failure.clone(),
        _ => Failure::new("unknown", "the last answer is missing"),
    }
}
