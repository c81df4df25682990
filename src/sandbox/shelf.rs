//! Records of one object in the order of their creation, found by the value of a field without looking at them all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::field::comparable;

/// Fields by which one object is found so; by others all its records are looked at.
const SOUGHT_MAX: usize = 16;

/// A record as it was written.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its place in the order of creation.
    pub sequence: u64,
    /// The number of the write that made it what it is.
    pub version: u64,
    pub value: Value,
}

#[derive(Debug, Default)]
pub struct Shelf {
    records: BTreeMap<u64, Kept>,
    /// By field: the records with a value, in the form in which values are compared.
    sought: HashMap<String, HashMap<String, BTreeSet<u64>>>,
}

impl Shelf {
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn get(&self, sequence: u64) -> Option<&Kept> {
        self.records.get(&sequence)
    }

    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Kept> {
        self.records.values()
    }

    /// Gives what was there before.
    pub fn put(&mut self, kept: Kept) -> Option<Kept> {
        let sequence = kept.sequence;
        let before = self.take(sequence);
        for (field, known) in &mut self.sought {
            for form in found_by(kept.value.get(field)) {
                known.entry(form).or_default().insert(sequence);
            }
        }
        self.records.insert(sequence, kept);
        before
    }

    pub fn take(&mut self, sequence: u64) -> Option<Kept> {
        let kept = self.records.remove(&sequence)?;
        for (field, known) in &mut self.sought {
            for form in found_by(kept.value.get(field)) {
                let Some(those) = known.get_mut(&form) else { continue };
                those.remove(&sequence);
                if those.is_empty() {
                    known.remove(&form);
                }
            }
        }
        Some(kept)
    }

    /// From now on records are found by this field.
    pub fn seek(&mut self, field: &str) {
        if self.sought.contains_key(field) || self.sought.len() >= SOUGHT_MAX {
            return;
        }
        let mut known: HashMap<String, BTreeSet<u64>> = HashMap::new();
        for (sequence, kept) in &self.records {
            for form in found_by(kept.value.get(field)) {
                known.entry(form).or_default().insert(*sequence);
            }
        }
        self.sought.insert(field.to_owned(), known);
    }

    /// All with one of the values in each field, oldest first, and maybe others. `wanted`: field and values, in the form
    /// in which they are compared.
    pub fn like<'s>(&'s self, wanted: &[(String, Vec<String>)]) -> Box<dyn Iterator<Item = &'s Kept> + 's> {
        let found = wanted.iter().filter_map(|(field, values)| {
            let known = self.sought.get(field)?;
            Some(values.iter().filter_map(|value| known.get(value)).collect::<Vec<_>>())
        });
        match found.min_by_key(|sets| sets.iter().map(|set| set.len()).sum::<usize>()).as_deref() {
            None => Box::new(self.all()),
            Some([one]) => Box::new(one.iter().filter_map(|sequence| self.get(*sequence))),
            Some(sets) => {
                let all: BTreeSet<u64> = sets.iter().flat_map(|set| set.iter().copied()).collect();
                Box::new(all.into_iter().filter_map(|sequence| self.get(sequence)))
            }
        }
    }
}

/// The forms of a value under which its record is found: its own, and those of what a list holds.
fn found_by(value: Option<&Value>) -> impl Iterator<Item = String> {
    let inner = value.and_then(Value::as_array).into_iter().flatten();
    comparable(value).into_iter().chain(inner.filter_map(|value| comparable(Some(value))))
}
