//! Tests that can only fail: what their field holds is never of the type that they ask for.

use serde_json::Value;

use super::compare::time_of;
use super::operator::Operator;
use crate::expr::{FieldType, Locale, Problem, is_blank, kind_of, shown};

impl Operator {
    /// What is wrong with asking this of a field of that type; the places are those on the right side.
    pub(super) fn misfits(self, path: &str, left: &FieldType, right: &Value) -> Vec<Problem> {
        let one = |right: &Value| self.misfit(path, left, right);
        match (self, right) {
            (Operator::In | Operator::NotIn | Operator::ContainsAny | Operator::ContainsAll, Value::Array(items)) => {
                items.iter().enumerate().filter_map(|(at, item)| Some(one(item)?.under(&at.to_string()))).collect()
            }
            _ => one(right).into_iter().collect(),
        }
    }

    fn misfit(self, path: &str, left: &FieldType, right: &Value) -> Option<Problem> {
        let kind = kind(left)?;
        let fits = match self {
            Operator::Eq | Operator::Ne | Operator::In | Operator::NotIn => {
                let is_wrong_time =
                    is_time(left) && !is_blank(Some(right)) && time_of(right, &Locale::default()).is_none();
                kind == kind_of(right) && !is_wrong_time
            }
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => {
                matches!(kind, "number" | "text") && kind == kind_of(right)
            }
            Operator::Contains | Operator::ContainsAny | Operator::ContainsAll => match left {
                FieldType::List(items) => self::kind(items).is_none_or(|kind| kind == kind_of(right)),
                _ => kind == "text" && right.is_string(),
            },
            Operator::StartsWith | Operator::EndsWith | Operator::Matches => kind == "text",
            Operator::Blank | Operator::Exists | Operator::Changed | Operator::Type => true,
        };
        if fits || right.is_null() {
            return None;
        }
        let name = self.name();
        let message =
            format!("`{path}` is {}, and `{name}` asks it for {} ({})", left.describe(), shown(right), kind_of(right));
        Some(Problem::new("wrong-type", message).help(help(self, left, right)))
    }
}

fn help(operator: Operator, left: &FieldType, right: &Value) -> String {
    let is_equality = matches!(operator, Operator::Eq | Operator::Ne | Operator::In | Operator::NotIn);
    let is_order = matches!(operator, Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte);
    match (left, right) {
        (FieldType::List(_), _) if is_equality => "whether a list holds a value says `contains`".to_owned(),
        (FieldType::Integer | FieldType::Number | FieldType::Boolean, Value::String(text))
            if is_equality
                && serde_json::from_str::<Value>(text).is_ok_and(|value| kind(left) == Some(kind_of(&value))) =>
        {
            format!("write it without quotes: `{text}`")
        }
        (FieldType::Text | FieldType::List(_), Value::Number(_) | Value::Bool(_)) if !is_order => {
            format!("write it in quotes: `\"{right}\"`")
        }
        (left, _) if is_time(left) => "write a date such as `2026-07-20`, or a date and time".to_owned(),
        _ if is_order => "only numbers and times have an order".to_owned(),
        _ => format!("ask whether it is equal (`eq`) to a value that is {}", left.describe()),
    }
}

fn is_time(kind: &FieldType) -> bool {
    matches!(kind, FieldType::DateTime | FieldType::Date)
}

/// As [`kind_of`], of the values of a type; None if they may be of several.
fn kind(of: &FieldType) -> Option<&'static str> {
    match of {
        FieldType::Text | FieldType::DateTime | FieldType::Date => Some("text"),
        FieldType::Integer | FieldType::Number => Some("number"),
        FieldType::Boolean => Some("boolean"),
        FieldType::OneOf(values) => {
            let first = kind_of(values.first()?);
            values.iter().all(|value| kind_of(value) == first).then_some(first)
        }
        FieldType::List(_) => Some("list"),
        FieldType::Map { .. } => Some("map"),
        FieldType::Any => None,
    }
}
