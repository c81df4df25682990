//! What a workflow was last told of a record, and what is different now.
//!
//! A change is noticed in several ways: a webhook and a poll tell of one edit, a vendor sends `created` and `updated` for
//! one record. What a workflow was told already is no event for it; and what is new is told with the fields that changed
//! and their old values, though few vendors send either.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::entry::OLD_NEWS;
use crate::expr::{Locale, read_time};
use crate::workflow::RecordRef;

/// The last copy of a record that a workflow was given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub record: Value,
    /// The operation whose answer it was; None: a payload. Answers of others may lack fields that are there.
    pub read_with: Option<String>,
    /// It was told that the record is deleted.
    pub gone: bool,
    /// How often it was told of this record; what is kept goes over exactly the one that it was compared with.
    pub version: u64,
}

/// A copy to keep, and whose it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub workflow: String,
    pub of: RecordRef,
    pub known: Known,
}

/// What an event tells, compared with what was known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// `created`, `updated` or `deleted`: a record that is known is not created once more.
    #[serde(rename = "type")]
    pub kind: String,
    /// Names of fields, dotted for nesting. Empty where no copy was known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Their old values; of a deleted record, all that was known of it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub previous: Map<String, Value>,
    /// Why there is nothing to do, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing: Option<String>,
}

/// What has come.
pub(super) struct News<'a> {
    pub kind: &'a str,
    pub record: &'a Value,
    pub read_with: Option<&'a str>,
    /// Its answers may lack fields that the record has.
    pub from_list: bool,
    /// The field that says when the record was changed.
    pub changed_at: Option<&'a str>,
}

/// Compares; gives what is to be told, and the copy to keep, if it is another.
pub(super) fn compare(known: Option<&Known>, news: &News<'_>, locale: &Locale) -> (Compared, Option<Known>) {
    let version = known.map_or(0, |known| known.version) + 1;
    let told = |nothing: &str| {
        debug_assert!(nothing.contains(OLD_NEWS[0]), "see Ending::is_old_news");
        let kind = news.kind.to_owned();
        (Compared { kind, nothing: Some(nothing.to_owned()), ..Compared::default() }, None)
    };
    if news.kind == "deleted" {
        let Some(known) = known else {
            let gone = Known { record: news.record.clone(), read_with: None, gone: true, version };
            return (Compared { kind: news.kind.into(), ..Compared::default() }, Some(gone));
        };
        if known.gone {
            return told("that it was deleted was told already");
        }
        let previous = known.record.as_object().cloned().unwrap_or_default();
        let gone = Known { gone: true, version, ..known.clone() };
        return (Compared { kind: news.kind.into(), previous, ..Compared::default() }, Some(gone));
    }
    let fresh =
        || Known { record: news.record.clone(), read_with: news.read_with.map(Into::into), gone: false, version };
    let Some(known) = known.filter(|known| !known.gone) else {
        return (Compared { kind: news.kind.into(), ..Compared::default() }, Some(fresh()));
    };
    let at =
        |record: &Value| news.changed_at.and_then(|name| record.get(name)).and_then(Value::as_str).map(String::from);
    let (old_at, new_at) = (at(&known.record), at(news.record));
    let time = |text: &Option<String>| text.as_ref().and_then(|text| read_time(text, locale));
    if let (Some(old), Some(new)) = (time(&old_at), time(&new_at))
        && new < old
    {
        return told("a newer state of it was told already");
    }
    let alike = known.read_with.as_deref() == news.read_with;
    let mut differences = Differences::default();
    differences.fields("", &known.record, news.record, alike);
    let nothing_hidden = alike || (old_at.is_some() && old_at == new_at) || has_all(&known.record, news.record);
    if differences.changed.is_empty() && nothing_hidden {
        return told("it was told already, and nothing has changed since");
    }
    let kept = match (alike, known.record.as_object(), news.record.as_object()) {
        (false, Some(old), Some(new)) => {
            let mut both = old.clone();
            both.extend(new.clone());
            let read_with = if news.from_list { known.read_with.clone() } else { news.read_with.map(Into::into) };
            Known { record: Value::Object(both), read_with, gone: false, version }
        }
        _ => fresh(),
    };
    let Differences { changed, previous } = differences;
    (Compared { kind: "updated".into(), changed, previous, nothing: None }, Some(kept))
}

/// Does the old record have every field that the new one has?
fn has_all(old: &Value, new: &Value) -> bool {
    let fields = new.as_object().into_iter().flatten();
    fields.filter(|(_, value)| !value.is_null()).all(|(name, _)| old.get(name).is_some())
}

#[derive(Default)]
struct Differences {
    changed: Vec<String>,
    previous: Map<String, Value>,
}

impl Differences {
    /// `all`: a field that only one of them has is a difference, too.
    fn fields(&mut self, prefix: &str, old: &Value, new: &Value, all: bool) {
        let nothing = Map::new();
        let (old, new) = (old.as_object().unwrap_or(&nothing), new.as_object().unwrap_or(&nothing));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let (was, is) = (old.get(name), new.get(name));
            if !all && (was.is_none() || is.is_none()) {
                continue;
            }
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            let (was, is) = (was.unwrap_or(&Value::Null), is.unwrap_or(&Value::Null));
            match (was, is) {
                (Value::Object(_), Value::Object(_)) => self.fields(&path, was, is, true),
                _ if was == is => {}
                _ => {
                    if !was.is_null() {
                        put(&mut self.previous, &path, was.clone());
                    }
                    self.changed.push(path);
                }
            }
        }
    }
}

