//! All records of both sides at once: what is in line, and what would be done about the rest. Nothing is written by this.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Compared, Conflict, Delete, Field, Half, NoneFound, Pact, Pair, Rules, SeveralFound, Verdict, Which};
use crate::connector::Object;
use crate::expr::{Fault, Locale, Scope, as_text};

/// What a list of one side has shown.
pub struct Listed<'a> {
    pub object: &'a Object,
    /// By id, as recipes see them.
    pub records: BTreeMap<String, Value>,
    /// The account's.
    pub locale: &'a Locale,
}

/// What is known of the two sides before.
#[derive(Default)]
pub struct Before {
    pub pairs: Vec<([String; 2], Pact)>,
    /// By side: records that were left without another half on purpose.
    pub left: [HashSet<String>; 2],
    /// For what lives under others.
    pub above: Option<Above>,
}

/// Records under which others live, by side.
#[derive(Clone, Debug, Default)]
pub struct Above {
    /// Those that are in a pair.
    pub paired: [HashSet<String>; 2],
    /// Those that are to be brought into one.
    pub planned: [HashSet<String>; 2],
}

impl Above {
    /// What the survey of these records would bring into pairs.
    pub fn plan(&mut self, survey: &Survey) {
        for item in &survey.items {
            let (own, other) = (item.side.index(), item.side.other().index());
            match &item.finding {
                Finding::Create { .. } => drop(self.planned[own].insert(item.id.clone())),
                Finding::Match { other: id, .. } => {
                    self.planned[own].insert(item.id.clone());
                    self.planned[other].insert(id.clone());
                }
                _ => {}
            }
        }
    }
}

/// What all records together come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// By side: how many there are.
    pub records: [usize; 2],
    /// Pairs that say the same.
    pub in_line: usize,
    /// Records that are not meant, or were left on purpose.
    pub passed_by: usize,
    pub items: Vec<Item>,
}

/// Something that is not in line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The record with which it begins, and its side.
    pub side: Which,
    pub id: String,
    /// What people know it by.
    pub name: String,
    /// The record under which it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// It waits until that is in a pair, which has it looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
    #[serde(flatten)]
    pub finding: Finding,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
pub enum Finding {
    /// The other half is to be created.
    Create { fields: Vec<Compared> },
    /// Two that match are a pair from now on.
    Match { other: String, fields: Vec<Compared> },
    /// The two of a pair differ, and something is to be done.
    Differ { other: String, fields: Vec<Compared> },
    /// The two of a pair differ, as was agreed.
    Settled { other: String, fields: Vec<Compared> },
    /// One half is missing in what the lists have shown.
    Gone { other: String, then: Delete },
    /// Several may be the other half, or the only one is in a pair already.
    Several { others: Vec<String>, taken: Vec<String> },
    /// There is no other half, and none is to be created.
    Alone { asked: bool },
}

impl Finding {
    /// The fields that differ.
    pub fn fields(&self) -> &[Compared] {
        match self {
            Finding::Create { fields }
            | Finding::Match { fields, .. }
            | Finding::Differ { fields, .. }
            | Finding::Settled { fields, .. } => fields,
            _ => &[],
        }
    }

    /// Is something to be done, or asked?
    pub fn is_to_do(&self) -> bool {
        !matches!(self, Finding::Settled { .. } | Finding::Alone { asked: false })
    }
}

impl Item {
    /// By side: is something to be written there?
    pub fn writes(&self) -> [bool; 2] {
        let mut writes = [false, false];
        match &self.finding {
            Finding::Create { .. } => writes[self.side.other().index()] = true,
            Finding::Gone { then: Delete::Delete | Delete::Archive, .. } => writes[self.side.other().index()] = true,
            finding => {
                for field in finding.fields() {
                    match &field.verdict {
                        Verdict::From(from, _) => writes[from.other().index()] = true,
                        Verdict::Merged => writes = [true, true],
                        _ => {}
                    }
                }
            }
        }
        writes
    }

    /// Fields that a person is to decide.
    pub fn asked(&self) -> usize {
        self.finding.fields().iter().filter(|field| field.verdict == Verdict::Asked).count()
    }
}

