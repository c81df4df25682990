//! Paths that can lead to several values, walked step by step within a budget.
//!
//! The crate's own walk writes down a path for each value and knows no limit, so only its filters are used.

use jsonpath_rust::parser::model::{Filter, Segment, Selector};
use serde_json::Value;

use super::types::Link;
use super::{filter, item_at};
use crate::expr::Scope;
use crate::expr::needs::Needs;

/// The most values that a path gives, at its end or on the way.
const RESULTS_MAX: usize = 100_000;
/// The most values that a path looks at.
const STEPS_MAX: usize = 1_000_000;

#[derive(Clone, Debug)]
pub(super) struct Plural {
    segments: Vec<Segment>,
    /// What filters read of the roots (`$.vars.y` in `[?@.x == $.vars.y]`).
    needs: Needs,
}

impl Plural {
    /// # Errors
    /// A filter whose work could not be bounded.
    pub(super) fn new(segments: Vec<Segment>) -> Result<Plural, String> {
        let needs = filter::check(&segments)?;
        Ok(Plural { segments, needs })
    }

    pub(super) fn names(&self) -> Vec<String> {
        filter::names(&self.segments)
    }

    /// The segments as links, up to the first whose type cannot be followed; and whether that are all.
    pub(super) fn links(&self) -> (Vec<Link<'_>>, bool) {
        let links: Vec<Link<'_>> = self
            .segments
            .iter()
            .map_while(|segment| match segment {
                Segment::Selector(Selector::Name(name)) => Some(Link::Name(name)),
                Segment::Selector(Selector::Index(index)) => Some(Link::Index(*index)),
                Segment::Selector(Selector::Wildcard) => Some(Link::Each("[*]")),
                Segment::Selector(Selector::Slice(..)) => Some(Link::Each("[:]")),
                Segment::Selector(Selector::Filter(_)) => Some(Link::Each("[?…]")),
                _ => None,
            })
            .collect();
        let whole = links.len() == self.segments.len();
        (links, whole)
    }

    /// Everything that the path leads to and is there.
    ///
    /// # Errors
    /// Which limit it went over.
    pub(super) fn find(&self, scope: &Scope<'_>) -> Result<Vec<Value>, String> {
        let gathered = self.gathered(scope);
        let root = gathered.as_ref().or(scope.bare()).unwrap_or(&Value::Null);
        let (start, rest) = match self.segments.as_slice() {
            [Segment::Selector(Selector::Name(root)), Segment::Selector(Selector::Name(name)), rest @ ..] => {
                (scope.field(root, name), rest)
            }
            [Segment::Selector(Selector::Name(root)), rest @ ..] => (scope.root(root), rest),
            segments => (Some(scope.whole()), segments),
        };
        let mut walk = Walk { root, steps: 0 };
        let mut found: Vec<&Value> = start.into_iter().collect();
        for segment in rest {
            found = walk.segment(segment, &found)?;
        }
        Ok(found.into_iter().filter(|value| !value.is_null()).cloned().collect())
    }

    /// What `$` means inside filters, as far as they read it, where it is not one value.
    fn gathered(&self, scope: &Scope<'_>) -> Option<Value> {
        (!self.needs.is_empty() && scope.bare().is_none()).then(|| Value::Object(self.needs.of_scope(scope)))
    }
}

struct Walk<'a> {
    root: &'a Value,
    steps: usize,
}

