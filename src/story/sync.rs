//! What syncs find, ask and are told, in words.

use serde_json::Value;

use super::{shortened, shown};
use crate::sync::{Because, Choice, Compared, Question, Verdict, Which};

/// `firstName "Ada" → first_name "Adda"`, and why.
pub fn difference(field: &Compared, is_create: bool) -> Option<String> {
    let [first, second] = &field.names;
    let [one, other] = both(&field.names, &field.values);
    let because = |because: &Because| match because {
        Because::Changed => "",
        Because::Filled => ", which has none",
        Because::Owner => ", since that side owns it",
        Because::Wins => ", since that side wins",
        Because::Newer => ", since that is newer",
        Because::Decided => ", as was decided",
    };
    Some(match &field.verdict {
        Verdict::From(..) if is_create => return None,
        Verdict::From(Which::First, why) => format!("{first} {one} → {second} {other}{}", because(why)),
        Verdict::From(Which::Second, why) => format!("{first} {one} ← {second} {other}{}", because(why)),
        Verdict::Merged => format!("{first} {one} ∪ {second} {other}"),
        Verdict::Asked => format!("{first} {one} ? {second} {other}: a person decides"),
        Verdict::Settled => format!("{first} {one} | {second} {other}: left so"),
        Verdict::Stuck(why) => format!("{first} {one}, {second} {other}: {why}"),
        Verdict::Alike => return None,
    })
}

/// Both values in short. Hidden before they are cut: the beginning of a secret would not be known as one.
fn both(names: &[String; 2], values: &[Value; 2]) -> [String; 2] {
    [0, 1].map(|side| shortened(&shown::field(&names[side], &values[side]).to_string(), 40))
}

/// The question in words.
pub fn asks(question: &Question) -> String {
    match question {
        Question::Conflict { sides, names, values } => {
            let [one, other] = both(names, values);
            format!("changed on both sides: {}.{} {one} or {}.{} {other}?", sides[0], names[0], sides[1], names[1])
        }
        Question::Several { other, ids, taken } if ids.is_empty() => {
            format!("its {other} may be {}, which is in a pair already", taken.join(", "))
        }
        Question::Several { other, ids, .. } => format!("which {other} is the same: {}?", ids.join(", ")),
        Question::Alone { other, missing: None } => format!("there is no such {other}: create it?"),
        Question::Alone { other, missing: Some(id) } => format!("there is no {other} with the id {id}: create it?"),
        Question::Parted => "its other half was deleted, and it was left".into(),
        Question::Same => "are the two one?".into(),
        Question::Unlinked => "a person has said that it and its other half are not one".into(),
        Question::Runaway { writes } => format!("written {writes} times within minutes: something answers each write"),
        Question::Deleted { sides, side, why } => format!("deleted at {}: and the other? ({why})", sides[side.index()]),
    }
}

/// What may be said to it.
pub fn answers(question: &Question) -> Vec<String> {
    match question {
        Question::Conflict { sides, .. } => sides.to_vec(),
        Question::Several { ids, .. } => {
            let links = ids.iter().map(|id| format!("link {id}"));
            links.chain(["create".into(), "leave".into()]).collect()
        }
        Question::Alone { .. } => ["create", "link ID", "leave"].map(String::from).into(),
        Question::Same => vec!["unlink".into()],
        Question::Parted | Question::Unlinked => ["create", "link ID"].map(String::from).into(),
        Question::Runaway { .. } => vec!["go-on".into()],
        Question::Deleted { .. } => ["delete", "archive", "unlink"].map(String::from).into(),
    }
}

/// What was said to it; None: that is no answer to it.
pub fn choice(question: &Question, said: &[String]) -> Option<Choice> {
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    match (question, said.as_slice()) {
        (Question::Conflict { sides, .. }, [side]) => {
            let place = sides.iter().position(|known| known == side)?;
            Some(Choice::Side(Which::BOTH[place]))
        }
        (question, ["link", id]) if question.key() == "match" => Some(Choice::Link((*id).to_owned())),
        (question, ["create"]) if question.key() == "match" => Some(Choice::Create),
        (Question::Several { .. } | Question::Alone { .. }, ["leave"]) => Some(Choice::Leave),
        (Question::Runaway { .. }, ["go-on"]) => Some(Choice::GoOn),
        (Question::Deleted { .. }, ["delete"]) => Some(Choice::Delete),
        (Question::Deleted { .. }, ["archive"]) => Some(Choice::Archive),
        (Question::Deleted { .. } | Question::Same, ["unlink"]) => Some(Choice::Unlink),
        _ => None,
    }
}
