//! `tests/cases/check/*.yaml`: a project, and the report about it. The form is told in the folder's README.

use dovetail::project::{self, Loaded, Text};
use dovetail::source::{File, render_text};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::cases::project_files::{shipped, standard, yaml_files};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case is about, in a sentence.
    why: String,
    /// What `--env` says.
    env: Option<String>,
    /// Path → text; null: the standard project's file of this path is left out.
    files: Map<String, Value>,
    /// The report.
    expect: String,
}

pub fn every_case_holds() {
    let accept = std::env::var_os("DOVETAIL_ACCEPT").is_some();
    let shipped = shipped();
    let paths = yaml_files("tests/cases/check");
    assert!(paths.len() > 100, "cases are gone: there are {}", paths.len());
    let wrong = paths.into_par_iter().filter_map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let case: Case = match serde_yaml::from_str(&text) {
            Ok(case) => case,
            Err(error) => return Some(format!("{name}: {error}")),
        };
        let report = report(&case, &shipped);
        if report == case.expect {
            return None;
        }
        if accept {
            std::fs::write(&path, accepted(&text, &report)).unwrap();
            return None;
        }
        Some(format!("{name}: {}\n--- expected\n{}--- found\n{report}", case.why, case.expect))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}\n\n{} cases differ", wrong.join("\n\n"), wrong.len());
}

fn report(case: &Case, shipped: &[Text]) -> String {
    let mut texts: Vec<Text> = standard();
    for (path, text) in &case.files {
        texts.retain(|standard| standard.path != *path);
        if let Some(text) = text.as_str() {
            texts.push(Text { path: path.clone(), text: text.into() });
        }
    }
    let Loaded { files, report, .. } = project::read(&texts, shipped, case.env.as_deref());
    render_text(&report, &files.iter().collect::<Vec<&File>>(), false)
}

/// The case with another report at its end.
fn accepted(text: &str, report: &str) -> String {
    let start = text.rfind("\nexpect:").map_or(text.len(), |at| at + 1);
    let mut case = text[..start].trim_end().to_owned() + "\n";
    if report.is_empty() {
        return case + "expect: \"\"\n";
    }
    case.push_str("expect: |\n");
    for line in report.lines() {
        case.push_str(&if line.is_empty() { "\n".into() } else { format!("  {line}\n") });
    }
    case
}
