//! `as:` names: conversions that an author asks for, each with a way back.

use chrono::DateTime;
use serde_json::{Map, Value};

use super::convert::{boolean, number, text_of};
use super::locale::read_date;
use super::{Locale, Problem, Word, e164, is_blank, kind_of, read_time, shown, write_time};

/// A conversion of language.md section 6, as in `as: lowercase` or `as: { map: { Lead: prospect } }`.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversion {
    /// Small letters.
    Lowercase,
    /// No spaces around it.
    Trim,
    /// A telephone number; what cannot be read stays as it is.
    E164,
    /// A day in the project's zone, `2026-07-20`; back it is that day's midnight. What cannot be read stays as it is.
    Date,
    /// A time as milliseconds since 1970; back it is a time again.
    EpochMs,
    /// Text as a number; back it is text again.
    Number,
    /// `true` and `false` as text; back it is text again.
    Boolean,
    /// The opposite of true or false.
    Not,
    /// A list as text with commas, and text with commas as a list.
    Csv,
    /// A list without order: sorted, nothing twice, nothing blank.
    Set,
    /// One value as text.
    Text,
    /// Values by name.
    Map(Vec<(String, Value)>),
}

/// Each by its name, with what the reference tells of it.
const WORDS: &[(Conversion, Word)] = &[
    word("lowercase", Conversion::Lowercase, "Small letters.", "\"Ada@Example.com\""),
    word("trim", Conversion::Trim, "No spaces around it.", "\"  Ada \""),
    word(
        "e164",
        Conversion::E164,
        "A telephone number in the form that all countries understand. What cannot be read stays as it is.",
        "\"020 7946 0018\"",
    ),
    word(
        "date",
        Conversion::Date,
        "The day of a time, in the project's time zone. What cannot be read stays as it is.",
        "\"2026-07-20T23:30:00Z\"",
    ),
    word("epoch_ms", Conversion::EpochMs, "A time as milliseconds since 1970.", "\"2026-07-20T10:00:00Z\""),
    word("number", Conversion::Number, "Text as a number.", "\"4.50\""),
    word("boolean", Conversion::Boolean, "The texts `true` and `false` as true and false.", "\"true\""),
    word("not", Conversion::Not, "The opposite of true or false.", "true"),
    word("csv", Conversion::Csv, "A list as text with commas; text with commas as a list.", "[\"vip\", \"press\"]"),
    word(
        "set",
        Conversion::Set,
        "A list without order: sorted, nothing twice, nothing blank.",
        "[\"vip\", \"\", \"press\", \"vip\"]",
    ),
    word("text", Conversion::Text, "One value as text.", "42"),
];

const fn word(
    name: &'static str,
    conversion: Conversion,
    what: &'static str,
    example: &'static str,
) -> (Conversion, Word) {
    (conversion, Word { name, what, example })
}

pub(super) fn words() -> impl Iterator<Item = Word> {
    WORDS.iter().map(|(_, word)| *word)
}

impl Conversion {
    /// Reads what stands after `as:`.
    ///
    /// # Errors
    /// A name that there is not, with the nearest; a map that maps to lists or maps.
    pub fn compile(value: &Value) -> Result<Conversion, Problem> {
        let names = || words().map(|word| word.name);
        let known = || format!("there are {}, and `{{ map: {{ … }} }}`", names().collect::<Vec<_>>().join(", "));
        match value {
            Value::String(name) => {
                match WORDS.iter().find(|(_, word)| word.name == name) {
                    Some((conversion, _)) => Ok(conversion.clone()),
                    None => Err(Problem::new("unknown-conversion", format!("there is no conversion `{name}`"))
                        .nearest(name, names(), known())),
                }
            }
            Value::Object(fields) => match fields.iter().next() {
                Some((key, Value::Object(map))) if key == "map" && fields.len() == 1 => by_name(map),
                _ => Err(Problem::new("bad-conversion", "a conversion written as a map has the one key `map`")
                    .help("write `{ map: { Lead: prospect } }`")),
            },
            other => Err(Problem::new("bad-conversion", format!("{} is no conversion", shown(other))).help(known())),
        }
    }