impl Pair {
    /// Compares all records of both sides.
    ///
    /// # Errors
    /// A condition cannot be judged.
    pub fn survey(
        &self,
        sides: &[Listed<'_>; 2],
        before: &Before,
        first: Conflict,
        locale: &Locale,
    ) -> Result<Survey, Fault> {
        let mut survey =
            Surveying { pair: self, sides, before, locale, shown: self.shown(sides), survey: Survey::default() };
        survey.survey.records = [sides[0].records.len(), sides[1].records.len()];
        let mut paired: [HashSet<&str>; 2] = Default::default();
        for (ids, pact) in &before.pairs {
            paired[0].insert(&ids[0]);
            paired[1].insert(&ids[1]);
            survey.pair(ids, pact, first)?;
        }
        survey.strangers(paired, first)?;
        Ok(survey.survey)
    }

    /// How many fields of a record may find its other half.
    pub fn signs(&self, side: Which, half: &Half<'_>) -> usize {
        self.matching().filter(|field| matches!(field.sent(side, half), Ok(Some(_)))).count()
    }

    /// By side: the fields that the list shows in any record. Of the others nothing is known.
    fn shown(&self, sides: &[Listed<'_>; 2]) -> [HashSet<&str>; 2] {
        Which::BOTH.map(|side| {
            let names = self.fields.iter().map(|field| field.names[side.index()].as_str());
            let records = &sides[side.index()].records;
            let is_shown =
                |name: &&str| records.values().any(|record| crate::connector::value_of(record, name).is_some());
            names.filter(is_shown).collect()
        })
    }
}

struct Surveying<'a> {
    pair: &'a Pair,
    sides: &'a [Listed<'a>; 2],
    before: &'a Before,
    locale: &'a Locale,
    shown: [HashSet<&'a str>; 2],
    survey: Survey,
}

impl<'a> Surveying<'a> {
    fn half(&self, side: Which, record: &'a Value) -> Half<'a> {
        let listed = &self.sides[side.index()];
        Half { object: listed.object, record, locale: std::borrow::Cow::Borrowed(listed.locale) }
    }

    fn record(&self, side: Which, id: &str) -> Option<&'a Value> {
        self.sides[side.index()].records.get(id)
    }

    fn is_meant(&self, side: Which, record: &Value) -> Result<bool, Fault> {
        let condition = self.pair.sides[side.index()].only_if.as_ref();
        condition.map_or(Ok(true), |condition| condition.holds(&Scope::new(record, self.locale).without_null()))
    }

    fn push(&mut self, side: Which, id: &str, finding: Finding) {
        let record = self.record(side, id);
        let name = record.map(|record| self.name(side, record)).unwrap_or_default();
        let parent = record.and_then(|record| self.parent(side, record));
        let planned = self.before.above.as_ref().map(|above| &above.planned[side.index()]);
        let follows = planned.zip(parent.as_ref()).is_some_and(|(planned, parent)| planned.contains(parent));
        self.survey.items.push(Item { side, id: id.to_owned(), name, parent, follows, finding });
    }

    fn parent(&self, side: Which, record: &Value) -> Option<String> {
        record.get(&self.sides[side.index()].object.parent.as_ref()?.id).and_then(as_text)
    }

    /// What people know a record by: the first field that finds it, else the first that has a value.
    fn name(&self, side: Which, record: &Value) -> String {
        let by = self.pair.matching().chain(&self.pair.fields);
        let mut values = by.filter_map(|field| {
            let value = crate::connector::value_of(record, &field.names[side.index()])?;
            value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        });
        values.next().unwrap_or_default()
    }

    /// What is told of a comparison: what differs, as far as the lists show it.
    fn differences(&self, fields: Vec<Compared>) -> Vec<Compared> {
        let is_known = |field: &Compared| {
            Which::BOTH.iter().all(|side| {
                let place = side.index();
                !field.values[place].is_null() || self.shown[place].contains(field.names[place].as_str())
            })
        };
        fields.into_iter().filter(|field| field.verdict != Verdict::Alike && is_known(field)).collect()
    }

    fn pair(&mut self, ids: &[String; 2], pact: &Pact, first: Conflict) -> Result<(), Fault> {
        let records = Which::BOTH.map(|side| self.record(side, &ids[side.index()]));
        let [Some(one), Some(other)] = records else {
            let gone = if records[0].is_none() { Which::First } else { Which::Second };
            let then = self.pair.sides[gone.index()].delete;
            let name = records[gone.other().index()].map(|record| self.name(gone.other(), record));
            let finding = Finding::Gone { other: ids[gone.other().index()].clone(), then };
            let (id, name) = (ids[gone.index()].clone(), name.unwrap_or_default());
            let parent = pact.parents[gone.index()].clone();
            self.survey.items.push(Item { side: gone, id, name, parent, follows: false, finding });
            return Ok(());
        };
        if !self.is_meant(Which::First, one)? || !self.is_meant(Which::Second, other)? {
            self.survey.passed_by += 1;
            return Ok(());
        }
        let halves = [self.half(Which::First, one), self.half(Which::Second, other)];
        let comparison = self.pair.compare(&halves, &pact.agreed, &Rules { first, decided: &[] });
        let fields = self.differences(comparison.fields);
        if fields.is_empty() {
            self.survey.in_line += 1;
            return Ok(());
        }
        let is_news = |side: Which| self.pair.is_news(side, &halves[side.index()], &pact.agreed);
        let side = if is_news(Which::First) { Which::First } else { Which::Second };
        let other = ids[side.other().index()].clone();
        let finding = match fields.iter().all(|field| field.verdict == Verdict::Settled) {
            true => Finding::Settled { other, fields },
            false => Finding::Differ { other, fields },
        };
        self.push(side, &ids[side.index()].clone(), finding);
        Ok(())
    }

