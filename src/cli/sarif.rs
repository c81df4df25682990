//! A report as SARIF 2.1.0, which code hosts and editors show beside the lines.
//!
//! Only what a finding holds is said: rules with the pages of `docs/errors/`, results with their places. Columns count
//! characters (`unicodeCodePoints`), as in the report for people. Paths are relative to the project's folder, which the
//! reader of the log knows by the usual name `%SRCROOT%`.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::collections::HashMap;

use serde::Serialize;

use super::explain;
use crate::source::{Diagnostic, File, Label, Report, Severity};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// The name under which a reader knows the project's folder.
const BASE: &str = "%SRCROOT%";

/// The whole log: one run of `dovetail check`.
#[derive(Debug, Serialize)]
pub struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invocations: Vec<Invocation>,
    column_kind: &'static str,
    original_uri_base_ids: HashMap<&'static str, Base>,
    results: Vec<Outcome<'a>>,
}

/// Told only where something is left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Debug, Serialize)]
struct Notification {
    level: &'static str,
    message: Message<'static>,
}

/// A folder that is named and not said: where it is, is the reader's business.
#[derive(Debug, Serialize)]
struct Base {
    description: Message<'static>,
}

#[derive(Debug, Serialize)]
struct Tool<'a> {
    driver: Driver<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<'a> {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule<'a>>,
}

/// A code, with the title and the text of its page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    id: &'a str,
    short_description: Message<'a>,
    help: Help<'a>,
}

#[derive(Debug, Serialize)]
struct Help<'a> {
    text: String,
    markdown: &'a str,
}

/// A finding: what SARIF calls a result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    rule_id: &'a str,
    rule_index: usize,
    level: &'static str,
    message: Message<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Location<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location<'a>>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    text: std::borrow::Cow<'a, str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    physical_location: Physical,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Physical {
    artifact_location: Artifact,
    region: Region,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    uri_base_id: &'static str,
}

/// From 1; the end is the place after the last character.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
}

/// The report; `files` are those that its places name.
pub fn log<'a>(report: &'a Report, files: &[File]) -> Log<'a> {
    let files: HashMap<&str, &File> = files.iter().map(|file| (file.path.as_ref(), file)).collect();
    let mut codes: Vec<&str> = report.diagnostics.iter().map(|found| found.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let results = report.diagnostics.iter().map(|found| outcome(found, &codes, &files)).collect();
    let rules = codes.iter().map(|code| rule(code)).collect();
    let driver = Driver { name: "dovetail", version: env!("CARGO_PKG_VERSION"), rules };
    let base = Base { description: text("The project's folder, which holds dovetail.yaml.") };
    let notes: Vec<Notification> = report
        .left_out()
        .map(|sentence| Notification { level: "note", message: Message { text: sentence.into() } })
        .collect();
    let told = |notes| Invocation { execution_successful: true, tool_execution_notifications: notes };
    let run = Run {
        tool: Tool { driver },
        invocations: if notes.is_empty() { Vec::new() } else { vec![told(notes)] },
        column_kind: "unicodeCodePoints",
        original_uri_base_ids: HashMap::from([(BASE, base)]),
        results,
    };
    Log { schema: SCHEMA, version: "2.1.0", runs: [run] }
}

fn rule(code: &str) -> Rule<'_> {
    let page = explain::page(code).unwrap_or_default();
    let title = match explain::title(page) {
        "" => code,
        title => title,
    };
    Rule {
        id: code,
        short_description: text(title),
        help: Help { text: explain::told(page, None).trim_end().to_owned(), markdown: page },
    }
}

fn outcome<'a>(found: &'a Diagnostic, codes: &[&str], files: &HashMap<&str, &File>) -> Outcome<'a> {
    let message = match &found.help {
        Some(help) => format!("{}\nhelp: {help}", found.message),
        None => found.message.clone(),
    };
    let related = found.related.iter().enumerate();
    Outcome {
        rule_id: found.code,
        rule_index: codes.binary_search(&found.code).unwrap_or_default(),
        level: match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: Message { text: message.into() },
        locations: found.primary.iter().map(|label| location(label, None, files)).collect(),
        related_locations: related.map(|(index, label)| location(label, Some(index + 1), files)).collect(),
    }
}

