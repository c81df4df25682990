//! `questions`: what syncs leave to a person, and what the person says.

use anyhow::Result;
use serde_json::{Value, json};

use super::check::count;
use super::past::Past;
use super::{exit, say, shown};
use crate::store::{self, Asked};
use crate::sync::{Choice, Question, Which};

#[derive(Debug, clap::Subcommand)]
pub enum Questions {
    /// Every open question, with what may be said to it.
    List(List),
    /// Say what is to be done: a side (`ghl`), `create`, `link ID`, `leave`, `delete`, `archive`, `unlink` or `go-on`.
    Answer(Answer),
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those of this sync.
    #[arg(long, value_name = "NAME")]
    sync: Option<String>,
    /// Also records that were left without another half when that was deleted.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Answer {
    /// The question's number.
    number: i64,
    /// What is to be done.
    #[arg(required = true, num_args = 1..=2, value_names = ["ANSWER", "ID"])]
    answer: Vec<String>,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Questions that are read at most.
const QUESTIONS_MAX: usize = 100_000;

impl Questions {
    pub async fn run(self) -> Result<u8> {
        match self {
            Questions::List(list) => list.run().await,
            Questions::Answer(answer) => answer.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<u8> {
        let Some(store) = self.past.look_if_any(self.json)? else { return Ok(exit::OK) };
        let wanted = if self.all { store::Questions::All } else { store::Questions::Open };
        let mut all = store.questions(wanted, QUESTIONS_MAX).await?;
        store.close().await;
        all.retain(|asked| self.sync.as_ref().is_none_or(|sync| *sync == asked.sync));
        if self.json {
            let told: Vec<Value> = all
                .iter()
                .map(|asked| {
                    let mut told = json!(asked);
                    told["answers"] = json!(answers(&asked.question));
                    told
                })
                .collect();
            say::data(&serde_json::to_string_pretty(&told)?);
        } else if !all.is_empty() {
            let row = |asked: &Asked| {
                let about = format!("{} {} of {}", asked.about.object, asked.about.id, asked.about.connection);
                let answers = match &asked.choice {
                    Some(choice) if asked.question.standing().as_ref() != Some(choice) => "answered".to_owned(),
                    _ => answers(&asked.question).join(", "),
                };
                vec![
                    asked.number.to_string(),
                    shown::minute(asked.asked_ms),
                    asked.sync.clone(),
                    about,
                    asks(&asked.question),
                    answers,
                ]
            };
            say::table(&["NO", "ASKED (UTC)", "SYNC", "ABOUT", "QUESTION", "ANSWERS"], all.iter().map(row).collect());
        }
        say::talk(&match all.len() {
            0 => "no open questions".to_string(),
            number => format!("{}: `dovetail questions answer NO ANSWER`", count(number, "question")),
        });
        Ok(exit::OK)
    }
}

impl Answer {
    async fn run(self) -> Result<u8> {
        let access = self.past.access().await?;
        let done = self.carry_out(&access).await;
        access.close().await;
        done
    }

    async fn carry_out(&self, access: &super::past::Access) -> Result<u8> {
        let all = access.store.questions(store::Questions::All, QUESTIONS_MAX).await?;
        let Some(asked) = all.iter().find(|asked| asked.number == self.number) else {
            let number = self.number;
            return Err(exit::usage(format!(
                "there is no question {number}; `dovetail questions list` shows what there is"
            )));
        };
        let Some(choice) = choice(&asked.question, &self.answer) else {
            let (said, may) = (self.answer.join(" "), answers(&asked.question).join("`, `"));
            return Err(exit::usage(format!("`{said}` is no answer to question {}: say one of `{may}`", self.number)));
        };
        access.answer(self.number, &choice).await?;
        if self.json {
            say::data(&serde_json::to_string_pretty(&json!({ "answered": self.number, "choice": choice }))?);
        }
        say::talk(&match access.is_served() {
            true => format!("question {} is answered, and acted on now", self.number),
            false => format!("question {} is answered; the next `dovetail serve` acts on it", self.number),
        });
        Ok(exit::OK)
    }
}

/// The question in words.
fn asks(question: &Question) -> String {
    match question {
        Question::Conflict { sides, names, values } => {
            let [one, other] = values.each_ref().map(|value| say::shortened(&value.to_string(), 40));
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
fn answers(question: &Question) -> Vec<String> {
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

fn choice(question: &Question, said: &[String]) -> Option<Choice> {
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
