//! Plans for programs: made, looked at, applied.

use axum::response::Response;
use serde_json::{Value, json};

use super::{LIMIT, answer, page};
use crate::dashboard::ask::Ask;
use crate::dashboard::plans::{self, Kept, State};
use crate::dashboard::problem::Problem;
use crate::story::{shown, survey};

pub async fn list(ask: Ask) -> Result<Response, Problem> {
    Ok(page(ask.window.plans.all().iter().map(|kept| told(kept)).collect(), None))
}

pub async fn make(ask: Ask) -> Result<Response, Problem> {
    Ok(answer(told(&*plans::begin(&ask).await?)))
}

pub async fn apply(ask: Ask) -> Result<Response, Problem> {
    Ok(answer(told(&*plans::apply(&ask).await?)))
}

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let kept = plans::one(&ask)?;
    let from = ask.number("cursor").and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or_default();
    let limit = ask.limit(LIMIT);
    let (items, next) = match kept.state().surveyed() {
        None => (Vec::new(), None),
        Some(surveyed) => {
            let all = || surveyed.pairs.iter().flat_map(|pair| pair.survey.items.iter().map(move |item| (pair, item)));
            let items = all().skip(from).take(limit).map(|(pair, item)| {
                let (sign, about) = survey::item(pair, item);
                json!({
                    "sign": sign.to_string(), "about": about, "name": survey::name(item),
                    "fields": survey::fields(item),
                })
            });
            let items: Vec<Value> = items.collect();
            let reached = from.saturating_add(items.len());
            let next = (reached < all().count()).then_some(reached);
            (items, next)
        }
    };
    Ok(answer(json!({ "plan": told(&kept), "items": items, "next": next })))
}

fn told(kept: &Kept) -> Value {
    let state = kept.state();
    let surveyed = state.surveyed();
    json!({
        "number": kept.number, "sync": kept.sync, "tenant": kept.tenant, "deep": kept.deep, "by": kept.who,
        "asked_at": shown::instant(kept.asked_ms), "state": state.word(),
        "read": kept.progress.records(),
        "hash": surveyed.map(|surveyed| &surveyed.hash),
        "to_do": surveyed.map(|surveyed| survey::to_do(surveyed)),
        "requests": surveyed.map(|surveyed| survey::requests(surveyed)),
        "seconds": surveyed.map(|surveyed| surveyed.seconds),
        "runs": match &state { State::Applied(_, runs) => Some(*runs), _ => None },
        "why": match &state { State::Failed(why) => Some(shown::uncovered(why)), _ => None },
    })
}
