//! `default`: a value, or another where it is missing, null or blank.

use serde_json::Value;

use super::{Call, Helper};
use crate::expr::is_blank;

pub(super) const HELPER: Helper = Helper::new(
    "default",
    "{{default contact.lastName \"-\"}}",
    "The first value; where it is missing, null or blank, the second.",
    2..=2,
    run,
);

fn run(call: &Call<'_>) -> Result<Value, String> {
    match call.value(0) {
        Some(value) if !is_blank(Some(value)) => Ok(value.clone()),
        _ => call.present(1).cloned(),
    }
}