impl<'a> Walk<'a> {
    fn segment(&mut self, segment: &Segment, from: &[&'a Value]) -> Result<Vec<&'a Value>, String> {
        let mut found = Vec::new();
        for value in from {
            match segment {
                Segment::Descendant(inner) => self.descend(inner, value, &mut found)?,
                other => self.child(other, value, &mut found)?,
            }
        }
        Ok(found)
    }

    /// The value and all below it, parents before children.
    fn descend(&mut self, inner: &Segment, value: &'a Value, found: &mut Vec<&'a Value>) -> Result<(), String> {
        let mut waiting = vec![value];
        while let Some(next) = waiting.pop() {
            self.child(inner, next, found)?;
            let before = waiting.len();
            waiting.extend(children(next));
            waiting[before..].reverse();
        }
        Ok(())
    }

    fn child(&mut self, segment: &Segment, value: &'a Value, found: &mut Vec<&'a Value>) -> Result<(), String> {
        let selectors = match segment {
            Segment::Selector(selector) => std::slice::from_ref(selector),
            Segment::Selectors(selectors) => selectors.as_slice(),
            // The grammar has no descent inside a descent.
            Segment::Descendant(_) => &[],
        };
        for selector in selectors {
            self.select(selector, value, found)?;
            if found.len() > RESULTS_MAX {
                return Err(format!("leads to more than {RESULTS_MAX} values"));
            }
        }
        Ok(())
    }

    fn select(&mut self, selector: &Selector, value: &'a Value, found: &mut Vec<&'a Value>) -> Result<(), String> {
        self.spend(1)?;
        match selector {
            Selector::Name(name) => found.extend(value.get(name.as_str())),
            Selector::Index(index) => found.extend(value.as_array().and_then(|items| item_at(items, *index))),
            Selector::Wildcard => {
                self.spend(size(value))?;
                found.extend(children(value));
            }
            Selector::Slice(start, end, step) => {
                if let Value::Array(items) = value {
                    self.spend(items.len())?;
                    found.extend(slice(items, *start, *end, step.unwrap_or(1)));
                }
            }
            Selector::Filter(filter) => {
                self.spend(size(value).saturating_mul(filter::cost(filter)))?;
                found.extend(self.passing(filter, value));
            }
        }
        Ok(())
    }

    fn passing(&self, filter: &Filter, value: &'a Value) -> Vec<&'a Value> {
        children(value).filter(|child| filter::passes(filter, child, self.root)).collect()
    }

    fn spend(&mut self, steps: usize) -> Result<(), String> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX {
            return Err(format!("looks at more than {STEPS_MAX} values"));
        }
        Ok(())
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        _ => Box::new(std::iter::empty()),
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    }
}

/// RFC 9535 section 2.3.4.2.
fn slice(items: &[Value], start: Option<i64>, end: Option<i64>, step: i64) -> Vec<&Value> {
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let place = |index: i64| if index < 0 { length.saturating_add(index) } else { index };
    let (mut at, stop) = if step > 0 {
        (place(start.unwrap_or(0)).clamp(0, length), place(end.unwrap_or(length)).clamp(0, length))
    } else {
        let stop = end.map_or(-1, |end| place(end).clamp(-1, length - 1));
        (place(start.unwrap_or(length - 1)).clamp(-1, length - 1), stop)
    };
    let mut taken = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        taken.extend(usize::try_from(at).ok().and_then(|at| items.get(at)));
        at = at.saturating_add(step);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Locale, Path};
    use proptest::prelude::*;
    use serde_json::json;

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (-3i64..9).prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn segment() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\.[a-c]",
            "\\.\\.[a-c]",
            Just(".*".to_owned()),
            Just("..*".to_owned()),
            "\\[-?[1-3]\\]",
            "\\[(-?[1-4])?:(-?[1-4])?(:-?[1-2])?\\]",
            "\\[0,'[a-c]'\\]",
            "\\[\\?@\\.[a-c] == [0-9]\\]",
            "\\[\\?@\\.[a-c]\\]",
        ]
    }

    proptest! {
        /// The crate's own walk is the oracle. It may order what it finds in another way.
        #[test]
        fn the_walk_finds_what_the_crate_finds(data in json_value(), segments in prop::collection::vec(segment(), 1..4)) {
            let text = format!("${}", segments.concat());
            let query = jsonpath_rust::parser::parse_json_path(&text).unwrap();
            let mut expected: Vec<String> = jsonpath_rust::query::js_path_process(&query, &data)
                .unwrap()
                .into_iter()
                .map(|found| found.val().to_string())
                .collect();
            let path = Path::compile(&text).unwrap();
            let mut found: Vec<String> = match path.get_in(&data) {
                Some(Value::Array(found)) if !path.is_singular() => found.iter().map(Value::to_string).collect(),
                other => other.iter().map(Value::to_string).collect(),
            };
            expected.sort();
            found.sort();
            prop_assert_eq!(found, expected, "{}", text);
        }
    }

    #[test]
    fn a_path_that_explodes_is_stopped() {
        let mut nested = json!([1]);
        for _ in 0..60 {
            nested = json!([nested.clone(), 1]);
        }
        let data = json!({ "deep": nested, "wide": vec![vec![0; 400]; 400] });
        let locale = Locale::default();
        let scope = Scope::new(&data, &locale);
        for text in ["$.deep..*..*..*..*..*..*..*", "$.wide[*,*,*,*][*,*,*,*]", "$.wide[?@..* == 1]"] {
            let Ok(path) = Path::compile(text) else { continue };
            let fault = path.find(&scope).expect_err(text);
            assert!(fault.message.contains("more than"), "{}", fault.message);
        }
        assert_eq!(
            Path::compile("$.wide[*][0]").unwrap().find(&scope).unwrap().unwrap().as_array().unwrap().len(),
            400
        );
    }
}
