//! The vendors' limits, as the shipped connectors say them: read by the program's own parser.

use std::path::Path;
use std::time::Duration;

use dovetail::connector::{Connector, Limit};
use dovetail::source::{File, Report};

use super::windows::Span;

/// The connectors of the shipped sync: by side, as in `workflows/contacts.yaml`.
pub const CONNECTORS: [&str; 2] = ["gohighlevel", "opinion-stage-contacts"];

/// So long a request may be on its way until the vendor counts it, as in `Budgets::of_vendors`.
const ON_THE_WAY: Duration = Duration::from_millis(500);
/// Of a window a process takes a sixteenth at once, and 500 at most: `SHARES` and `WANTED_MAX` of `src/http/budget.rs`.
const SHARES: u64 = 16;
const WANTED_MAX: u64 = 500;

/// The limits of a shipped connector.
pub fn limits(connector: &str) -> Vec<Limit> {
    let path = format!("connectors/{connector}.yaml");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file = File::read(&path, &text).expect("a document");
    let mut report = Report::default();
    let connector = Connector::read(&[&file], &mut report).expect("a connector without errors");
    connector.limits
}

/// A limit as processes keep it together: with the time on the way, and the part that one takes at once.
pub fn span(limit: &Limit) -> Span {
    assert!(limit.only_for.is_empty() && limit.each.is_none(), "a limit of some requests only is not simulated");
    let per = limit.per + ON_THE_WAY.min(limit.per / 10);
    Span {
        most: limit.requests,
        per: u64::try_from(per.as_micros()).expect("less than an age"),
        part: (limit.requests / SHARES).clamp(1, WANTED_MAX),
    }
}

/// By side of the shipped sync.
pub fn spans() -> [Vec<Span>; 2] {
    CONNECTORS.map(|connector| limits(connector).iter().map(span).collect())
}
