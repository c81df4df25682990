//! `converged`: the two sides of a sync are equal, record by record and field by field.

use std::collections::BTreeMap;

use serde_json::Value;

use super::company::Company;
use super::judge::Unmet;
use super::records::at;
use crate::expr::{Condition, Locale, Scope};
use crate::sync::{Field, Pair, Side};

/// Differences that are told.
const TOLD_MAX: usize = 10;

pub fn judge(subject: &str, company: &Company, root: &Value) -> Option<Unmet> {
    let Some(sync) = company.scene.plan.syncs.iter().find(|sync| sync.name == subject) else {
        return Some(Unmet::said("converged", "only the two sides of a sync can be equal"));
    };
    // What lives under others is found by them, and not compared here.
    let told = pair(&sync.pair, root, &company.scene.plan.locale);
    let first = told.first()?.clone();
    let mut unmet = Unmet::said("converged", first);
    unmet.told.extend(told.iter().skip(1).take(TOLD_MAX).cloned());
    Some(unmet)
}

fn pair(pair: &Pair, root: &Value, locale: &Locale) -> Vec<String> {
    let [first, second] = &pair.sides;
    let mut told = Vec::new();
    let mut others = keyed(pair, second, 1, root, locale);
    for (key, record) in keyed(pair, first, 0, root, locale) {
        match others.remove(&key) {
            None => told.push(format!("{} has {key}, {} has not", first.alias, second.alias)),
            Some(other) => told.extend(fields(pair, &key, record, other, locale)),
        }
    }
    told.extend(others.keys().map(|key| format!("{} has {key}, {} has not", second.alias, first.alias)));
    told
}

/// The records of a side that take part, by the values that find their other half, as the second side has them.
fn keyed<'r>(pair: &Pair, side: &Side, index: usize, root: &'r Value, locale: &Locale) -> BTreeMap<String, &'r Value> {
    let records = root.get(&side.alias).and_then(|objects| objects.get(&side.object)).and_then(Value::as_array);
    let takes_part = |record: &&Value| {
        let holds = |test: &Condition| test.holds(&Scope::new(record, locale)).unwrap_or_default();
        side.only_if.as_ref().is_none_or(holds)
    };
    let key = |record: &'r Value| {
        let values = pair.match_by.iter().filter_map(|at| pair.fields.get(*at));
        let values = values.map(|field| value(field, record, index, locale));
        let first = values.into_iter().find(|value| !value.is_null())?;
        Some((first.to_string(), record))
    };
    records.into_iter().flatten().filter(takes_part).filter_map(key).collect()
}

/// A field's value as the second side has it.
fn value(field: &Field, record: &Value, index: usize, locale: &Locale) -> Value {
    let value = at(record, &field.names[index]).cloned().unwrap_or_default();
    match &field.conversion {
        Some(conversion) if index == 0 => conversion.apply(&value, locale).unwrap_or(value),
        // A value that is normal already stays as it is.
        Some(conversion) => {
            conversion.reverse(&value, locale).and_then(|back| conversion.apply(&back, locale)).unwrap_or(value)
        }
        None => value,
    }
}

fn fields(pair: &Pair, key: &str, one: &Value, other: &Value, locale: &Locale) -> Vec<String> {
    let [first, second] = &pair.sides;
    let differs = |field: &Field| {
        let (one, other) = (value(field, one, 0, locale), value(field, other, 1, locale));
        let is_nothing = |value: &Value| value.is_null() || *value == "" || value.as_array().is_some_and(Vec::is_empty);
        let same = one == other || (is_nothing(&one) && is_nothing(&other));
        let names = [&field.names[0], &field.names[1]];
        (!same)
            .then(|| format!("{key}: {}.{} is {one}, {}.{} is {other}", first.alias, names[0], second.alias, names[1]))
    };
    pair.fields.iter().filter_map(differs).collect()
}
