//! `upsert`: finds the record, then writes only what differs; else creates it.
//!
//! ```text
//!  link? ─ Look ─▶ pair known ─ get ─┐            several different hits: `conflict`, for a person
//!        └ no pair ─ find by each match field ─┬─ hit ─▶ differs? ─ update ─▶ updated   (else unchanged)
//!                                              └─ none ─ create ─▶ created
//!                                                          └ `duplicate` with an id ─ get ─▶ as a hit
//! ```
//! Every step is recorded; a run that comes back after a crash goes on where the record ends. Actions that upsert one
//! identity take turns, so that two runs cannot both find nothing and both create.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::remote::Remote;
use super::{invalid, split_alias, undecided};
use crate::connector::{Failure, Object, value_of};
use crate::expr::{Expr, FieldType, as_text, is_blank};
use crate::workflow::{Advance, Answer, Context, Exchange, Finish, Look, Outcome, Purpose, Reading, RecordRef};

/// Finds a record and writes what differs, or creates it.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// `alias.object`, such as `ghl.contact`.
    upsert: String,
    /// Fields that find the record, each alone: `[email, phone]`. Default: the object's identity.
    r#match: Option<Vec<String>>,
    /// The record that this one belongs to: `$.contact`, or an included one, `$.task.contact`. The two become a pair, and are found by that from then on.
    link: Option<String>,
    /// The fields to write.
    #[schemars(extend("x-takes" = "a map"))]
    with: Option<Value>,
}

#[derive(Debug)]
pub struct Upsert {
    pub alias: String,
    pub object: String,
    /// None: the object's identity.
    pub fields: Option<Vec<String>>,
    pub link: Option<Expr>,
    pub with: Option<Expr>,
}

impl Upsert {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        let link = document.link.as_ref().map(|text| reading.child("link").expr(&Value::String(text.clone())));
        let with = document.with.as_ref().map(|value| reading.child("with").expr(value));
        let (alias, object) = split_alias(&document.upsert, "object", "crm.contact", &mut reading.child("upsert"))?;
        Some(Self { alias, object, fields: document.r#match, link, with })
    }

    pub fn advance(&self, context: &Context<'_>) -> Advance {
        Step::new(self, context).and_then(|step| step.advance()).unwrap_or_else(Advance::Fail)
    }
}

/// One look at where the upsert stands.
struct Step<'a> {
    upsert: &'a Upsert,
    context: &'a Context<'a>,
    object: &'a Object,
    remote: Remote<'a>,
    /// What is to be written, as recipes say it.
    input: Map<String, Value>,
    /// Field and value of every match that is not blank.
    matches: Vec<(&'a str, Value)>,
    link: Option<RecordRef>,
}

impl<'a> Step<'a> {
    fn new(upsert: &'a Upsert, context: &'a Context<'a>) -> Result<Self, Failure> {
        let remote = Remote::new(&upsert.alias, &upsert.object, context)?;
        let object = remote.object;
        let input = match &upsert.with {
            Some(with) => with.eval(&context.scope).map_err(|fault| invalid(&fault, "with"))?,
            None => None,
        };
        let input = flatten(input.and_then(|value| value.as_object().cloned()).unwrap_or_default(), object);
        let link = match &upsert.link {
            None => None,
            Some(expr) => Some(linked_record(expr, context)?),
        };
        let fields = upsert.fields.as_ref().unwrap_or(&object.identity);
        let matches = fields
            .iter()
            .filter_map(|field| Some((field.as_str(), remote.comparable(field, input.get(field), &input)?)))
            .collect();
        Ok(Self { upsert, context, object, remote, input, matches, link })
    }

