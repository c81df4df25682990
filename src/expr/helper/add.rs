//! `add`: the sum of numbers.

use serde_json::Value;

use super::{Call, Helper, not};
use crate::expr::convert::sum;

pub(super) const HELPER: Helper =
    Helper::new("add", "{{add order.net order.tax}}", "The sum of two or more numbers.", 2..=16, run);

fn run(call: &Call<'_>) -> Result<Value, String> {
    let mut total = Value::from(0);
    for index in 0..call.arguments.len() {
        let value = call.present(index)?;
        if !value.is_number() {
            return Err(not(value, "a number"));
        }
        total = sum(&total, value).ok_or("the sum is too large")?;
    }
    Ok(total)
}
