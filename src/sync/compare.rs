//! Two halves of a pair, field by field: what is to be written on each side, what is agreed then, and what a person decides.
//!
//! ```text
//!  both as they are + as last agreed ─▶ per field: alike │ changed on one side: carried │ changed on both: who wins? ─▶ writes
//! ```
//! What is as it was agreed is nothing new: so the echo of a write is known by its value alone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Conflict, Field, Pair, Which};
use crate::connector::{Object, value_of};
use crate::expr::{Conversion, FieldType, Locale, is_blank, read_time};

/// Both values of each field as last agreed, in the form in which they are compared, null for blank; by the field's name on
/// the first side. By side, since each may write a value in its own way.
pub type Agreed = BTreeMap<String, [Value; 2]>;

/// One record of a pair, as recipes see it.
pub struct Half<'a> {
    pub object: &'a Object,
    pub record: &'a Value,
    /// The account's.
    pub locale: Cow<'a, Locale>,
}

/// What a person has said about a field that was changed on both sides; it counts for these two values only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    pub field: String,
    pub values: [Value; 2],
    pub winner: Which,
}

/// What a comparison is to say.
#[derive(Debug, Default, PartialEq)]
pub struct Comparison {
    pub fields: Vec<Compared>,
    /// By side: what is to be written there.
    pub writes: [Map<String, Value>; 2],
    /// What is agreed once that is written.
    pub agreed: Agreed,
}

/// One field of both sides, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// By side.
    pub names: [String; 2],
    /// In the form in which they are compared; null for blank.
    pub values: [Value; 2],
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Alike,
    /// They differ, and neither has changed since that was agreed.
    Settled,
    /// The value of this side goes to the other.
    From(Which, Because),
    /// What either has is added to the other.
    Merged,
    /// Changed on both sides: a person decides.
    Asked,
    /// The other side cannot hold the value, or it cannot be written there; why.
    Stuck(String),
}

/// Why a side's value is carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Only this side was changed.
    Changed,
    /// The other side has nothing.
    Filled,
    /// Changed on both: this side owns the field.
    Owner,
    /// Changed on both: this side wins.
    Wins,
    /// Changed on both: this one later.
    Newer,
    /// Changed on both: a person has decided.
    Decided,
}

impl Half<'_> {
    fn at(&self, field: &str) -> Option<&Value> {
        value_of(self.record, field).filter(|value| !is_blank(Some(value)))
    }

    /// A value of a field in the form in which two are compared; null for blank.
    fn form(&self, name: &str, conversion: Option<&Conversion>, value: Option<&Value>) -> Value {
        let locale = self.locale.of_country(self.record.get("country"));
        let normal = conversion.filter(|conversion| conversion.is_normaliser());
        let normal = normal.and_then(|conversion| conversion.apply(value?, &locale).ok());
        self.object.comparable(name, normal.as_ref().or(value), &locale).unwrap_or(Value::Null)
    }

    fn changed_ms(&self) -> Option<i64> {
        let text = value_of(self.record, self.object.changed_at.as_ref()?)?;
        Some(read_time(text.as_str()?, &self.locale)?.timestamp_millis())
    }

    /// Nothing, as this field says it.
    fn nothing(&self, name: &str) -> Value {
        match self.object.field_type(name) {
            Some(FieldType::List(_)) => Value::Array(Vec::new()),
            _ => Value::Null,
        }
    }
}

impl Field {
    /// By this it is known in what is agreed.
    pub fn key(&self) -> &str {
        &self.names[0]
    }

    /// A side's value of this field in the form in which it is compared.
    pub fn form(&self, half: &Half<'_>, side: Which, value: Option<&Value>) -> Value {
        half.form(&self.names[side.index()], self.conversion.as_ref(), value)
    }

    pub fn now(&self, half: &Half<'_>, side: Which) -> Value {
        self.form(half, side, half.at(&self.names[side.index()]))
    }

    /// This side's value as the other side has it; None for blank.
    ///
    /// # Errors
    /// The other side has no such value.
    pub fn sent(&self, from: Which, half: &Half<'_>) -> Result<Option<Value>, String> {
        let Some(value) = half.at(&self.names[from.index()]) else { return Ok(None) };
        match (&self.conversion, from) {
            (None, _) => Ok(value.clone()),
            (Some(conversion), Which::First) => conversion.apply(value, &half.locale),
            (Some(conversion), Which::Second) => conversion.reverse(value, &half.locale),
        }
        .map(Some)
    }

