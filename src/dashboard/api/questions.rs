//! What syncs leave to a person, and what the person says.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::{LIMIT, answer as answered, page};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::server::secret;
use crate::store::{Asked, Questions};
use crate::story::{answers, asks, choice, shown};

pub async fn list(ask: Ask) -> Result<Response, Problem> {
    let (open, next) = some(&ask, ask.limit(LIMIT)).await?;
    Ok(page(open.iter().map(told).collect(), next))
}

/// Open ones, and where the next page begins.
pub async fn some(ask: &Ask, limit: usize) -> Result<(Vec<Asked>, Option<i64>), Problem> {
    let after = ask.number("cursor").unwrap_or_default();
    let mut open = ask.store().questions_after(Questions::Open, after, limit + 1).await?;
    let more = open.len() > limit;
    open.truncate(limit);
    let next = open.last().filter(|_| more).map(|asked| asked.number);
    Ok((open, next))
}

pub async fn one(ask: &Ask) -> Result<Asked, Problem> {
    let number = ask.number("number").unwrap_or_default();
    ask.store().question(number).await?.ok_or_else(|| Problem::unknown("question"))
}

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    Ok(answered(told(&one(&ask).await?)))
}

pub async fn answer(ask: Ask) -> Result<Response, Problem> {
    let said = ask.owned("answer").unwrap_or_default();
    decide(&ask, &said).await?;
    show(ask).await
}

/// Takes an answer to the question that is named.
///
/// # Errors
/// It is none, or the question is not what it was.
pub async fn decide(ask: &Ask, said: &str) -> Result<Asked, Problem> {
    let asked = one(ask).await?;
    decide_as(ask, &asked, ask.text("seen").unwrap_or_default(), said).await?;
    Ok(asked)
}

async fn decide_as(ask: &Ask, asked: &Asked, read: &str, said: &str) -> Result<(), Problem> {
    let number = asked.number;
    if read != seen(asked) {
        return Err(Problem::conflict(format!("question {number} has changed since: look at it again")));
    }
    if is_answered(asked) {
        return Err(Problem::conflict(format!("question {number} is answered already, and acted on")));
    }
    let words: Vec<String> = match said.split_once(' ') {
        Some((verb, id)) => vec![verb.to_owned(), id.trim().to_owned()],
        None => vec![said.to_owned()],
    };
    let Some(choice) = choice(&asked.question, &words) else {
        let may = answers(&asked.question).join(", ");
        return Err(Problem::bad(format!("this is no answer to question {number}: say one of {may}")));
    };
    ask.note("answers a question", format!("question {number} of {}: {said}", asked.sync)).await?;
    ask.engine().answer(number, &choice).await?;
    Ok(())
}

/// Several at once, at most.
const TOGETHER_MAX: usize = 100;

pub async fn answer_all(ask: Ask) -> Result<Response, Problem> {
    Ok(answered(json!({ "done": decide_all(&ask).await? })))
}

/// Takes one answer to several questions, each with what was read of it; gives the numbers of those that were answered. What has
/// changed since, or is answered already, is left alone.
///
/// # Errors
/// They are not written as they should be; it is no answer to one of them: those before it are answered.
pub async fn decide_all(ask: &Ask) -> Result<Vec<i64>, Problem> {
    let said = ask.text("answer").unwrap_or_default();
    let form = || Problem::bad("`questions` must be numbers, each with what was read: `12:SEEN, 15:SEEN`");
    let mut named = Vec::new();
    for one in ask.text("questions").unwrap_or_default().split(',') {
        let (number, read) = one.trim().split_once(':').ok_or_else(form)?;
        named.push((number.parse::<i64>().map_err(|_| form())?, read));
    }
    if named.len() > TOGETHER_MAX {
        return Err(Problem::bad(format!("`questions` names more than {TOGETHER_MAX}")));
    }
    let mut done = Vec::new();
    for (number, read) in named {
        let Some(asked) = ask.store().question(number).await? else { continue };
        match decide_as(ask, &asked, read, said).await {
            Ok(()) => done.push(number),
            Err(problem) if problem.status == StatusCode::CONFLICT => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(done)
}

/// A person has said something, and it is at work.
pub fn is_answered(asked: &Asked) -> bool {
    asked.choice.is_some() && asked.question.standing() != asked.choice
}

/// What a question says is known by this: an answer is to what was read.
pub fn seen(asked: &Asked) -> String {
    let question = serde_json::to_string(&(&asked.about, &asked.question)).unwrap_or_default();
    secret::hash(&question)[..16].to_owned()
}

fn told(asked: &Asked) -> Value {
    json!({
        "number": asked.number,
        "sync": asked.sync,
        "tenant": asked.tenant,
        "about": asked.about.to_string(),
        "pair": asked.pair.as_ref().map(|pair| pair.each_ref().map(ToString::to_string)),
        "question": shown::concealed(&json!(asked.question)),
        "words": shown::uncovered(&asks(&asked.question)),
        "answers": answers(&asked.question),
        "is_answered": is_answered(asked),
        "asked_at": shown::instant(asked.asked_ms),
        "seen": seen(asked),
    })
}
