//! What a sync would do about all records, in words.

use super::{difference, shown};
use crate::engine::{PairSurveyed, Surveyed};
use crate::sync::{Delete, Finding, Item, Verdict, Which};

/// Nothing of this.
pub const NONE: &str = "–";

/// Records that are to be brought into line, or asked about.
pub fn to_do(surveyed: &Surveyed) -> usize {
    surveyed.pairs.iter().flat_map(|pair| &pair.survey.items).filter(|item| item.finding.is_to_do()).count()
}

/// About so many requests that takes.
pub fn requests(surveyed: &Surveyed) -> usize {
    let all: u64 = surveyed.pairs.iter().flat_map(|pair| pair.requests).sum();
    usize::try_from(all).unwrap_or(usize::MAX)
}

/// Rows of what there is and what would be done: each with a number by side, [`NONE`] where there is none.
pub fn rows(pair: &PairSurveyed) -> Vec<(String, [String; 2])> {
    let on = |side: Which, item: &Item| item.side.other() == side;
    let by_side =
        |is_it: &dyn Fn(Which, &Item) -> bool| Which::BOTH.map(|side| number(pair, &|item| is_it(side, item)));
    let mut rows = vec![("records".to_owned(), pair.survey.records.map(|records| records.to_string()))];
    let mut row = |name: &str, cells: [String; 2]| {
        if cells.iter().any(|cell| cell != NONE) {
            rows.push((name.to_owned(), cells));
        }
    };
    row("create", by_side(&|side, item| matches!(item.finding, Finding::Create { .. }) && on(side, item)));
    row(
        "update",
        by_side(&|side, item| {
            matches!(item.finding, Finding::Match { .. } | Finding::Differ { .. }) && item.writes()[side.index()]
        }),
    );
    let gone = |wanted: &'static [Delete]| {
        by_side(&move |side, item| {
            matches!(item.finding, Finding::Gone { then, .. } if wanted.contains(&then)) && on(side, item)
        })
    };
    row("delete", gone(&[Delete::Delete]));
    row("archive", gone(&[Delete::Archive]));
    row("left alone", gone(&[Delete::Unlink]));
    row("deleted: ask", gone(&[Delete::Ask]));
    row("several fit", by_side(&|side, item| matches!(item.finding, Finding::Several { .. }) && !on(side, item)));
    row("no other half", by_side(&|side, item| matches!(item.finding, Finding::Alone { .. }) && !on(side, item)));
    row("requests", pair.requests.map(|requests| if requests == 0 { NONE.into() } else { format!("~{requests}") }));
    rows
}

fn number(pair: &PairSurveyed, is_it: &dyn Fn(&Item) -> bool) -> String {
    match pair.survey.items.iter().filter(|item| is_it(item)).count() {
        0 => NONE.to_owned(),
        found => found.to_string(),
    }
}

/// What belongs to no side, each as `12 in line`; without what there is none of.
pub fn besides(pair: &PairSurveyed) -> Vec<String> {
    let matched = number(pair, &|item| matches!(item.finding, Finding::Match { .. }));
    let settled = number(pair, &|item| matches!(item.finding, Finding::Settled { .. }));
    let asked: usize = pair.survey.items.iter().map(Item::asked).sum();
    let told = [
        ("in line", pair.survey.in_line.to_string()),
        ("found to be pairs", matched),
        ("differ as agreed", settled),
        ("fields for a person to decide", asked.to_string()),
        ("not meant, or left on purpose", pair.survey.passed_by.to_string()),
    ];
    let told = told.into_iter().filter(|(_, number)| number != NONE && number != "0");
    told.map(|(what, number)| format!("{number} {what}")).collect()
}

/// What people know a record by; empty where there is nothing.
pub fn name(item: &Item) -> String {
    shown::uncovered(&item.name)
}

/// One record that is not in line: a sign for what would be done, and what it is about.
pub fn item(pair: &PairSurveyed, item: &Item) -> (char, String) {
    let own = &pair.objects[item.side.index()];
    let other = &pair.objects[item.side.other().index()];
    let (sign, about) = match &item.finding {
        Finding::Create { .. } => ('+', format!("{other} from {own} {}", item.id)),
        Finding::Match { other: id, .. } => ('=', format!("{own} {} and {other} {id}", item.id)),
        Finding::Differ { other: id, .. } => ('~', format!("{own} {} and {other} {id}", item.id)),
        Finding::Settled { other: id, .. } => ('·', format!("{own} {} and {other} {id}, as agreed", item.id)),
        Finding::Gone { other: id, then } => {
            let then = match then {
                Delete::Delete => "deleted",
                Delete::Archive => "put away",
                Delete::Unlink => "left",
                Delete::Ask => "for a person to decide",
            };
            ('-', format!("{own} {} is gone: {other} {id} is {then}", item.id))
        }
        Finding::Several { others, taken } => {
            let ids: Vec<&str> = others.iter().chain(taken).map(String::as_str).collect();
            ('?', format!("{own} {}: may be {}", item.id, ids.join(", ")))
        }
        Finding::Alone { .. } => ('?', format!("{own} {} has no other half", item.id)),
    };
    (sign, shown::uncovered(&about))
}

/// What would be written, or is asked, field by field.
pub fn fields(item: &Item) -> Vec<String> {
    let is_create = matches!(item.finding, Finding::Create { .. });
    let fields = item.finding.fields().iter().filter(|field| !is_create || field.verdict != Verdict::Alike);
    fields.filter_map(|field| difference(field, is_create)).collect()
}