fn location<'a>(label: &'a Label, id: Option<usize>, files: &HashMap<&str, &File>) -> Location<'a> {
    let region = match files.get(label.path.as_str()) {
        Some(file) => {
            let (end_line, end_column) = file.line_and_column(label.span.end.max(label.span.start));
            Region { start_line: label.line, start_column: label.column, end_line, end_column }
        }
        None => Region {
            start_line: label.line,
            start_column: label.column,
            end_line: label.line,
            end_column: label.column,
        },
    };
    let artifact_location = Artifact { uri: uri(&label.path), uri_base_id: BASE };
    let message = (!label.text.is_empty()).then(|| text(&label.text));
    Location { id, physical_location: Physical { artifact_location, region }, message }
}

/// A path as a relative URI: all but what RFC 3986 lets stand in a path is percent-encoded, a `:` as well, which would
/// make what is before it a scheme.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

fn text(text: &str) -> Message<'_> {
    Message { text: text.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::project::{self, Text};
    use crate::source::check_shape;

    fn regions(file: &File, found: Diagnostic) -> serde_json::Value {
        let report = Report { diagnostics: vec![found], ..Report::default() };
        let log = serde_json::to_value(log(&report, std::slice::from_ref(file))).expect("JSON");
        log["runs"][0]["results"][0].clone()
    }

    #[test]
    fn places_count_characters_from_one_and_end_behind_the_last() {
        let file = File::read("work flows/é.yaml", "a: \"ü😀\" # x\nb:\n  c: 1\n  d: 2\n").expect("YAML");
        let found =
            regions(&file, Diagnostic::error("unknown-key", "no").at(&file, "/a", "here").also(&file, "/b", ""));
        let place = &found["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "work%20flows/%C3%A9.yaml");
        let region = |line, column, end_line, end_column| {
            serde_json::json!({
                "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column
            })
        };
        assert_eq!(place["region"], region(1, 4, 1, 8));
        assert_eq!(found["locations"][0]["message"]["text"], "here");
        assert_eq!(found["relatedLocations"][0]["physicalLocation"]["region"], region(3, 3, 4, 7));
        assert_eq!(found["relatedLocations"][0].get("message"), None);
    }

    #[test]
    fn what_has_no_place_has_no_location() {
        let file = File::unread("a.yaml", "");
        let found = regions(&file, Diagnostic::warning("missing-project", "none").help("add one"));
        assert_eq!(found.get("locations"), None);
        assert_eq!(found["level"], "warning");
        assert_eq!(found["message"]["text"], "none\nhelp: add one");
    }

    #[test]
    fn each_rule_is_told_once_with_its_page() {
        let diagnostics = ["unknown-key", "bad-yaml", "unknown-key"].map(|code| Diagnostic::error(code, "x")).to_vec();
        let report = Report { diagnostics, ..Report::default() };
        let log = serde_json::to_value(log(&report, &[])).expect("JSON");
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        assert_eq!(rules.iter().map(|rule| &rule["id"]).collect::<Vec<_>>(), ["bad-yaml", "unknown-key"]);
        assert_eq!(rules[1]["shortDescription"]["text"], "a key means nothing here");
        for result in run["results"].as_array().expect("results") {
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("small");
            assert_eq!(rules[index]["id"], result["ruleId"]);
        }
    }

    /// What is wrong with a log by the standard: by its schema first, then by the sentences that no schema says.
    fn wrong(log: &str) -> Vec<String> {
        let schema: Value = serde_json::from_str(include_str!("../../tests/cases/sarif.schema.json")).expect("JSON");
        let file = File::read("sarif.json", log).expect("JSON is YAML");
        let mut report = Report::default();
        check_shape(&file, "", &schema, &mut report);
        let told = |found: &Diagnostic| format!("{:?}: {}", found.primary.as_ref().map(|at| at.line), found.message);
        let mut wrong: Vec<String> = report.diagnostics.iter().map(told).collect();
        let run = &file.value["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().cloned().unwrap_or_default();
        let bases = run["originalUriBaseIds"].as_object().cloned().unwrap_or_default();
        for result in run["results"].as_array().into_iter().flatten() {
            // 3.27.6: it is the rule at that place.
            let index = result["ruleIndex"].as_u64().and_then(|index| usize::try_from(index).ok());
            if index.and_then(|index| rules.get(index)).map(|rule| &rule["id"]) != Some(&result["ruleId"]) {
                wrong.push(format!("another rule than {}", result["ruleId"]));
            }
            let of = |key: &str| result[key].as_array().cloned().unwrap_or_default();
            for place in of("locations").into_iter().chain(of("relatedLocations")) {
                let (artifact, region) =
                    (&place["physicalLocation"]["artifactLocation"], &place["physicalLocation"]["region"]);
                // 3.4.3 and 3.4.4: a relative URI in the form of RFC 3986, below a base that the run names.
                let uri = artifact["uri"].as_str().unwrap_or_default();
                let plain = uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}:".contains(&byte));
                let base = artifact["uriBaseId"].as_str().unwrap_or_default();
                if !plain || uri.starts_with('/') || !bases.contains_key(base) {
                    wrong.push(format!("no relative URI below a base: {artifact}"));
                }
                // 3.30.7 and 3.30.8: it does not end before it begins.
                let end = |line: &str, column: &str| (region[line].as_u64(), region[column].as_u64());
                if end("endLine", "endColumn") < end("startLine", "startColumn") {
                    wrong.push(format!("a region that ends before it begins: {region}"));
                }
            }
        }
        wrong
    }

    /// What `check` says of all its cases. Without the shipped connectors, which take long to read, it says even more.
    #[test]
    fn every_log_is_as_the_standard_wants_it() {
        let cases = std::fs::read_dir("tests/cases/check").expect("the cases").map(|entry| entry.expect("one").path());
        let mut results = 0;
        for path in cases.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
            let case = std::fs::read_to_string(&path).expect("a case");
            let case: Value = serde_yaml::from_str(&case).expect("YAML");
            let files = case["files"].as_object().into_iter().flatten();
            let files = files.filter_map(|(path, text)| Some(Text { path: path.clone(), text: text.as_str()?.into() }));
            let mut loaded = project::read(&files.collect::<Vec<_>>(), &[], None);
            loaded.report.leave_out("workflows/a.yaml", 7);
            let log = serde_json::to_string_pretty(&log(&loaded.report, &loaded.files)).expect("JSON");
            results += loaded.report.diagnostics.len();
            assert_eq!(wrong(&log), [""; 0], "{}: {log}", path.display());
        }
        assert!(results > 300, "{results}");
    }

    #[test]
    fn a_log_that_is_not_as_the_standard_wants_it_is_noticed() {
        let file = File::read("a.yaml", "a: 1\n").expect("YAML");
        let mut report = Report::default();
        report.push(Diagnostic::error("unknown-key", "no").at(&file, "/a", "here"));
        let right = serde_json::to_string(&log(&report, &[file])).expect("JSON");
        assert_eq!(wrong(&right), [""; 0]);
        for (from, to) in [
            (r#""version":"2.1.0""#, r#""version":"2.1""#),
            (r#""name":"dovetail","#, ""),
            (r#""level":"error""#, r#""level":"fatal""#),
            (r#""ruleIndex":0"#, r#""ruleIndex":1"#),
            (r#""startLine":1"#, r#""startLine":0"#),
            (r#""endColumn":5"#, r#""endColumn":1"#),
            (r#""message":{"text":"no"},"#, ""),
            (r#""uri":"a.yaml""#, r#""uri":"C:/a b.yaml""#),
            (r#""uriBaseId":"%SRCROOT%""#, r#""uriBaseId":"HERE""#),
            (r#""results""#, r#""outcomes""#),
        ] {
            assert!(right.contains(from), "{from} is not in {right}");
            assert!(!wrong(&right.replace(from, to)).is_empty(), "{to} is not noticed");
        }
    }
}
