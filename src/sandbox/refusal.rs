//! Answers that say no: by the sandbox file's names and words.
//!
//! The mechanism itself says `no_route bad_body limited invalid not_found duplicate full page_too_big out_of_reach
//! invalid_field invalid_operator invalid_sort value_too_long bad_grant bad_code bad_client bad_refresh bad_authorize`;
//! plain.yaml has words for each of them.

use serde_json::{Value, json};

use super::document::Refusal;
use super::made::{Made, Table, Words};
use super::turn::{Content, Reply, Turn, plain};

/// Why a turn ended early.
#[derive(Debug)]
pub enum No {
    /// A refusal by name; what it tells is in the roots.
    Named(String),
    Written {
        status: u16,
        body: Option<Made>,
    },
    /// The sandbox file itself is wrong: told as a 500.
    Wrong(String),
}

impl From<String> for No {
    fn from(wrong: String) -> No {
        No::Wrong(wrong)
    }
}

/// Status, content, headers.
type Said = (u16, Content, Vec<(String, String)>);

impl Turn<'_> {
    pub fn refuse(&mut self, no: No, reply: &mut Reply) {
        let (status, content) = match self.said(&no) {
            Ok((status, content, headers)) => {
                reply.headers.extend(headers);
                (status, content)
            }
            Err(wrong) => (500, Content::Json(json!({ "sandbox_file_is_wrong": wrong }))),
        };
        reply.status = status;
        reply.content = content;
    }

    /// The refusal's body, as `each` wants it.
    pub fn said_body(&mut self, no: &No) -> Result<Value, No> {
        match self.said(no)? {
            (_, Content::Json(body), _) => Ok(body),
            _ => Ok(Value::Null),
        }
    }

    fn said(&mut self, no: &No) -> Result<Said, String> {
        let made = |turn: &mut Self, made: &Made| match turn.made(made) {
            Ok(value) => Ok(value),
            Err(No::Wrong(wrong)) => Err(wrong),
            Err(_) => Ok(None),
        };
        match no {
            No::Wrong(wrong) => Err(wrong.clone()),
            No::Written { status, body } => {
                let body = body.as_ref().map(|body| made(self, body)).transpose()?.flatten();
                Ok((*status, body.map_or(Content::Empty, Content::Json), Vec::new()))
            }
            No::Named(name) => {
                let refusal: &Refusal =
                    self.rules.document.refusals.get(name).ok_or_else(|| format!("there is no refusal `{name}`"))?;
                self.tell_problems(&refusal.each)?;
                let mut headers = Vec::new();
                for (header, value) in refusal.headers.iter() {
                    headers.extend(made(self, value)?.map(|value| (header.to_owned(), plain(&value))));
                }
                let content = match (&refusal.text, &refusal.body) {
                    (Some(text), _) => Content::Text(text.render(&self.roots)?),
                    (None, Some(body)) => made(self, body)?.map_or(Content::Empty, Content::Json),
                    (None, None) => Content::Empty,
                };
                Ok((refusal.status, content, headers))
            }
        }
    }

    /// `[[problem, field, kind], …]` in the roots becomes a list of texts.
    fn tell_problems(&mut self, each: &Table<Words>) -> Result<(), String> {
        let Some(found) = self.roots.get("found").and_then(Value::as_array).cloned() else { return Ok(()) };
        let mut told = Vec::new();
        for problem in found {
            let word = problem["problem"].as_str().unwrap_or_default();
            let kind = problem["kind"].as_str().unwrap_or_default();
            let kind = self.rules.document.kinds.get(kind).map_or(kind, String::as_str);
            let roots = json!({ "field": problem["field"], "kind": kind });
            told.extend(each.get(word).map(|words| words.render(&roots)).transpose()?);
        }
        self.set("problems", Value::from(told));
        Ok(())
    }
}
