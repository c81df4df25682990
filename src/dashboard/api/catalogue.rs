//! What a workflow can use, searched.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use super::{LIMIT, page};
use crate::dashboard::ask::Ask;
use crate::dashboard::drafts::at_work;
use crate::dashboard::problem::Problem;
use crate::project::catalogue::{self, Item};

pub async fn list(ask: Ask) -> Result<Response, Problem> {
    let found = some(&ask).await?;
    let (from, limit) = (from(&ask), ask.limit(LIMIT));
    let items: Vec<Value> = found.iter().skip(from).take(limit).map(|item| json!(item)).collect();
    let next = from + items.len();
    Ok(page(items, (next < found.len()).then(|| i64::try_from(next).unwrap_or(i64::MAX))))
}

pub fn from(ask: &Ask) -> usize {
    ask.number("cursor").and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or_default()
}

/// Those that hold all words that are sought.
pub async fn some(ask: &Ask) -> Result<Vec<Arc<Item>>, Problem> {
    let words: Vec<String> = ask.text("search").unwrap_or_default().split_whitespace().map(str::to_lowercase).collect();
    let connector = ask.text("connector");
    let mut items = all(ask).await?;
    items.retain(|item| item.holds(&words) && connector.is_none_or(|name| item.connector.as_deref() == Some(name)));
    Ok(items)
}

/// Made once for each version of the project.
pub async fn all(ask: &Ask) -> Result<Vec<Arc<Item>>, Problem> {
    let plan = ask.engine().plan();
    let kept = ask.window.catalogue.lock().clone();
    if kept.0 == plan.hash {
        return Ok(kept.1);
    }
    let window = ask.window.clone();
    at_work(ask, move |documents| {
        let items: Vec<_> = catalogue::of(&plan, &documents.shipped()).into_iter().map(Arc::new).collect();
        *window.catalogue.lock() = (plan.hash.clone(), items.clone());
        Ok(items)
    })
    .await
}
