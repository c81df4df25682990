//! Filters of a search: groups of `{field, operator, value}`, by the table that the sandbox file gives.

use chrono::DateTime;
use serde_json::Value;

use crate::sandbox::document::{Filter, ObjectRules};
use crate::sandbox::field::{comparable, forms};
use crate::sandbox::refusal::No;
use crate::sandbox::turn::{Turn, plain};
use crate::sandbox::view::at;

/// What a request searches for.
#[derive(Default)]
pub struct Search {
    wanted: Vec<Wanted>,
    /// In the form in which it is compared, and the fields in which it may be.
    text: Option<(String, Vec<String>)>,
}

/// A filter, judged.
enum Wanted {
    All(Vec<Wanted>),
    Any(Vec<Wanted>),
    Field { name: String, operator: String, value: Value },
}

impl Turn<'_> {
    pub fn search_of(&mut self, filter: &Filter) -> Result<Search, No> {
        let asked = filter.filters.as_ref().map(|made| self.made(made)).transpose()?.flatten();
        let asked = asked.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        let wanted = self.judged(filter, &asked, 0)?;
        let text = filter.text.as_ref().map(|made| self.made(made)).transpose()?.flatten();
        let text = comparable(text.as_ref());
        if let (Some(text), Some(longest)) = (&text, filter.longest)
            && text.chars().count() > longest
        {
            return Err(No::Named("value_too_long".to_owned()));
        }
        Ok(Search { wanted, text: text.map(|text| (text, filter.text_fields.clone())) })
    }

    fn judged(&mut self, filter: &Filter, asked: &[Value], depth: usize) -> Result<Vec<Wanted>, No> {
        let mut judged = Vec::new();
        for one in asked {
            if let (Some(group), true) = (one.get("group"), depth < 8) {
                let inner = one["filters"].as_array().cloned().unwrap_or_default();
                let inner = self.judged(filter, &inner, depth + 1)?;
                let any = group.as_str().is_some_and(|group| group.eq_ignore_ascii_case("or"));
                judged.push(if any { Wanted::Any(inner) } else { Wanted::All(inner) });
                continue;
            }
            let name = one["field"].as_str().unwrap_or_default();
            let operator = one["operator"].as_str().unwrap_or_default();
            self.set("field", Value::from(name));
            self.set("operator", Value::from(operator));
            let row = filter.fields.iter().find(|row| row.names.iter().any(|known| covers(known, name)));
            let row = row.ok_or_else(|| No::Named("invalid_field".to_owned()))?;
            let meant = filter.operators.get(operator).filter(|_| row.operators.iter().any(|known| known == operator));
            let meant = meant.ok_or_else(|| No::Named("invalid_operator".to_owned()))?;
            if filter.longest.is_some_and(|longest| plain(&one["value"]).chars().count() > longest) {
                return Err(No::Named("value_too_long".to_owned()));
            }
            judged.push(Wanted::Field { name: name.to_owned(), operator: meant.clone(), value: one["value"].clone() });
        }
        Ok(judged)
    }
}

fn covers(known: &str, name: &str) -> bool {
    known == name || known.strip_suffix('*').is_some_and(|start| name.len() > start.len() && name.starts_with(start))
}

impl Search {
    pub fn fits(&self, record: &Value, described: &ObjectRules) -> bool {
        let holds = |text: &str, field: &String| {
            comparable(at(record, field, described)).is_some_and(|value| value.contains(text))
        };
        self.wanted.iter().all(|wanted| wanted.fits(record, described))
            && self.text.as_ref().is_none_or(|(text, fields)| fields.iter().any(|field| holds(text, field)))
    }

    /// Fields that each record has one of the values in, as forms. Blanks equal what is not there: they are left out.
    pub fn equalities(&self) -> impl Iterator<Item = (String, Vec<String>)> {
        self.wanted.iter().filter_map(|wanted| {
            let Wanted::Field { name, operator, value } = wanted else { return None };
            let forms = forms(value);
            let is_whole = !forms.is_empty() && forms.len() == value.as_array().map_or(1, Vec::len);
            (operator == "eq" && is_whole).then(|| (name.clone(), forms))
        })
    }
}

impl Wanted {
    fn fits(&self, record: &Value, described: &ObjectRules) -> bool {
        match self {
            Wanted::All(inner) => inner.iter().all(|wanted| wanted.fits(record, described)),
            Wanted::Any(inner) => inner.iter().any(|wanted| wanted.fits(record, described)),
            Wanted::Field { name, operator, value } => {
                let found = at(record, name, described);
                match operator.as_str() {
                    "eq" => equals(found, value),
                    "ne" => !equals(found, value),
                    "contains" => contains(found, value),
                    "not_contains" => !contains(found, value),
                    "exists" => exists(found),
                    "not_exists" => !exists(found),
                    "range" => in_range(found, value),
                    _ => false,
                }
            }
        }
    }
}

fn exists(found: Option<&Value>) -> bool {
    match found {
        Some(Value::Array(list)) => !list.is_empty(),
        other => comparable(other).is_some(),
    }
}

/// A list equals what it holds: each wanted value is in it.
fn equals(found: Option<&Value>, value: &Value) -> bool {
    match (found, value) {
        (Some(Value::Array(list)), Value::Array(wanted)) => wanted.iter().all(|one| equals_any(list, one)),
        (Some(Value::Array(list)), one) => equals_any(list, one),
        (found, Value::Array(wanted)) => wanted.iter().any(|one| comparable(found) == comparable(Some(one))),
        (found, one) => comparable(found) == comparable(Some(one)),
    }
}

fn equals_any(list: &[Value], one: &Value) -> bool {
    list.iter().any(|item| comparable(Some(item)) == comparable(Some(one)))
}

fn contains(found: Option<&Value>, value: &Value) -> bool {
    let Some(part) = comparable(Some(value)) else { return false };
    match found {
        Some(Value::Array(list)) => list.iter().any(|item| contains(Some(item), value)),
        other => comparable(other).is_some_and(|text| text.contains(&part)),
    }
}

fn in_range(found: Option<&Value>, range: &Value) -> bool {
    let Some(value) = found.and_then(weight) else { return false };
    let bound = |name: &str| range.get(name).and_then(weight);
    range.as_object().is_some_and(|range| !range.is_empty())
        && bound("gt").is_none_or(|bound| value > bound)
        && bound("gte").is_none_or(|bound| value >= bound)
        && bound("lt").is_none_or(|bound| value < bound)
        && bound("lte").is_none_or(|bound| value <= bound)
}

fn weight(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let time = DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_millis() as f64).ok();
            let midnight = || DateTime::parse_from_rfc3339(&format!("{text}T00:00:00Z")).ok();
            time.or_else(|| midnight().map(|time| time.timestamp_millis() as f64)).or_else(|| text.parse().ok())
        }
        _ => None,
    }
}
