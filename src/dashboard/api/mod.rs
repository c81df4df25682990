//! The API's answers: JSON, secrets never.

pub mod catalogue;
pub mod drafts;
pub mod events;
pub mod overview;
pub mod plans;
pub mod questions;
pub mod records;
pub mod runs;
pub mod workflows;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

/// How many are given, if nobody says.
pub const LIMIT: usize = 50;

pub fn answer(value: Value) -> Response {
    Json(value).into_response()
}

/// A part of a list, and where the next one begins.
pub fn page(items: Vec<Value>, next: Option<i64>) -> Response {
    answer(json!({ "items": items, "next": next }))
}
