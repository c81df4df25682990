//! Writing: what the comparison says, on both sides, and what each has made of it.

use serde_json::{Map, Value};

use super::{Halves, Step, Stepped, failed};
use crate::connector::Failure;
use crate::expr::{Scope, as_text};
use crate::sync::{Comparison, Which};
use crate::workflow::action::invalid;
use crate::workflow::{Advance, Answer, Exchange, Outcome, Purpose};

impl Step<'_> {
    /// Updates both sides, the other one first.
    pub(super) fn update(&self, halves: &Halves<'_>, mut comparison: Comparison) -> Stepped<Advance> {
        let (mut outcome, mut refused) = (Outcome::Unchanged, Vec::new());
        for side in [self.own.other(), self.own] {
            let writes = &comparison.writes[side.index()];
            if writes.is_empty() {
                continue;
            }
            outcome = Outcome::Updated;
            let Some(update) = self.exchange(side, |exchange| exchange.purpose == Purpose::Update) else {
                let mut input = writes.clone();
                input.extend(self.named(side, "update", &halves.ids[side.index()], halves)?);
                let operation = self.remote(side).operation("update")?;
                let input = self.remote(side).unshape(operation, input)?;
                return Err(self.sending(side, Purpose::Update, "update", input, &halves.looked.turns));
            };
            if update.failure().is_some_and(|failure| failure.name == "not_found") {
                return self.gone(side, halves);
            }
            let record = self.written(side, "update", update, halves)?;
            refused.extend(self.taken(side, &record, &mut comparison));
        }
        self.agreed(outcome, halves, comparison, &refused)
    }

    /// Creates the other half. Halves: the other id is not known yet.
    pub(super) fn create(&self, mut halves: Halves<'_>, own: &Value) -> Stepped<Advance> {
        let to = self.own.other();
        let nothing = Value::Object(Map::new());
        let mut both = [self.half(Which::First, own), self.half(Which::Second, &nothing)];
        if self.own == Which::Second {
            both = [self.half(Which::First, &nothing), self.half(Which::Second, own)];
        }
        let mut comparison = self.pair.create(self.own, &both);
        let Some(create) = self.exchange(to, |exchange| exchange.purpose == Purpose::Create) else {
            let operation = self.remote(to).operation("create")?;
            let mut input = self.on_create(to, own)?;
            input.extend(comparison.writes[to.index()].clone());
            input.extend(self.under(to, operation, &halves)?);
            if let (Some(parent), Some(id)) = (&self.remote(to).object.parent, &halves.parents[to.index()])
                && self.is_child
            {
                input.insert(parent.id.clone(), Value::String(id.clone()));
            }
            operation.given(&input).map_err(|fault| super::undecided(&fault, "fields"))?;
            let input = self.remote(to).unshape(operation, input)?;
            return Err(self.sending(to, Purpose::Create, "create", input, &halves.looked.turns));
        };
        if let Some(Answer::Failed(failure)) = &create.answer
            && let (Some(id), "duplicate") = (&failure.existing_id, failure.name.as_str())
        {
            let (taken, _) = self.taken_ones(vec![id.clone()])?;
            if !taken.is_empty() {
                return Ok(self.only_taken(taken));
            }
            return self.hit(halves, own, id);
        }
        let record = self.created(to, create, &mut halves)?;
        let refused = self.pair.created(to, &self.half(to, &record), self.is_read_back(to), &mut comparison);
        let refused = self.tell(to, refused);
        if create.look.is_some() && !refused.is_empty() {
            // What was found after an unsure create may be somebody else's.
            let id = halves.ids[to.index()].clone();
            return self.hit(halves, own, &id);
        }
        self.agreed(Outcome::Created, &halves, comparison, &refused)
    }

    fn on_create(&self, side: Which, own: &Value) -> Stepped<Map<String, Value>> {
        let Some(given) = &self.pair.sides[side.index()].on_create else { return Ok(Map::new()) };
        let scope = Scope::new(own, self.context.locale).without_null();
        let given = given.eval(&scope).map_err(|fault| invalid(&fault, "on_create"))?;
        Ok(given.and_then(|given| given.as_object().cloned()).unwrap_or_default())
    }

    /// What the side holds now: as the answer says, or as it is read back where that is not believed.
    fn written(&self, side: Which, standard: &str, write: &Exchange, halves: &Halves<'_>) -> Stepped<Value> {
        let Some(Answer::Done { value, .. }) = &write.answer else {
            return Err(failed(write.answer.as_ref()).into());
        };
        let remote = self.remote(side);
        let record = remote.shape(standard, value);
        if remote.id(&record).is_some() && !remote.object.confirm_writes {
            return Ok(record);
        }
        let confirm = self.exchange(side, |exchange| exchange.purpose == Purpose::Confirm);
        match confirm.map(|confirm| &confirm.answer) {
            None => {
                let input = self.named(side, "get", &halves.ids[side.index()], halves)?;
                Err(self.sending(side, Purpose::Confirm, "get", Value::Object(input), &halves.looked.turns))
            }
            Some(Some(Answer::Done { value, .. })) => Ok(remote.shape("get", value)),
            Some(Some(Answer::Failed(failure))) if failure.name == "not_found" => {
                let message = format!("the write was accepted, and then there is no such {}", remote.object.name);
                Err(Failure { name: "not_accepted".into(), message, ..failure.clone() }.into())
            }
            Some(answer) => Err(failed(answer.as_ref()).into()),
        }
    }

    /// As [`Step::written`], of a record that has got its id.
    fn created(&self, side: Which, create: &Exchange, halves: &mut Halves<'_>) -> Stepped<Value> {
        let remote = self.remote(side);
        if let Some(Answer::Done { value, .. }) = &create.answer {
            let id = remote.id(&remote.shape("create", value)).or_else(|| value.get("id").and_then(as_text));
            let nameless = || Failure::new("not_accepted", format!("the answer names no {}", remote.object.name));
            halves.ids[side.index()] = id.ok_or_else(nameless)?;
        }
        self.written(side, "create", create, halves)
    }

    /// Takes in what a side has made of the values; gives the fields that it has not taken, in words.
    fn taken(&self, side: Which, record: &Value, comparison: &mut Comparison) -> Vec<String> {
        let refused = self.pair.written(side, &self.half(side, record), self.is_read_back(side), comparison);
        self.tell(side, refused)
    }

    fn is_read_back(&self, side: Which) -> bool {
        self.exchange(side, |exchange| exchange.purpose == Purpose::Confirm).is_some()
    }

    fn tell(&self, side: Which, refused: Vec<String>) -> Vec<String> {
        let alias = self.remote(side).alias;
        let tell = |field: String| format!("`{alias}.{field}` was sent and is not what the record holds");
        refused.into_iter().map(tell).collect()
    }
}