    /// The value as the second side has it. Null stays null; in lists, lowercase, trim, e164 and text are done to each
    /// item.
    ///
    /// # Errors
    /// One sentence on a value that it does not know.
    pub fn apply(&self, value: &Value, locale: &Locale) -> Result<Value, String> {
        match (self, value) {
            (_, Value::Null) => Ok(Value::Null),
            (Conversion::Lowercase | Conversion::Trim | Conversion::E164 | Conversion::Text, Value::Array(items)) => {
                items.iter().map(|item| self.apply(item, locale)).collect::<Result<_, _>>().map(Value::Array)
            }
            (Conversion::Lowercase, Value::String(text)) => Ok(Value::String(text.to_lowercase())),
            (Conversion::Trim, Value::String(text)) => Ok(Value::String(text.trim().to_owned())),
            (Conversion::E164, Value::String(text)) => {
                Ok(e164(text, locale.country.as_deref()).map_or_else(|| value.clone(), Value::String))
            }
            (Conversion::Date, Value::String(text)) => {
                Ok(day(text, locale).map_or_else(|| value.clone(), Value::String))
            }
            (Conversion::Lowercase | Conversion::Trim | Conversion::E164 | Conversion::Date, _) => Ok(value.clone()),
            (Conversion::EpochMs, Value::Number(_)) => Ok(value.clone()),
            (Conversion::EpochMs, Value::String(text)) => {
                let instant = read_time(text, locale).ok_or_else(|| unknown(value, "a time"))?;
                Ok(Value::from(instant.timestamp_millis()))
            }
            (Conversion::Number, _) => number(value).ok_or_else(|| unknown(value, "a number")),
            (Conversion::Boolean, _) => boolean(value).ok_or_else(|| unknown(value, "`true` or `false`")),
            (Conversion::Not, _) => match boolean(value) {
                Some(Value::Bool(yes)) => Ok(Value::Bool(!yes)),
                _ => Err(unknown(value, "`true` or `false`")),
            },
            (Conversion::Csv, _) => csv(value),
            (Conversion::Set, Value::Array(items)) => Ok(set(items)),
            (Conversion::Text, Value::Object(_)) => Err(unknown(value, "one value")),
            (Conversion::Text, _) => Ok(Value::String(text_of(value))),
            (Conversion::Map(pairs), _) => {
                let name = text_of(value);
                let found = pairs.iter().find(|(key, _)| *key == name).map(|(_, to)| to.clone());
                found.ok_or_else(|| unknown(value, "a key of the map"))
            }
            (Conversion::Set, _) => Err(unknown(value, "a list")),
            (Conversion::EpochMs, _) => Err(unknown(value, "a time")),
        }
    }

    /// The way back: from the second side's value to the first's.
    ///
    /// # Errors
    /// One sentence on a value that it does not know.
    pub fn reverse(&self, value: &Value, locale: &Locale) -> Result<Value, String> {
        match (self, value) {
            (_, Value::Null) => Ok(Value::Null),
            (Conversion::EpochMs, Value::Number(ms)) => {
                let instant = ms.as_i64().and_then(DateTime::from_timestamp_millis);
                instant.map(|instant| Value::String(write_time(instant))).ok_or_else(|| unknown(value, "a time"))
            }
            (Conversion::Date, Value::String(text)) => Ok(match read_date(text) {
                Some(_) => {
                    read_time(text, locale).map_or_else(|| value.clone(), |start| Value::String(write_time(start)))
                }
                None => value.clone(),
            }),
            (Conversion::Number | Conversion::Boolean, Value::Number(_) | Value::Bool(_)) => {
                Ok(Value::String(text_of(value)))
            }
            (Conversion::Map(pairs), _) => {
                let same = |to: &Value| to == value || text_of(to) == text_of(value);
                let found = pairs.iter().find(|(_, to)| same(to)).map(|(key, _)| typed(key));
                found.ok_or_else(|| unknown(value, "a value of the map"))
            }
            (Conversion::Text, _) => Ok(value.clone()),
            _ => self.apply(value, locale),
        }
    }

    /// Applied twice it changes nothing more, and both sides may be written in its form.
    pub fn is_normaliser(&self) -> bool {
        matches!(self, Conversion::Lowercase | Conversion::Trim | Conversion::E164 | Conversion::Set)
    }

    /// The way back gives what was: false for a map that gives two names one value, and for what drops the hours of a
    /// time or the type of a value.
    pub fn is_one_to_one(&self) -> bool {
        match self {
            Conversion::Map(pairs) => {
                let values: Vec<String> = pairs.iter().map(|(_, to)| text_of(to)).collect();
                values.iter().enumerate().all(|(index, value)| !values[..index].contains(value))
            }
            Conversion::Date | Conversion::Text => false,
            _ => true,
        }
    }

    /// The result depends on the project's zone or country.
    pub(crate) fn reads_locale(&self) -> bool {
        matches!(self, Conversion::E164 | Conversion::Date | Conversion::EpochMs)
    }
}

fn by_name(map: &Map<String, Value>) -> Result<Conversion, Problem> {
    for (key, to) in map {
        if matches!(to, Value::Array(_) | Value::Object(_) | Value::Null) {
            let message = format!("`{key}` is mapped to {}, not to one value", shown(to));
            return Err(Problem::new("bad-conversion", message).under(key).under("map"));
        }
    }
    Ok(Conversion::Map(map.iter().map(|(key, to)| (key.clone(), to.clone())).collect()))
}

fn unknown(value: &Value, wanted: &str) -> String {
    format!("{} ({}) is not {wanted}", shown(value), kind_of(value))
}

fn day(text: &str, locale: &Locale) -> Option<String> {
    let local = read_time(text, locale)?.with_timezone(&locale.timezone);
    // A plain date is itself, also where a zone skips its midnight.
    Some(read_date(text.trim()).unwrap_or(local.date_naive()).to_string())
}