    fn advance(&self) -> Result<Advance, Failure> {
        let exchanges = self.context.exchanges;
        if let Some(last) = exchanges.last()
            && let Some(advance) = self.after(last)?
        {
            return Ok(advance);
        }
        if let Some(of) = &self.link
            && self.context.looked.is_empty()
        {
            let (alias, object) = (self.upsert.alias.clone(), self.upsert.object.clone());
            return Ok(Advance::Look(Look { of: of.clone(), alias, object, turns: self.turns(), sync: None }));
        }
        let pair = self.pair();
        if let Some(id) = &pair
            && !exchanges.iter().any(|exchange| exchange.purpose == Purpose::Get)
        {
            return self.get(id);
        }
        let fields = self.upsert.fields.as_ref().unwrap_or(&self.object.identity);
        if self.matches.is_empty() && !fields.is_empty() {
            let message = format!("nothing to find the {} by: {} are blank", self.object.name, fields.join(" and "));
            return Err(Failure::new("invalid", message));
        }
        let asked = |field: &str| {
            exchanges.iter().find(|exchange| matches!(&exchange.purpose, Purpose::Find { field: of } if of == field))
        };
        if let Some((field, value)) = self.matches.iter().find(|(field, _)| asked(field).is_none()) {
            let mut input = self.remote.holes("find", &self.input);
            input.insert((*field).to_string(), value.clone());
            return self.send(Purpose::Find { field: (*field).to_string() }, "find", input);
        }
        let mut hits: Vec<(String, &str)> = Vec::new();
        for (field, value) in &self.matches {
            let found = asked(field).and_then(Exchange::value);
            let form = |record: &Value| self.remote.comparable_of(field, record);
            for record in found.map(|found| self.remote.found(value, found, form)).unwrap_or_default() {
                if !hits.iter().any(|(id, _)| *id == record) {
                    hits.push((record, field));
                }
            }
        }
        match hits.as_slice() {
            [] => self.create(),
            [(id, _)] => self.get(id),
            [(one, first), (other, second), ..] => {
                let kind = &self.object.name;
                let message =
                    format!("`{first}` finds {kind} {one}, `{second}` finds {kind} {other}: a person must decide");
                Err(Failure::new("conflict", message))
            }
        }
    }

    /// The record that is a pair with the one that `link` names, as the store knew it.
    fn pair(&self) -> Option<String> {
        self.context.looked.last().and_then(|looked| looked.found.clone())
    }

