//! A connector that takes operations from an OpenAPI document: the document becomes a file of the connector, over which the one
//! that names it is laid.

use serde_json::Value;

use super::schema::beside;
use crate::connector::import::{self, Filled, Filling, Options};
use crate::connector::written::{ImportWritten, ImportedWritten};
use crate::source::{Diagnostic, File};

/// Behind the path of a document, as a file of a connector.
pub const IMPORTED: &str = " (imported)";

/// A document that a project names may be larger than what people write, in bytes.
pub const IMPORTED_BYTES_MAX: usize = 2 * 1024 * 1024;
const IMPORTED_VALUES_MAX: usize = 200_000;

/// Is this an OpenAPI document by its name? It is read where a connector names it.
pub fn is_openapi(path: &str) -> bool {
    path.ends_with(".openapi.yaml") || path.ends_with(".openapi.yml")
}

/// The OpenAPI document that a connector's file names.
pub fn imported_file(file: &File) -> Option<String> {
    beside(&file.path, &wanted(file)?.from)
}

fn wanted(file: &File) -> Option<ImportedWritten> {
    // What is written otherwise is told by the shape check.
    Some(match serde_json::from_value(file.value.get("import")?.clone()).ok()? {
        ImportWritten::All(from) => ImportedWritten { from, ..ImportedWritten::default() },
        ImportWritten::Some(imported) => imported,
    })
}

/// The file that a connector's `import` gives; None if it has none. `documents` are those that were not read. `adds`: another
/// file says where the API lives, so that this one gives operations only.
///
/// # Errors
/// There is no such document, or it cannot be imported as it is asked for.
pub fn imported<'d>(
    file: &File,
    adds: bool,
    documents: impl IntoIterator<Item = (&'d str, &'d str)>,
) -> Option<Result<File, Box<Diagnostic>>> {
    let wanted = wanted(file)?;
    let refused = |found: Diagnostic, help: String| Some(Err(Box::new(found.at(file, "/import", "").help(help))));
    if file.path.contains(".override.") {
        let help = "write it in another file of the connector, with `connector:` and `import:`";
        let found = Diagnostic::error("bad-import", "a file that refines a connector imports nothing");
        return refused(found, help.into());
    }
    let Some(path) = beside(&file.path, &wanted.from).filter(|path| path.ends_with(".json") || is_openapi(path)) else {
        let message = format!("`{}` is no document that can be imported", wanted.from);
        let help = "name a file beside this one that ends in `.json` or `.openapi.yaml`";
        return refused(Diagnostic::error("unknown-import", message), help.into());
    };
    let Some((_, text)) = documents.into_iter().find(|(known, _)| *known == path) else {
        let help = "name a file beside this one; files outside of the project, and hidden ones, are not read";
        let found = Diagnostic::error("unknown-import", format!("there is no document `{path}`"));
        return refused(found, help.into());
    };
    if text.len() > IMPORTED_BYTES_MAX {
        let found = Diagnostic::error("bad-import", format!("`{path}` is larger than 2 MiB"));
        return refused(found, "leave out of it what is not needed, or run `dovetail connector import` on it".into());
    }
    let setting = wanted.setting.iter().map(|(name, with)| (name, Filling::Setting(with.clone())));
    let fixed = wanted.fixed.iter().map(|(name, with)| (name, Filling::Fixed(with.clone())));
    let options = Options {
        name: file.value.get("connector").and_then(Value::as_str).map(str::to_owned),
        only: wanted.only.clone(),
        filled: setting.chain(fixed).map(|(name, with)| Filled { name: name.to_owned(), with }).collect(),
        renamed: wanted.rename.iter().map(|(found, wanted)| (found.to_owned(), wanted.clone())).collect(),
        source: path.clone(),
        values_max: Some(IMPORTED_VALUES_MAX),
        ..Options::default()
    };
    let imported = match import::import(text, &options) {
        Ok(imported) => imported,
        Err(why) => return refused(Diagnostic::error("bad-import", format!("`{path}`: {}", why.message)), why.help),
    };
    // Findings show the lines that the document has become.
    match File::read(&format!("{path}{IMPORTED}"), &imported.text) {
        Ok(mut read) => {
            if let Some(map) = read.value.as_object_mut() {
                // Ways of auth of which the author writes any are the author's alone.
                map.retain(|key, _| match key.as_str() {
                    "connector" | "objects" | "operations" => true,
                    "auth" => !adds && file.value.get("auth").is_none(),
                    _ => !adds,
                });
            }
            Some(Ok(read))
        }
        Err(_) => {
            let found = Diagnostic::error("bad-import", format!("`{path}` becomes no document"));
            refused(found, "import a part of it with `only`".into())
        }
    }
}
