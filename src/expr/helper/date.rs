//! `date`: a time as people write it, in a zone.

use std::fmt::Write;

use chrono::format::{Item, StrftimeItems};
use chrono_tz::Tz;
use serde_json::Value;

use super::{Call, Helper, not};
use crate::expr::read_time;

pub(super) const HELPER: Helper = Helper {
    check,
    reads_locale: true,
    ..Helper::new(
        "date",
        "{{date contact.dateAdded \"%d.%m.%Y\" \"Europe/London\"}}",
        "A time as people write it. Takes the time; how it is written, by default `%Y-%m-%d`; and the time zone, by default the project's.",
        1..=3,
        run,
    )
};

const FORMAT: &str = "%Y-%m-%d";

fn check(constants: &[Option<&Value>]) -> Result<(), String> {
    if let Some(Some(Value::String(format))) = constants.get(1) {
        let literal = |item: &Item<'_>| matches!(item, Item::Literal(_) | Item::Space(_));
        if items(format)?.iter().all(literal) {
            return Err(format!("`{format}` says nothing of the time; a format looks like `%d.%m.%Y %H:%M`"));
        }
    }
    if let Some(Some(Value::String(name))) = constants.get(2) {
        zone(name)?;
    }
    Ok(())
}

fn run(call: &Call<'_>) -> Result<Value, String> {
    let value = call.present(0)?;
    let zone = call.optional_text(2)?.map_or(Ok(call.locale.timezone), |name| zone(&name))?;
    let instant = value.as_str().and_then(|text| read_time(text, call.locale)).ok_or_else(|| not(value, "a time"))?;
    let format = call.optional_text(1)?.unwrap_or(FORMAT.into());
    let mut text = String::new();
    write!(text, "{}", instant.with_timezone(&zone).format_with_items(items(&format)?.into_iter()))
        .map_err(|_| format!("`{format}` is no format of a time"))?;
    Ok(Value::String(text))
}

fn items(format: &str) -> Result<Vec<Item<'_>>, String> {
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    if items.iter().any(|item| matches!(item, Item::Error)) {
        return Err(format!("`{format}` is no format of a time; it looks like `%d.%m.%Y %H:%M`"));
    }
    Ok(items)
}

fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| format!("there is no time zone `{name}`; one looks like `Europe/London`"))
}