    /// What follows from the last exchange alone; None: look at all of them.
    fn after(&self, last: &Exchange) -> Result<Option<Advance>, Failure> {
        match (&last.purpose, &last.answer) {
            (_, None) => Err(Failure::new("unknown", "the last answer is missing")),
            // A find that finds nothing may be told as `not_found`.
            (Purpose::Find { .. }, Some(Answer::Failed(failure))) if failure.name == "not_found" => Ok(None),
            (Purpose::Get, Some(Answer::Failed(failure))) if failure.name == "not_found" => {
                match self.pair_gone(last) {
                    // The linked record is gone: the pair is no more, match again.
                    true => Ok(None),
                    false => Err(failure.clone()),
                }
            }
            (Purpose::Create, Some(Answer::Failed(failure))) if failure.name == "duplicate" => {
                match &failure.existing_id {
                    Some(id) => self.get(id).map(Some),
                    None => Err(failure.clone()),
                }
            }
            (Purpose::Confirm, Some(Answer::Failed(failure))) if failure.name == "not_found" => {
                let message = format!("the write was accepted, and then there is no such {}", self.object.name);
                Err(Failure { name: "not_accepted".into(), message, ..failure.clone() })
            }
            (_, Some(Answer::Failed(failure))) => Err(failure.clone()),
            (Purpose::Get, Some(Answer::Done { value, .. })) => self.compare(value, last).map(Some),
            (Purpose::Create, Some(Answer::Done { value, .. })) => {
                self.written(Outcome::Created, value, last).map(Some)
            }
            (Purpose::Update, Some(Answer::Done { value, .. })) => {
                self.written(Outcome::Updated, value, last).map(Some)
            }
            (Purpose::Confirm, Some(Answer::Done { value, .. })) => {
                let created = self.context.exchanges.iter().any(|exchange| {
                    exchange.purpose == Purpose::Create && matches!(exchange.answer, Some(Answer::Done { .. }))
                });
                let outcome = if created { Outcome::Created } else { Outcome::Updated };
                self.finish(outcome, self.remote.shape("get", value)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Once only: a search that still shows the record that is gone must not bring us back here.
    fn pair_gone(&self, get: &Exchange) -> bool {
        let pair = self.pair();
        let searched = self.context.exchanges.iter().any(|exchange| matches!(exchange.purpose, Purpose::Find { .. }));
        pair.is_some() && !searched && get.input.get("id").and_then(as_text) == pair
    }

    fn wanted(&self, field: &str, value: &Value) -> Option<Value> {
        self.remote.comparable(field, Some(value), &self.input)
    }

    fn get(&self, id: &str) -> Result<Advance, Failure> {
        let mut input = self.remote.holes("get", &self.input);
        input.insert("id".into(), Value::String(id.into()));
        self.send(Purpose::Get, "get", input)
    }

    fn create(&self) -> Result<Advance, Failure> {
        let operation = self.remote.operation("create")?;
        operation.given(&self.input).map_err(|fault| undecided(&fault, "with"))?;
        let input = self.remote.unshape(operation, self.input.clone())?;
        Ok(self.sending(Purpose::Create, "create", input))
    }

    /// Writes what differs, or finds that nothing does.
    fn compare(&self, found: &Value, get: &Exchange) -> Result<Advance, Failure> {
        let current = self.remote.shape("get", found);
        let mut changes = Map::new();
        for (field, wanted) in &self.input {
            if !self.object.writable_on_update(field) {
                continue;
            }
            // A null that the author wrote clears; anything else is added.
            let value = if self.object.whole_lists.contains(field) && !wanted.is_null() {
                union(value_of(&current, field), wanted)
            } else {
                wanted.clone()
            };
            if self.remote.comparable_of(field, &current) != self.wanted(field, &value) {
                changes.insert(field.clone(), value);
            }
        }
        if changes.is_empty() {
            return self.finish(Outcome::Unchanged, current);
        }
        let operation = self.remote.operation("update")?;
        for (hole, value) in self.remote.holes("update", &self.input) {
            changes.insert(hole, value);
        }
        changes.insert(
            "id".into(),
            get.input.get("id").cloned().unwrap_or_else(|| Value::String(self.remote.id(&current).unwrap_or_default())),
        );
        let input = self.remote.unshape(operation, changes)?;
        Ok(self.sending(Purpose::Update, "update", input))
    }

    /// After a write: believe the record that came back, or read it; always where the vendor's answers are not believed.
    fn written(&self, outcome: Outcome, value: &Value, write: &Exchange) -> Result<Advance, Failure> {
        let standard = if outcome == Outcome::Created { "create" } else { "update" };
        let record = self.remote.shape(standard, value);
        let named = self.remote.id(&record);
        let Some(id) = named.clone().or_else(|| write.input.get("id").and_then(as_text)) else {
            return Err(Failure::new("not_accepted", format!("the answer names no {}", self.object.name)));
        };
        if named.is_some() && !self.object.confirm_writes {
            return self.finish(outcome, record);
        }
        let mut input = self.remote.holes("get", &self.input);
        input.insert("id".into(), Value::String(id));
        self.send(Purpose::Confirm, "get", input)
    }

    fn finish(&self, outcome: Outcome, record: Value) -> Result<Advance, Failure> {
        let id = self.remote.id(&record);
        let mut finish = Finish {
            outcome: Some(outcome),
            warnings: self.refused_fields(outcome, &record),
            result: record,
            ..Finish::default()
        };
        if let (Some(of), Some(id)) = (&self.link, id) {
            let written = self.context.reference(&self.upsert.alias, &self.upsert.object, &id)?;
            let known = self.pair();
            if let Some(gone) = known.as_ref().filter(|known| **known != id) {
                let gone = self.context.reference(&self.upsert.alias, &self.upsert.object, gone)?;
                finish.unlink = Some((of.clone(), gone));
            }
            if known.as_deref() != Some(id.as_str()) {
                finish.link = Some((of.clone(), written));
            }
        }
        Ok(Advance::Finish(Box::new(finish)))
    }

    /// Fields that were written and are not what was sent: the write stands, people are told.
    fn refused_fields(&self, outcome: Outcome, record: &Value) -> Vec<String> {
        if outcome == Outcome::Unchanged || !self.object.confirm_writes {
            return Vec::new();
        }
        let refused = |(field, wanted): &(&String, &Value)| {
            let partial = self.object.whole_lists.contains(field) || !self.object.writable_on_update(field);
            !partial && self.wanted(field, wanted) != self.remote.comparable_of(field, record)
        };
        let fields = self.input.iter().filter(refused);
        fields.map(|(field, _)| format!("not_accepted: `{field}` was sent and is not what the record holds")).collect()
    }

    fn send(&self, purpose: Purpose, standard: &str, input: Map<String, Value>) -> Result<Advance, Failure> {
        self.remote.operation(standard)?;
        Ok(self.sending(purpose, standard, Value::Object(input)))
    }

    fn sending(&self, purpose: Purpose, standard: &str, input: Value) -> Advance {
        Advance::Send(self.remote.sending(purpose, standard, input, self.turns()))
    }

    fn turns(&self) -> Vec<String> {
        let connection = self.context.accounts.connection(&self.upsert.alias).unwrap_or_default();
        let kind = &self.object.name;
        let mut turns: Vec<String> =
            self.matches.iter().map(|(field, value)| format!("{connection}/{kind}/{field}={value}")).collect();
        if let Some(of) = &self.link {
            turns.push(format!("{connection}/{kind}/link={}/{}/{}", of.connection, of.object, of.id));
        }
        turns.sort();
        turns.dedup();
        turns
    }
}

/// The record that `link:` names.
fn linked_record(expr: &Expr, context: &Context<'_>) -> Result<RecordRef, Failure> {
    let path = expr.reads().first().map(|read| read.names.join(".")).unwrap_or_default();
    let found = context.records.iter().find(|(known, _)| *known == path).map(|(_, record)| record.clone());
    found.ok_or_else(|| Failure::new("invalid", format!("`link`: there is no record at `{path}`")))
}

/// Fields by name: a nested map means the same as dots, for keyed lists and known maps.
fn flatten(input: Map<String, Value>, object: &Object) -> Map<String, Value> {
    let mut flat = Map::new();
    for (field, value) in input {
        let keyed = object.keyed_lists.iter().any(|list| list.name == field);
        let known = matches!(object.field_type(&field), Some(FieldType::Map { fields, .. }) if !fields.is_empty());
        match value {
            Value::Object(map) if keyed => {
                flat.extend(map.into_iter().map(|(name, value)| (format!("{field}.{name}"), value)));
            }
            // A name with a dot or a space in it cannot be said with dots alone.
            Value::Object(map) if known && !map.is_empty() && map.keys().all(|name| is_plain(name)) => {
                let inside = map.into_iter().map(|(name, value)| (format!("{field}.{name}"), value));
                flat.extend(flatten(inside.collect(), object));
            }
            value => {
                flat.insert(field, value);
            }
        }
    }
    flat
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '-')
}

fn union(current: Option<&Value>, wanted: &Value) -> Value {
    let mut all = current.and_then(Value::as_array).cloned().unwrap_or_default();
    for item in wanted.as_array().into_iter().flatten() {
        if !is_blank(Some(item)) && !all.contains(item) {
            all.push(item.clone());
        }
    }
    Value::Array(all)
}
