//! Prometheus' text, read strictly: what the format does not allow is a panic.

use std::collections::{BTreeMap, BTreeSet};

/// The series of a text, each under its name and labels, as written.
#[derive(Debug, Default)]
pub struct Series {
    values: BTreeMap<String, f64>,
    kinds: BTreeMap<String, String>,
}

impl Series {
    pub fn read(text: &str) -> Series {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut series = Series::default();
        let (mut helped, mut ended) = (BTreeSet::new(), BTreeSet::new());
        let mut family = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
                if !family.is_empty() {
                    assert!(ended.insert(std::mem::take(&mut family)), "{line}: a family stands in one piece");
                }
                family = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a kind");
                assert_eq!(name, family, "{line}: its help stands before it");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                assert!(series.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}: told twice");
            } else {
                series.line(line, &family);
            }
        }
        series.check_histograms();
        series
    }

    fn line(&mut self, line: &str, family: &str) {
        let (name, labels, value) = parts(line);
        let kind = self.kinds.get(family).unwrap_or_else(|| panic!("{line}: without a type"));
        let stem = match kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)),
            _ => Some(name),
        };
        assert_eq!(stem, Some(family), "{line}: in the family of another");
        assert!(name.starts_with("dovetail_") && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}: no number"));
        assert!(value >= 0.0, "{line}");
        let key = labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
        let key = if key.is_empty() { name.to_owned() } else { format!("{name} {key}") };
        assert!(self.values.insert(key, value).is_none(), "{line}: told twice");
    }

    fn check_histograms(&self) {
        for (name, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            let prefix = format!("{name}_bucket le=");
            let mut buckets: Vec<(f64, f64)> = (self.values.iter())
                .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.parse().expect("an end"), *value)))
                .collect();
            buckets.sort_by(|one, two| one.0.total_cmp(&two.0));
            assert!(buckets.is_sorted_by(|one, two| one.1 <= two.1), "{name}: each holds those before it");
            let last = buckets.last().expect("buckets");
            assert_eq!(*last, (f64::INFINITY, self.values[&format!("{name}_count")]));
            assert!(self.values.contains_key(&format!("{name}_sum")));
        }
    }

    /// The value of a series that must be there: `name label=value,label=value`.
    pub fn value(&self, key: &str) -> f64 {
        *self.values.get(key).unwrap_or_else(|| panic!("there is no `{key}` in {:#?}", self.values))
    }

    /// All series of a family.
    pub fn family(&self, name: &str) -> BTreeMap<&str, f64> {
        let of = |key: &&str| key.split(' ').next() == Some(name);
        self.values.iter().map(|(key, value)| (key.as_str(), *value)).filter(|(key, _)| of(key)).collect()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }
}

/// Name, labels and value of a line.
fn parts(line: &str) -> (&str, Vec<(String, String)>, &str) {
    let Some((name, rest)) = line.split_once('{') else {
        let (name, value) = line.split_once(' ').unwrap_or_else(|| panic!("{line}: a name and a value"));
        return (name, Vec::new(), value);
    };
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut rest = rest;
    loop {
        let (label, quoted) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}: a label"));
        assert!(!label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
        assert!(labels.iter().all(|(known, _)| known != label), "{line}: a label stands twice");
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next().unwrap_or_else(|| panic!("{line}: a value that does not end")) {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, character @ ('\\' | '"'))) => character,
                    other => panic!("{line}: {other:?} needs no escape"),
                }),
                (_, character) => value.push(character),
            }
        };
        labels.push((label.to_owned(), value));
        rest = &quoted[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    (name, labels, rest.strip_prefix("} ").unwrap_or_else(|| panic!("{line}: a value")))
}