    /// The records that are in no pair.
    fn strangers(&mut self, mut paired: [HashSet<&'a str>; 2], first: Conflict) -> Result<(), Fault> {
        for side in Which::BOTH {
            let to = side.other();
            let index = self.index(to);
            for (id, record) in &self.sides[side.index()].records {
                if paired[side.index()].contains(id.as_str()) {
                    continue;
                }
                let is_under = self.is_under_a_pair(side, record);
                if !is_under || self.before.left[side.index()].contains(id) || !self.is_meant(side, record)? {
                    self.survey.passed_by += 1;
                    continue;
                }
                let hits = self.hits(side, record, &index);
                let (taken, free): (Vec<&str>, Vec<&str>) =
                    hits.into_iter().partition(|hit| paired[to.index()].contains(hit));
                match (free.as_slice(), taken.as_slice()) {
                    ([], []) => self.alone(side, id, record),
                    ([one], []) => {
                        let other = self.record(to, one).unwrap_or(&Value::Null);
                        if !self.is_meant(to, other)? {
                            self.survey.passed_by += 1;
                            continue;
                        }
                        paired[side.index()].insert(id);
                        paired[to.index()].insert(one);
                        let mut halves = [self.half(side, record), self.half(to, other)];
                        if side == Which::Second {
                            halves.reverse();
                        }
                        let rules = Rules { first, decided: &[] };
                        let fields = self.pair.compare(&halves, &Default::default(), &rules).fields;
                        let fields = self.differences(fields);
                        self.push(side, id, Finding::Match { other: (*one).to_owned(), fields });
                    }
                    _ if self.pair.several_found == SeveralFound::Skip => self.survey.passed_by += 1,
                    _ => {
                        let owned = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect();
                        self.push(side, id, Finding::Several { others: owned(free), taken: owned(taken) });
                    }
                }
            }
        }
        Ok(())
    }

    fn alone(&mut self, side: Which, id: &str, record: &'a Value) {
        let finding = match self.pair.sides[side.other().index()].none_found {
            NoneFound::Create => {
                let halves = match side {
                    Which::First => [self.half(side, record), self.half(side.other(), &Value::Null)],
                    Which::Second => [self.half(side.other(), &Value::Null), self.half(side, record)],
                };
                Finding::Create { fields: self.pair.create(side, &halves).fields }
            }
            NoneFound::Ask => Finding::Alone { asked: true },
            NoneFound::Skip => Finding::Alone { asked: false },
        };
        self.push(side, id, finding);
    }

    /// Is what it lives under in a pair, or is it to be?
    fn is_under_a_pair(&self, side: Which, record: &Value) -> bool {
        let Some(above) = &self.before.above else { return true };
        let is_there = |id: &String| [&above.paired, &above.planned].iter().any(|ids| ids[side.index()].contains(id));
        self.parent(side, record).is_some_and(|id| is_there(&id))
    }

    /// The ids of a side by the values of its fields that find them.
    fn index(&self, side: Which) -> Vec<HashMap<String, Vec<&'a str>>> {
        let records = &self.sides[side.index()].records;
        let of = |field: &Field| {
            let mut by: HashMap<String, Vec<&str>> = HashMap::new();
            for (id, record) in records {
                let value = field.now(&self.half(side, record), side);
                if !value.is_null() {
                    by.entry(value.to_string()).or_default().push(id);
                }
            }
            by
        };
        self.pair.matching().map(of).collect()
    }

    fn hits(&self, side: Which, record: &'a Value, index: &[HashMap<String, Vec<&'a str>>]) -> BTreeSet<&'a str> {
        let half = self.half(side, record);
        let mut hits = BTreeSet::new();
        for (field, by) in self.pair.matching().zip(index) {
            let Ok(Some(value)) = field.sent(side, &half) else { continue };
            let to = side.other();
            let value = field.form(&self.half(to, record), to, Some(&value));
            hits.extend(by.get(&value.to_string()).into_iter().flatten().copied());
        }
        hits
    }
}
