//! What is known of a pair, and what only a person can say about it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Agreed, Compared, Decided, Pair, Which};

/// What the two halves of a pair have agreed on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pact {
    pub agreed: Agreed,
    /// By side: the ids of the records under which they live.
    #[serde(default)]
    pub parents: [Option<String>; 2],
    /// When either half was last written, as far as that counts against [`WRITES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written_ms: Vec<i64>,
}

/// A pair that is written more often than this within [`WRITES_MS`] is held: something answers each of our writes.
pub const WRITES_MAX: usize = 20;
pub const WRITES_MS: i64 = 600_000;

/// What a sync leaves to a person, about one record or pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// A field was changed on both sides: which of the two counts?
    Conflict {
        /// By side: their aliases.
        sides: [String; 2],
        names: [String; 2],
        values: [Value; 2],
    },
    /// Which of these is the other half? Those that are in a pair with another record already are not offered.
    /// `other`: `contact of shop`.
    Several { other: String, ids: Vec<String>, taken: Vec<String> },
    /// None was found: is one to be created?
    Alone {
        other: String,
        /// The id of one that a person has named, and that is not there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        missing: Option<String>,
    },
    /// Its other half was deleted, and it was left: it makes no new one.
    Parted,
    /// Are the two one? Nobody asks that: whoever says that they are not has asked it, too.
    Same,
    /// A person has said that it and its other half are not one: it makes no new one.
    Unlinked,
    /// It is written again and again: is it to go on?
    Runaway { writes: usize },
    /// This half was deleted: what becomes of the other?
    Deleted {
        sides: [String; 2],
        side: Which,
        /// Why it is asked, in words.
        why: String,
    },
}

/// What a person has said to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// This side's value counts.
    Side(Which),
    /// This record is the other half.
    Link(String),
    /// The other half is created.
    Create,
    /// Nothing is done.
    Leave,
    /// It goes on.
    GoOn,
    /// The other half is deleted, too.
    Delete,
    /// The other half is put away.
    Archive,
    /// The two are no pair any more.
    Unlink,
}

/// A question that a person has answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub question: Question,
    pub choice: Choice,
}

impl Question {
    pub fn of(field: &Compared, pair: &Pair) -> Question {
        let (names, values) = (field.names.clone(), field.values.clone());
        Question::Conflict { sides: pair.sides.each_ref().map(|side| side.alias.clone()), names, values }
    }

    /// What holds until a person says otherwise.
    pub fn standing(&self) -> Option<Choice> {
        matches!(self, Question::Parted | Question::Unlinked).then_some(Choice::Leave)
    }

    /// By this it is known among the questions about one record: one of each is open at most.
    pub fn key(&self) -> String {
        match self {
            Question::Conflict { names, .. } => format!("field:{}", names[0]),
            Question::Several { .. } | Question::Alone { .. } | Question::Parted | Question::Unlinked => "match".into(),
            Question::Same => "same".into(),
            Question::Runaway { .. } => "runaway".into(),
            Question::Deleted { .. } => "deleted".into(),
        }
    }
}

/// What was decided about fields.
pub fn decided(answers: &[Answered]) -> Vec<Decided> {
    let about = |one: &Answered| match (&one.question, &one.choice) {
        (Question::Conflict { names, values, .. }, Choice::Side(winner)) => {
            Some(Decided { field: names[0].clone(), values: values.clone(), winner: *winner })
        }
        _ => None,
    };
    answers.iter().filter_map(about).collect()
}
