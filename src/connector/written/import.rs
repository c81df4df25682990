//! `import:` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Named;

/// An OpenAPI document, or what is taken of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::connector) enum ImportWritten {
    /// All of a document beside this file: `./library.openapi.json`.
    All(String),
    /// Some of it.
    Some(ImportedWritten),
}

/// What is taken of an OpenAPI document.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::connector) struct ImportedWritten {
    /// The document beside this file: a `.json` file, or one called `….openapi.yaml`.
    pub from: String,
    /// Tags, or beginnings of paths; everything if it says nothing.
    #[serde(default)]
    pub only: Vec<String>,
    /// Parameters and fields of bodies that are filled with a setting of the connection: `libraryId: library_id`.
    #[serde(default)]
    pub setting: Named<String>,
    /// Parameters and fields of bodies that are always the same: `altType: location`.
    #[serde(default)]
    pub fixed: Named<String>,
    /// Objects and operations that shall be called otherwise: `agent: voice_agent`.
    #[serde(default)]
    pub rename: Named<String>,
}
