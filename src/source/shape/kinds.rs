//! Which kinds of values a schema allows, before anything else is asked of them.

use serde_json::{Map, Value};

use super::{Check, own_choices};

/// A set of the kinds of JSON values, whole numbers apart from other numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u8);

/// With the words for each, in the order in which they are told.
const KINDS: [(Kinds, &str); 6] = [
    (Kinds::TEXT, "text"),
    (Kinds::NUMBER, "a number"),
    (Kinds::WHOLE, "a whole number"),
    (Kinds::BOOLEAN, "`true` or `false`"),
    (Kinds::LIST, "a list"),
    (Kinds::MAP, "a map"),
];

/// References are followed so far; a schema that goes on refers to itself.
pub(super) const HOPS_MAX: usize = 16;

impl Kinds {
    pub(super) const NONE: Self = Self(0);
    pub(super) const ANY: Self = Self(0x7f);
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    pub(super) const WHOLE: Self = Self(4);
    /// Whole numbers too.
    pub(super) const NUMBER: Self = Self(4 | 8);
    pub(super) const TEXT: Self = Self(16);
    pub(super) const LIST: Self = Self(32);
    pub(super) const MAP: Self = Self(64);

    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => Self::WHOLE,
            Value::Number(_) => Self(8),
            Value::String(_) => Self::TEXT,
            Value::Array(_) => Self::LIST,
            Value::Object(_) => Self::MAP,
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::WHOLE,
            "number" => Self::NUMBER,
            "string" => Self::TEXT,
            "array" => Self::LIST,
            "object" => Self::MAP,
            _ => Self::NONE,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(super) fn allow(self, value: &Value) -> bool {
        self.has(Self::of(value))
    }

    /// `text or a list`; that nothing may stand there as well is told only where nothing else may.
    pub(super) fn words(self) -> String {
        let whole_is_told = self.has(Self::NUMBER);
        let told: Vec<&str> = KINDS
            .iter()
            .filter(|(kind, _)| self.has(*kind) && !(*kind == Self::WHOLE && whole_is_told))
            .map(|(_, words)| *words)
            .collect();
        match told.split_last() {
            None => "nothing".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, before)) => format!("{} or {last}", before.join(", ")),
        }
    }
}

impl<'s> Check<'s> {
    pub(super) fn kinds(&self, schema: &'s Value) -> Kinds {
        self.kinds_within(schema, HOPS_MAX)
    }

    fn kinds_within(&self, schema: &'s Value, hops: usize) -> Kinds {
        let (Value::Object(layer), Some(hops)) = (schema, hops.checked_sub(1)) else {
            return if *schema == Value::Bool(false) { Kinds::NONE } else { Kinds::ANY };
        };
        let mut kinds = match layer.get("type") {
            Some(Value::String(name)) => Kinds::named(name),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).fold(Kinds::NONE, |kinds, name| kinds.or(Kinds::named(name)))
            }
            _ => Kinds::ANY,
        };
        if let Some(choices) = own_choices(layer) {
            kinds = kinds.and(choices.iter().fold(Kinds::NONE, |kinds, choice| kinds.or(Kinds::of(choice))));
        }
        if let Some(target) = self.target(layer) {
            kinds = kinds.and(self.kinds_within(target, hops));
        }
        for part in parts(layer, "allOf") {
            kinds = kinds.and(self.kinds_within(part, hops));
        }
        for union in ["anyOf", "oneOf"].into_iter().filter(|union| layer.contains_key(*union)) {
            let any = parts(layer, union).iter().fold(Kinds::NONE, |any, part| any.or(self.kinds_within(part, hops)));
            kinds = kinds.and(any);
        }
        kinds
    }

    /// All values that a schema allows, if it is nothing but a choice among some.
    pub(super) fn choices(&self, schema: &'s Value) -> Option<Vec<&'s Value>> {
        self.choices_within(schema, HOPS_MAX)
    }

    fn choices_within(&self, schema: &'s Value, hops: usize) -> Option<Vec<&'s Value>> {
        let (layer, hops) = (schema.as_object()?, hops.checked_sub(1)?);
        if let Some(choices) = own_choices(layer) {
            return Some(choices);
        }
        if let Some(target) = self.target(layer) {
            return self.choices_within(target, hops);
        }
        if layer.get("type").and_then(Value::as_str) == Some("null") {
            return Some(vec![&Value::Null]);
        }
        match (parts(layer, "anyOf"), parts(layer, "oneOf"), parts(layer, "allOf")) {
            (union, [], []) | ([], union, []) if !union.is_empty() => {
                let choices: Option<Vec<_>> = union.iter().map(|part| self.choices_within(part, hops)).collect();
                Some(choices?.concat())
            }
            ([], [], [only]) => self.choices_within(only, hops),
            _ => None,
        }
    }

    /// What a `$ref` refers to.
    pub(super) fn target(&self, layer: &'s Map<String, Value>) -> Option<&'s Value> {
        let reference = layer.get("$ref")?.as_str()?;
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        debug_assert!(target.is_some(), "the schema refers to nothing: {reference}");
        target
    }
}

pub(super) fn parts<'s>(layer: &'s Map<String, Value>, keyword: &str) -> &'s [Value] {
    layer.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