fn csv(value: &Value) -> Result<Value, String> {
    match value {
        Value::Array(items) => {
            let mut parts = Vec::with_capacity(items.len());
            for item in items.iter().filter(|item| !item.is_null()) {
                let part = text_of(item);
                if matches!(item, Value::Array(_) | Value::Object(_)) || part.contains(',') {
                    return Err(format!("{} does not fit between commas", shown(item)));
                }
                parts.push(part);
            }
            Ok(Value::String(parts.join(",")))
        }
        Value::String(text) => {
            Ok(Value::Array(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Value::from).collect()))
        }
        other => Err(unknown(other, "a list or text")),
    }
}

fn set(items: &[Value]) -> Value {
    let mut kept: Vec<Value> = items.iter().filter(|item| !is_blank(Some(item))).cloned().collect();
    kept.sort_by_cached_key(text_of);
    kept.dedup();
    Value::Array(kept)
}

/// A key of a map, which YAML and JSON keep as text, as the value that it most likely stood for.
fn typed(key: &str) -> Value {
    let text = Value::from(key);
    boolean(&text).or_else(|| number(&text)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn london() -> Locale {
        Locale { timezone: chrono_tz::Tz::Europe__London, country: Some("GB".to_owned()) }
    }

    #[test]
    fn conversions_there_and_back() {
        let map = json!({ "map": { "true": "done", "false": "open" } });
        // There, back again: None where the value is refused.
        let table = [
            (json!("lowercase"), json!("Ada@X.org"), Some(json!("ada@x.org")), Some(json!("ada@x.org"))),
            (json!("lowercase"), json!(["A", 5]), Some(json!(["a", 5])), Some(json!(["a", 5]))),
            (json!("trim"), json!(" a "), Some(json!("a")), Some(json!("a"))),
            (json!("e164"), json!("07700 900123"), Some(json!("+447700900123")), Some(json!("+447700900123"))),
            (json!("e164"), json!("call me"), Some(json!("call me")), Some(json!("call me"))),
            (
                json!("date"),
                json!("2026-07-19T23:00:00Z"),
                Some(json!("2026-07-20")),
                Some(json!("2026-07-19T23:00:00.000Z")),
            ),
            (json!("date"), json!("soon"), Some(json!("soon")), Some(json!("soon"))),
            (
                json!("epoch_ms"),
                json!("2026-07-20T10:00:00Z"),
                Some(json!(1784541600000i64)),
                Some(json!("2026-07-20T10:00:00.000Z")),
            ),
            (json!("epoch_ms"), json!("soon"), None, None),
            (json!("number"), json!("4.5"), Some(json!(4.5)), Some(json!("4.5"))),
            (json!("number"), json!("many"), None, None),
            (json!("boolean"), json!("true"), Some(json!(true)), Some(json!("true"))),
            (json!("boolean"), json!("yes"), None, None),
            (json!("not"), json!(true), Some(json!(false)), Some(json!(true))),
            (json!("not"), json!(1), None, None),
            (json!("csv"), json!(["a", 2]), Some(json!("a,2")), Some(json!(["a", "2"]))),
            (json!("csv"), json!("a, b,"), Some(json!(["a", "b"])), Some(json!("a,b"))),
            (json!("csv"), json!(["a,b"]), None, None),
            (json!("set"), json!(["b", "a", "b", " "]), Some(json!(["a", "b"])), Some(json!(["a", "b"]))),
            (json!("set"), json!("a"), None, None),
            (json!("text"), json!(5), Some(json!("5")), Some(json!("5"))),
            (json!("text"), json!({}), None, None),
            (map.clone(), json!(true), Some(json!("done")), Some(json!(true))),
            (map.clone(), json!("maybe"), None, None),
            (map, json!(null), Some(json!(null)), Some(json!(null))),
        ];
        for (written, value, there, back) in table {
            let conversion = Conversion::compile(&written).unwrap();
            let converted = conversion.apply(&value, &london()).ok();
            assert_eq!(converted, there, "{written} of {value}");
            let returned = converted.and_then(|converted| conversion.reverse(&converted, &london()).ok());
            assert_eq!(returned, back, "{written} of {value}, back");
        }
    }

    #[test]
    fn a_map_with_one_value_twice_has_no_way_back() {
        let one_way = Conversion::compile(&json!({ "map": { "a": 1, "b": "1" } })).unwrap();
        let both_ways = Conversion::compile(&json!({ "map": { "a": 1, "b": 2 } })).unwrap();
        assert!(!one_way.is_one_to_one());
        assert!(both_ways.is_one_to_one());
    }

    #[test]
    fn what_is_no_conversion_is_told() {
        for (written, code) in [
            (json!({ "map": { "a": [] } }), "bad-conversion"),
            (json!({ "maps": {} }), "bad-conversion"),
            (json!({}), "bad-conversion"),
            (json!(5), "bad-conversion"),
            (json!("lower"), "unknown-conversion"),
        ] {
            assert_eq!(Conversion::compile(&written).unwrap_err().code, code, "{written}");
        }
    }
}
