//! `keep:`: how long what is over is kept, and how much of it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::resolve::Site;
use crate::expr::parse_duration;
use crate::source::{Diagnostic, Report};

/// How long what is over is kept, and how much of it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`keep`", rename = "Keep")]
pub struct Written {
    /// How long runs that are over are kept, with all that they did. Default: `90d`. Dead letters are kept until somebody retries or
    /// drops them.
    #[schemars(extend("x-takes" = "a duration"))]
    pub runs: Option<String>,
    /// How long events are kept whole, to be replayed. Default: `30d`. Their ids are known for 30 days in any case.
    #[schemars(extend("x-takes" = "a duration"))]
    pub events: Option<String>,
    /// How large the store may become: `500MB`, `10GB`. Default: `10GB`. Before it does, what has been over for longest goes, even if it
    /// is young.
    #[schemars(extend("x-takes" = "a size"))]
    pub size: Option<String>,
}

/// How long what is over is kept, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    pub runs: Duration,
    pub events: Duration,
    pub bytes: u64,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A store needs so much to be of use.
const BYTES_MIN: u64 = 1_000_000;
const UNITS: [(&str, u64); 3] = [("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];

impl Default for Keep {
    fn default() -> Self {
        Keep { runs: DAY * 90, events: DAY * 30, bytes: 10_000_000_000 }
    }
}

pub(super) fn read(written: Option<&Written>, site: &Site<'_>, report: &mut Report) -> Keep {
    let mut keep = Keep::default();
    let Some(written) = written else { return keep };
    for (key, text, duration) in
        [("runs", &written.runs, &mut keep.runs), ("events", &written.events, &mut keep.events)]
    {
        let Some(text) = text else { continue };
        match parse_duration(text) {
            Some(read) => *duration = read,
            None => report.push(Diagnostic::no_duration(text).at(site.file, &site.at(&format!("/keep/{key}")), "")),
        }
    }
    if let Some(text) = &written.size {
        match parse_size(text).filter(|bytes| *bytes >= BYTES_MIN) {
            Some(bytes) => keep.bytes = bytes,
            None => {
                let found = Diagnostic::error("wrong-value", format!("`{text}` is no size of a store"));
                let help = "write a number with a unit, from `1MB` on: `500MB`, `10GB`, `1TB`";
                report.push(found.at(site.file, &site.at("/keep/size"), "").help(help));
            }
        }
    }
    keep
}

fn parse_size(text: &str) -> Option<u64> {
    let (number, of) = UNITS.iter().find_map(|(unit, of)| Some((text.strip_suffix(unit)?, of)))?;
    number.trim_end().parse::<u64>().ok()?.checked_mul(*of)
}
