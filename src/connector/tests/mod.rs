//! The room's tests: cases as files that anyone can read, and what is easier said in Rust.

mod cases;
mod requests;
mod shipped;
mod units;

use crate::connector::Connector;
use crate::source::{File, Report};

/// Reads documents that must be good; their findings are shown if they are not.
pub(super) fn connector(documents: &[(&str, &str)]) -> Connector {
    let (connector, report) = read(documents);
    connector.unwrap_or_else(|| panic!("{}", findings(&report).join("\n")))
}

pub(super) fn read(documents: &[(&str, &str)]) -> (Option<Connector>, Report) {
    let files: Vec<File> = documents
        .iter()
        .map(|(path, text)| File::read(path, text).unwrap_or_else(|report| panic!("{}", findings(&report).join("\n"))))
        .collect();
    let mut report = Report::default();
    let connector = Connector::read(&files.iter().collect::<Vec<_>>(), &mut report);
    (connector, report)
}

/// `error unknown-operation crm.yaml:12:13: there is no …; did you mean `x`?`
pub(super) fn findings(report: &Report) -> Vec<String> {
    let line = |found: &crate::source::Diagnostic| {
        let place = found.primary.as_ref().map(|label| format!("{}:{}:{}", label.path, label.line, label.column));
        let help = found.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        let severity = format!("{:?}", found.severity).to_lowercase();
        let label = found.primary.as_ref().map(|label| label.text.clone()).filter(|text| !text.is_empty());
        let label = label.map(|text| format!(" ({text})")).unwrap_or_default();
        format!("{severity} {} {}: {}{label}{help}", found.code, place.unwrap_or_default(), found.message)
    };
    report.diagnostics.iter().map(line).collect()
}
