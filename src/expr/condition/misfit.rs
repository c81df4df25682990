//! Tests that can only fail: what their field holds is never of the type that they ask for.

use serde_json::Value;

use super::Test;
use super::compare::time_of;
use super::operator::Operator;
use crate::expr::{Expr, FieldType, Locale, Problem, Types, is_blank, kind_of, shown, text_of};

/// What stands on the right: as a message names it, its kind, and the value where it is known.
struct Right {
    told: String,
    kind: Option<&'static str>,
    constant: Option<Value>,
}

impl Test {
    /// What is wrong with asking this of a field of that type; the places are those on the right side.
    pub(super) fn misfits(&self, types: &Types<'_>) -> Vec<Problem> {
        let left = types(&self.path);
        let takes_list =
            matches!(self.operator, Operator::In | Operator::NotIn | Operator::ContainsAny | Operator::ContainsAll);
        let found = match self.right.items().filter(|_| takes_list) {
            Some(items) => items
                .iter()
                .enumerate()
                .filter_map(|(at, item)| Some(self.misfit(&left, &right(item, types))?.under(&at.to_string())))
                .collect(),
            None if takes_list => self.list(&left, &self.right.gives(types)).into_iter().collect(),
            None => self.misfit(&left, &right(&self.right, types)).into_iter().collect(),
        };
        self.right.faults(types).into_iter().chain::<Vec<Problem>>(found).collect()
    }

    /// A list on the right that is read.
    fn list(&self, left: &FieldType, right: &FieldType) -> Option<Problem> {
        let (path, name) = (self.right.as_path().map_or("the right side", |path| path.text()), self.operator.name());
        match right {
            FieldType::List(items) => {
                let told = format!("the items of `{path}` ({})", items.describe());
                self.misfit(left, &Right { told, kind: kind(items), constant: None })
            }
            other => kind(other).map(|_| {
                let message = format!("`{name}` takes a list, and `{path}` is {}", other.describe());
                Problem::new("wrong-type", message).help("write it in `[ ]` if it is the only one")
            }),
        }
    }

    fn misfit(&self, left: &FieldType, right: &Right) -> Option<Problem> {
        let has = kind(left)?;
        let asked = |kind: &str| right.kind.is_none_or(|asked| asked == kind);
        let fits = match self.operator {
            Operator::Eq | Operator::Ne | Operator::In | Operator::NotIn => {
                let is_wrong_time = |right: &Value| {
                    is_time(left) && !is_blank(Some(right)) && time_of(right, &Locale::default()).is_none()
                };
                asked(has) && !right.constant.as_ref().is_some_and(is_wrong_time)
            }
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => {
                matches!(has, "number" | "text") && asked(has)
            }
            Operator::Contains | Operator::ContainsAny | Operator::ContainsAll => match left {
                FieldType::List(items) => kind(items).is_none_or(asked),
                _ => has == "text" && asked("text"),
            },
            Operator::StartsWith | Operator::EndsWith | Operator::Matches => has == "text" && asked("text"),
            Operator::Blank | Operator::Exists | Operator::Changed | Operator::Type => return None,
        };
        let is_null = right.constant.as_ref().is_some_and(Value::is_null);
        if fits || is_null {
            return if is_null { None } else { self.never(left, right) };
        }
        let (path, name) = (self.path.text(), self.operator.name());
        let message = format!("`{path}` is {}, and `{name}` asks it for {}", left.describe(), right.told);
        Some(Problem::new("wrong-type", message).help(help(self.operator, left, right)))
    }

    /// A value that the schema does not name.
    fn never(&self, left: &FieldType, right: &Right) -> Option<Problem> {
        let holds = matches!(self.operator, Operator::Contains | Operator::ContainsAny | Operator::ContainsAll);
        let values = match left {
            FieldType::OneOf(values) if is_equality(self.operator) => values,
            FieldType::List(items) if holds => match &**items {
                FieldType::OneOf(values) => values,
                _ => return None,
            },
            _ => return None,
        };
        let constant = right.constant.as_ref().filter(|constant| !values.contains(constant))?;
        let (asked, known) = (text_of(constant), values.iter().map(text_of).collect::<Vec<_>>());
        let problem = Problem::new(
            "unreachable-case",
            format!("`{}` {} `{asked}`", self.path.text(), if holds { "never holds" } else { "is never" }),
        );
        let otherwise = format!("write one of `{}`", known.join("`, `"));
        Some(problem.nearest(&asked, known.iter().map(String::as_str), otherwise))
    }
}

fn right(expr: &Expr, types: &Types<'_>) -> Right {
    let (constant, given) = (expr.constant(), expr.gives(types));
    let told = match (&constant, expr.as_path()) {
        (Some(constant), _) => format!("{} ({})", shown(constant), kind_of(constant)),
        (None, Some(path)) => format!("`{}` ({})", path.text(), given.describe()),
        (None, None) => given.describe(),
    };
    Right { told, kind: kind(&given), constant }
}

fn is_equality(operator: Operator) -> bool {
    matches!(operator, Operator::Eq | Operator::Ne | Operator::In | Operator::NotIn)
}

fn help(operator: Operator, left: &FieldType, right: &Right) -> String {
    let is_order = matches!(operator, Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte);
    match (left, &right.constant) {
        (FieldType::List(_), _) if matches!(operator, Operator::In | Operator::NotIn) => {
            "whether a list holds one of several says `contains_any`".to_owned()
        }
        (FieldType::List(_), _) if is_equality(operator) => "whether a list holds a value says `contains`".to_owned(),
        (FieldType::Boolean, Some(Value::String(text))) if is_equality(operator) && yes_or_no(text).is_some() => {
            format!("write it without quotes: `{}`", yes_or_no(text).unwrap_or_default())
        }
        (FieldType::Integer | FieldType::Number, Some(Value::String(text)))
            if is_equality(operator) && serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_number()) =>
        {
            format!("write it without quotes: `{text}`")
        }
        (FieldType::Text | FieldType::List(_), Some(one @ (Value::Number(_) | Value::Bool(_)))) if !is_order => {
            format!("write it in quotes: `\"{one}\"`")
        }
        (left, _) if is_time(left) => "write a date such as `2026-07-20`, or a date and time".to_owned(),
        _ if is_order => "only numbers and times have an order".to_owned(),
        _ => format!("ask whether it is equal (`eq`) to a value that is {}", left.describe()),
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
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
