//! `converged`: the two sides of a sync are equal, record by record and field by field; so is what lives under the pairs.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::company::Company;
use super::judge::{Unmet, count};
use super::records::at;
use crate::connector::Object;
use crate::expr::{Condition, Scope, as_text};
use crate::sync::{Field, Half, Pair, Side, Sync, Which};

/// Differences that are told.
const TOLD_MAX: usize = 10;

pub fn judge(subject: &str, company: &Company, root: &Value) -> Option<Unmet> {
    let Some(sync) = company.scene.plan.syncs.iter().find(|sync| sync.name == subject) else {
        return Some(Unmet::said("converged", "only the two sides of a sync can be equal"));
    };
    let told = Comparing { company, root }.all(sync);
    let first = told.first()?.clone();
    let mut unmet = Unmet::said("converged", first);
    unmet.told.extend(told.iter().skip(1).take(TOLD_MAX).cloned());
    Some(unmet)
}

/// Records of both sides, by what they are known by.
type Keyed<'r> = BTreeMap<String, [Vec<&'r Value>; 2]>;

struct Comparing<'c> {
    company: &'c Company,
    root: &'c Value,
}

impl<'c> Comparing<'c> {
    fn all(&self, sync: &Sync) -> Vec<String> {
        let pair = &sync.pair;
        let records = [0, 1].map(|side| self.records(&pair.sides[side]));
        let keyed = self.keyed(pair, &records);
        let mut told = self.differences(pair, "", &keyed);
        for child in &sync.children {
            let below = [0, 1].map(|side| self.by_parent(&child.sides[side]));
            for (key, records) in &keyed {
                let [[first], [second]] = records.each_ref().map(Vec::as_slice) else { continue };
                let under = |side: usize, record: &Value| {
                    let id = record.get(&self.object(&pair.sides[side])?.id).and_then(as_text)?;
                    below[side].get(&id).cloned()
                };
                let records = [under(0, first), under(1, second)].map(Option::unwrap_or_default);
                let of = format!("{} of {key}: ", child.sides[0].object);
                told.extend(self.differences(child, &of, &self.keyed(child, &records)));
            }
        }
        told
    }

    /// The records of a side by the id of what they live under.
    fn by_parent(&self, side: &Side) -> HashMap<String, Vec<&'c Value>> {
        let mut below: HashMap<String, Vec<&Value>> = HashMap::new();
        let Some(parent) = self.object(side).and_then(|object| object.parent.as_ref()) else { return below };
        for record in self.records(side) {
            if let Some(id) = record.get(&parent.id).and_then(as_text) {
                below.entry(id).or_default().push(record);
            }
        }
        below
    }

    fn object(&self, side: &Side) -> Option<&'c Object> {
        let connection = self.company.scene.aliases.get(&side.alias)?;
        self.company.scene.connector(connection)?.object(&side.object)
    }

    /// The records of a side that take part.
    fn records(&self, side: &Side) -> Vec<&'c Value> {
        let records = self.root.get(&side.alias).and_then(|objects| objects.get(&side.object));
        let takes_part = |record: &&Value| {
            let holds =
                |test: &Condition| test.holds(&Scope::new(record, &self.company.scene.plan.locale)).unwrap_or_default();
            side.only_if.as_ref().is_none_or(holds)
        };
        records.and_then(Value::as_array).into_iter().flatten().filter(takes_part).collect()
    }

    /// By the values that find their other half, as the second side has them; those without such values by all of them.
    fn keyed(&self, pair: &Pair, records: &[Vec<&'c Value>; 2]) -> Keyed<'c> {
        let mut keyed = Keyed::new();
        for side in Which::BOTH {
            for record in &records[side.index()] {
                let Some(key) = self.key(pair, record, side) else { continue };
                keyed.entry(key).or_default()[side.index()].push(record);
            }
        }
        keyed
    }

    fn key(&self, pair: &Pair, record: &Value, side: Which) -> Option<String> {
        let halves = self.halves(pair, [record, record])?;
        if pair.match_by.is_empty() {
            return Some(Value::from_iter(pair.fields.iter().map(|field| field.at_second(side, &halves))).to_string());
        }
        pair.matching()
            .map(|field| field.at_second(side, &halves))
            .find(|value| !value.is_null())
            .map(|value| value.to_string())
    }

    fn halves<'r>(&'r self, pair: &'r Pair, records: [&'r Value; 2]) -> Option<[Half<'r>; 2]> {
        let half = |side: Which| {
            let of = &pair.sides[side.index()];
            let locale = self.company.scene.plan.locale_of(self.company.scene.aliases.get(&of.alias)?);
            Some(Half { object: self.object(of)?, record: records[side.index()], locale })
        };
        Some([half(Which::First)?, half(Which::Second)?])
    }

    fn differences(&self, pair: &Pair, of: &str, keyed: &Keyed<'_>) -> Vec<String> {
        let [first, second] = pair.sides.each_ref().map(|side| side.alias.as_str());
        let mut told = Vec::new();
        for (key, records) in keyed {
            match records.each_ref().map(Vec::as_slice) {
                [[one], [other]] => told.extend(self.fields(pair, &format!("{of}{key}"), one, other)),
                [_, []] => told.push(format!("{of}{first} has {key}, {second} has not")),
                [[], _] => told.push(format!("{of}{second} has {key}, {first} has not")),
                [ones, others] if ones.len() != others.len() => {
                    let (ones, others) = (count(ones.len()), count(others.len()));
                    told.push(format!("{of}{first} has {ones} of {key}, {second} has {others}"));
                }
                _ => {}
            }
        }
        told
    }

    fn fields(&self, pair: &Pair, key: &str, one: &Value, other: &Value) -> Vec<String> {
        let Some(halves) = self.halves(pair, [one, other]) else { return Vec::new() };
        let told = |field: &Field| {
            let said = |side: Which, record: &Value| {
                let (alias, name) = (&pair.sides[side.index()].alias, &field.names[side.index()]);
                format!("{alias}.{name} is {}", at(record, name).unwrap_or(&Value::Null))
            };
            format!("{key}: {}, {}", said(Which::First, one), said(Which::Second, other))
        };
        pair.fields.iter().filter(|field| !field.is_equal(&halves)).map(told).collect()
    }
}