/// Puts a value at a dotted name, so that `$.event.previous.address.city` finds it.
fn put(map: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(map.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            let inner = map.entry(first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(record: Value, read_with: &str) -> Known {
        Known { record, read_with: Some(read_with.into()), gone: false, version: 3 }
    }

    fn news<'a>(kind: &'a str, record: &'a Value, read_with: &'a str) -> News<'a> {
        let from_list = read_with.ends_with("list");
        News { kind, record, read_with: Some(read_with), from_list, changed_at: Some("at") }
    }

    #[test]
    fn what_is_new_is_kept_as_it_came() {
        let record = json!({ "id": "1", "name": "Ada" });
        let (compared, kept) = compare(None, &news("created", &record, "get"), &Locale::default());
        assert_eq!(compared, Compared { kind: "created".into(), ..Compared::default() });
        assert_eq!(kept.map(|kept| (kept.record, kept.version)), Some((record, 1)));
    }

    #[test]
    fn fields_that_differ_are_told_with_their_old_values() {
        let old =
            known(json!({ "name": "Ada", "tags": ["a"], "custom": { "stage": "lead", "size": 1 }, "x": 1 }), "get");
        let record = json!({ "name": "Ada", "tags": ["a", "b"], "custom": { "stage": "client", "size": 1 }, "y": 2 });
        let (compared, kept) = compare(Some(&old), &news("created", &record, "get"), &Locale::default());
        assert_eq!(compared.kind, "updated");
        assert_eq!(compared.changed, ["custom.stage", "tags", "x", "y"]);
        assert_eq!(Value::Object(compared.previous), json!({ "custom": { "stage": "lead" }, "tags": ["a"], "x": 1 }));
        assert_eq!(kept.map(|kept| (kept.record, kept.version)), Some((record, 4)));
    }

    #[test]
    fn the_same_state_told_twice_is_nothing_whichever_way_it_comes() {
        let old = known(json!({ "name": "Ada", "at": "2026-01-01T00:00:00Z", "email": "a@x" }), "get");
        for (record, with) in [
            (json!({ "name": "Ada", "at": "2026-01-01T00:00:00Z", "email": "a@x", "none": null }), "get"),
            (json!({ "name": "Ada", "at": "2026-01-01T00:00:00Z" }), "list"),
            (json!({ "name": "Ada", "at": "2026-01-01T00:00:00Z", "only_here": 1 }), "list"),
            (json!({ "name": "Ada" }), "list"),
        ] {
            let (compared, kept) = compare(Some(&old), &news("updated", &record, with), &Locale::default());
            assert!(compared.nothing.is_some(), "{record}");
            assert_eq!(kept, None);
        }
    }

    #[test]
    fn a_field_that_was_never_seen_may_hide_a_change() {
        let old = known(json!({ "name": "Ada" }), "list");
        let record = json!({ "name": "Ada", "phone": "1" });
        let (compared, kept) = compare(Some(&old), &news("updated", &record, "get"), &Locale::default());
        assert_eq!(compared.nothing, None);
        assert_eq!(compared.changed, Vec::<String>::new());
        assert_eq!(kept.and_then(|kept| kept.read_with).as_deref(), Some("get"));
    }

    #[test]
    fn what_a_list_leaves_out_is_not_cleared() {
        let old = known(json!({ "name": "Ada", "phone": "1" }), "get");
        let record = json!({ "name": "Eve" });
        let (compared, kept) = compare(Some(&old), &news("updated", &record, "list"), &Locale::default());
        assert_eq!(compared.changed, ["name"]);
        let kept = kept.unwrap();
        assert_eq!((kept.record, kept.read_with.as_deref()), (json!({ "name": "Eve", "phone": "1" }), Some("get")));
    }

    #[test]
    fn an_older_state_is_nothing_new() {
        let old = known(json!({ "name": "Eve", "at": "2026-01-02T00:00:00Z" }), "get");
        let record = json!({ "name": "Ada", "at": "2026-01-01T23:00:00+00:00" });
        assert!(compare(Some(&old), &news("updated", &record, "list"), &Locale::default()).0.nothing.is_some());
    }

    #[test]
    fn a_deleted_record_is_told_once_with_all_that_was_known() {
        let old = known(json!({ "name": "Ada" }), "get");
        let hint = json!({ "id": "1" });
        let (compared, kept) = compare(Some(&old), &news("deleted", &hint, "get"), &Locale::default());
        assert_eq!(Value::Object(compared.previous), json!({ "name": "Ada" }));
        let gone = kept.unwrap();
        assert!(gone.gone);
        assert!(compare(Some(&gone), &news("deleted", &hint, "get"), &Locale::default()).0.nothing.is_some());
        let (back, kept) = compare(Some(&gone), &news("created", &hint, "get"), &Locale::default());
        assert_eq!((back.kind.as_str(), back.nothing), ("created", None));
        assert!(kept.is_some_and(|kept| !kept.gone && kept.version == 5));
    }
}