    /// As [`Field::sent`], with what stands for blank on the other side.
    fn carried(&self, from: Which, halves: &[Half<'_>; 2]) -> Result<Value, String> {
        let to = from.other();
        let sent = self.sent(from, &halves[from.index()])?;
        Ok(sent.unwrap_or_else(|| halves[to.index()].nothing(&self.names[to.index()])))
    }

    /// A record's value in the form in which those of the second side are compared; null for blank. `halves`: the record as
    /// one of each side.
    pub fn at_second(&self, side: Which, halves: &[Half<'_>; 2]) -> Value {
        let [first, second] = halves;
        match side {
            Which::First => {
                let sent = self.sent(side, first).ok().flatten();
                self.form(second, Which::Second, sent.as_ref())
            }
            Which::Second => self.now(second, side),
        }
    }

    /// Do both records say the same?
    pub fn is_equal(&self, halves: &[Half<'_>; 2]) -> bool {
        let [first, second] = halves;
        self.is_alike(&[self.now(first, Which::First), self.now(second, Which::Second)], halves)
    }

    /// Do both sides say the same?
    fn is_alike(&self, now: &[Value; 2], halves: &[Half<'_>; 2]) -> bool {
        if now.iter().all(Value::is_null) {
            return true;
        }
        Which::BOTH.into_iter().filter(|from| self.owner.is_none_or(|owner| owner == *from)).any(|from| {
            let to = from.other();
            let carried = self.carried(from, halves);
            carried.is_ok_and(|value| self.form(&halves[to.index()], to, Some(&value)) == now[to.index()])
        })
    }

    fn compare(
        &self,
        halves: &[Half<'_>; 2],
        before: Option<&[Value; 2]>,
        now: &[Value; 2],
        rules: &Rules<'_>,
    ) -> Verdict {
        if self.is_alike(now, halves) {
            return Verdict::Alike;
        }
        let changed = [0, 1].map(|side| before.is_none_or(|before| before[side] != now[side]));
        if self.union {
            return if changed == [false, false] { Verdict::Settled } else { Verdict::Merged };
        }
        match self.owner {
            Some(_) if changed == [false, false] => return Verdict::Settled,
            // What was never there takes nothing away.
            Some(owner) if before.is_none() && now[owner.index()].is_null() => return Verdict::Settled,
            Some(owner) if changed[owner.index()] => return Verdict::From(owner, Because::Changed),
            Some(owner) => return Verdict::From(owner, Because::Owner),
            None => {}
        }
        match changed {
            [false, false] => return Verdict::Settled,
            [true, false] => return Verdict::From(Which::First, Because::Changed),
            [false, true] => return Verdict::From(Which::Second, Because::Changed),
            [true, true] => {}
        }
        if before.is_none() && now[0].is_null() {
            return Verdict::From(Which::Second, Because::Filled);
        }
        if before.is_none() && now[1].is_null() {
            return Verdict::From(Which::First, Because::Filled);
        }
        if let Some(decided) = rules.decided.iter().find(|one| one.field == self.key() && one.values == *now) {
            return Verdict::From(decided.winner, Because::Decided);
        }
        match if before.is_none() { rules.first } else { self.conflict } {
            Conflict::Side(winner) => Verdict::From(winner, Because::Wins),
            Conflict::Ask => Verdict::Asked,
            Conflict::Newest => match (halves[0].changed_ms(), halves[1].changed_ms()) {
                (Some(first), Some(second)) if first > second => Verdict::From(Which::First, Because::Newer),
                (Some(first), Some(second)) if first < second => Verdict::From(Which::Second, Because::Newer),
                _ => Verdict::Asked,
            },
        }
    }
}

/// Who wins where a field alone does not say it.
pub struct Rules<'a> {
    /// Where nothing was agreed yet.
    pub first: Conflict,
    pub decided: &'a [Decided],
}

impl Pair {
    /// Compares both records of a pair.
    pub fn compare(&self, halves: &[Half<'_>; 2], agreed: &Agreed, rules: &Rules<'_>) -> Comparison {
        let mut all = Comparison::default();
        for field in &self.fields {
            let now = Which::BOTH.map(|side| field.now(&halves[side.index()], side));
            let before = agreed.get(field.key());
            let verdict = field.compare(halves, before, &now, rules);
            let verdict = match &verdict {
                Verdict::From(from, _) => match all.carry(field, *from, halves, &now) {
                    Ok(()) => verdict,
                    Err(why) => Verdict::Stuck(why),
                },
                Verdict::Merged => match all.merge(field, halves, &now) {
                    Ok(()) => verdict,
                    Err(why) => Verdict::Stuck(why),
                },
                Verdict::Alike | Verdict::Settled => {
                    all.agreed.insert(field.key().into(), now.clone());
                    verdict
                }
                Verdict::Asked | Verdict::Stuck(_) => verdict,
            };
            // What is not settled stays as it was agreed, so that it is met again.
            if let (Verdict::Asked | Verdict::Stuck(_), Some(before)) = (&verdict, before) {
                all.agreed.insert(field.key().into(), before.clone());
            }
            all.fields.push(Compared { names: field.names.clone(), values: now, verdict });
        }
        all
    }

    /// What the other side is created with, and what is agreed then.
    pub fn create(&self, from: Which, halves: &[Half<'_>; 2]) -> Comparison {
        let to = from.other();
        let mut all = Comparison::default();
        for field in self.fields.iter().filter(|field| field.owner != Some(to)) {
            let now = field.now(&halves[from.index()], from);
            if now.is_null() {
                all.agreed.insert(field.key().into(), [Value::Null, Value::Null]);
                continue;
            }
            let mut values = [Value::Null, Value::Null];
            values[from.index()] = now;
            let verdict = match field.carried(from, halves) {
                Err(why) => Verdict::Stuck(why),
                Ok(value) => {
                    let mut both = values.clone();
                    both[to.index()] = field.form(&halves[to.index()], to, Some(&value));
                    all.agreed.insert(field.key().into(), both);
                    all.writes[to.index()].insert(field.names[to.index()].clone(), value);
                    Verdict::From(from, Because::Filled)
                }
            };
            all.fields.push(Compared { names: field.names.clone(), values, verdict });
        }
        all
    }

    /// Has a side changed since the two were agreed? Only what differs from that can be news.
    pub fn is_news(&self, side: Which, half: &Half<'_>, agreed: &Agreed) -> bool {
        self.fields.iter().any(|field| match agreed.get(field.key()) {
            Some(before) => before[side.index()] != field.now(half, side),
            None => true,
        })
    }

    /// The record that a side holds after it was written: what it has made of the values is what is agreed.
    ///
    /// Gives the fields that it has not taken: they hold neither what was sent nor anything that was agreed.
    pub fn written(
        &self,
        side: Which,
        half: &Half<'_>,
        is_read_back: bool,
        comparison: &mut Comparison,
    ) -> Vec<String> {
        let mut refused = Vec::new();
        let place = side.index();
        for field in &self.fields {
            let name = &field.names[place];
            let now = field.now(half, side);
            let Some(agreed) = comparison.agreed.get_mut(field.key()) else { continue };
            // The answer to a write may show a part of the record only.
            let is_shown = is_read_back || value_of(half.record, name).is_some();
            if !comparison.writes[place].contains_key(name) || !is_shown {
                continue;
            }
            if now != agreed[place] {
                refused.push(name.clone());
                agreed[place] = now;
            }
        }
        refused
    }
}

impl Pair {
    /// As [`Pair::written`], of a record that was created: what the side has given it by itself was never agreed.
    pub fn created(
        &self,
        side: Which,
        half: &Half<'_>,
        is_read_back: bool,
        comparison: &mut Comparison,
    ) -> Vec<String> {
        let by_itself = |field: &&Field| {
            let is_sent = comparison.writes[side.index()].contains_key(&field.names[side.index()]);
            !is_sent && !field.now(half, side).is_null()
        };
        let keys: Vec<&str> = self.fields.iter().filter(by_itself).map(Field::key).collect();
        for key in keys {
            comparison.agreed.remove(key);
        }
        self.written(side, half, is_read_back, comparison)
    }
}

impl Comparison {
    fn carry(&mut self, field: &Field, from: Which, halves: &[Half<'_>; 2], now: &[Value; 2]) -> Result<(), String> {
        let value = field.carried(from, halves)?;
        let to = from.other();
        self.write(field, to, &halves[to.index()], value.clone())?;
        let mut both = now.clone();
        both[to.index()] = field.form(&halves[to.index()], to, Some(&value).filter(|value| !is_blank(Some(value))));
        self.agreed.insert(field.key().into(), both);
        Ok(())
    }

    fn merge(&mut self, field: &Field, halves: &[Half<'_>; 2], now: &[Value; 2]) -> Result<(), String> {
        let items = Which::BOTH.into_iter().flat_map(|side| {
            let half = &halves[side.index()];
            half.at(&field.names[side.index()]).and_then(Value::as_array).into_iter().flatten()
        });
        let all: Vec<Value> = items.fold(Vec::new(), |mut all, item| {
            if !all.contains(item) {
                all.push(item.clone());
            }
            all
        });
        let all = Value::Array(all);
        let mut both = now.clone();
        for side in Which::BOTH {
            let half = &halves[side.index()];
            let form = field.form(half, side, Some(&all));
            if form != now[side.index()] {
                self.write(field, side, half, all.clone())?;
                both[side.index()] = form;
            }
        }
        self.agreed.insert(field.key().into(), both);
        Ok(())
    }

    fn write(&mut self, field: &Field, to: Which, half: &Half<'_>, value: Value) -> Result<(), String> {
        let name = &field.names[to.index()];
        if !half.object.writable_on_update(name) {
            return Err(format!("`{name}` can only be given when the {} is created", half.object.name));
        }
        self.writes[to.index()].insert(name.clone(), value);
        Ok(())
    }

    /// Fields that were changed on both sides, for a person to decide.
    pub fn asked(&self) -> impl Iterator<Item = &Compared> {
        self.fields.iter().filter(|field| field.verdict == Verdict::Asked)
    }

    /// What cannot be carried over, in words.
    pub fn stuck(&self) -> impl Iterator<Item = String> {
        self.fields.iter().filter_map(|field| match &field.verdict {
            Verdict::Stuck(why) => Some(format!("`{}` and `{}`: {why}", field.names[0], field.names[1])),
            _ => None,
        })
    }
}
