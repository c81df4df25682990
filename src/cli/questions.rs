//! `questions`: what syncs leave to a person, and what the person says.

use anyhow::Result;
use serde_json::{Value, json};

use super::count;
use super::past::Past;
use super::{exit, say, shown};
use crate::store::{self, Asked};
use crate::story::{answers, asks, choice};

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
    #[arg(value_parser = super::number::<i64>(1..))]
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
