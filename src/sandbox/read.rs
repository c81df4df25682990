//! From files to rules.

use serde_json::json;

use super::rules::Rules;
use super::vendor::Error;
use crate::connector::{imported, is_openapi};
use crate::source::{File, Severity, lay_over};

/// # Errors
/// The first file that is wrong.
pub fn rules(
    connector: &str,
    connector_files: &[(String, String)],
    sandbox_file: Option<(String, String)>,
) -> Result<Rules, Error> {
    let mut described = json!({});
    // An override goes over all the rest; schemas may lie beside.
    let documents = connector_files.iter().filter(|(path, _)| !path.ends_with(".json") && !is_openapi(path));
    let (above, below): (Vec<_>, Vec<_>) = documents.partition(|(path, _)| path.contains(".override."));
    for (path, text) in below.into_iter().chain(above) {
        let file = file(path, text)?;
        if file.value["connector"] == connector {
            let texts = connector_files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
            if let Some(imported) = imported(&file, false, texts) {
                let imported = imported.map_err(|found| Error::File { path: path.clone(), message: found.message })?;
                lay_over(&mut described, &imported.value);
            }
            lay_over(&mut described, &file.value);
        }
    }
    if described["connector"] != connector {
        return Err(Error::Settings(format!("none of the files describes the connector `{connector}`")));
    }
    for object in described["objects"].as_object_mut().into_iter().flat_map(|objects| objects.values_mut()) {
        let beside = object["schema"].as_str().map(|name| name.trim_start_matches("./").to_owned());
        let text = beside.and_then(|name| connector_files.iter().find(|(path, _)| path.ends_with(&name)));
        if let Some(schema) = text.and_then(|(_, text)| serde_json::from_str(text).ok()) {
            object["schema"] = schema;
        }
    }
    let Some((path, text)) = sandbox_file else {
        let path = connector_files.first().map(|(path, _)| path.clone()).unwrap_or_default();
        return Rules::new(&described, None).map_err(|wrong| Error::File { path, message: wrong.message });
    };
    let file = file(&path, &text)?;
    if file.value["sandbox"] != connector {
        return Err(Error::File { path, message: format!("`sandbox:` must say `{connector}`") });
    }
    Rules::new(&described, Some(file.value.clone())).map_err(|wrong| {
        let path = wrong.pointer.map_or(path, |pointer| file.place(&pointer).to_string());
        Error::File { path, message: wrong.message }
    })
}

fn file(path: &str, text: &str) -> Result<File, Error> {
    File::read(path, text).map_err(|report| {
        let first = report.diagnostics.iter().find(|found| found.severity == Severity::Error);
        let place = first.and_then(|found| found.primary.as_ref());
        let path = place.map_or_else(|| path.to_owned(), |label| format!("{path}:{}:{}", label.line, label.column));
        Error::File { path, message: first.map(|found| found.message.clone()).unwrap_or_default() }
    })
}
