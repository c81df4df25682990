//! The story as data: `story.yaml`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cli::shipped;
use crate::expr::{Expr, Locale, Scope, Template};
use crate::project::Text;

const TEXT: &str = include_str!("story.yaml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    project: String,
    pub secrets: BTreeMap<String, String>,
    overrides: Vec<Override>,
    pub before: Vec<Step>,
    pub steps: Vec<Step>,
    pub expect: Vec<Expected>,
    pub counts: Vec<Count>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    connector: String,
    text: String,
}

/// Something that happens at a vendor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub say: Option<String>,
    pub at: String,
    /// The object of which a record is made,
    pub make: Option<String>,
    /// or changed,
    pub change: Option<String>,
    /// the one that an earlier step called so,
    pub of: Option<String>,
    /// or the one that has these values, as soon as there is one;
    #[serde(default)]
    pub r#where: Map<String, Value>,
    /// or one is only looked for,
    pub find: Option<String>,
    /// or an accident that is ordered,
    pub fault: Option<Value>,
    /// or a setting of the pretend vendor that becomes another.
    pub set: Option<Value>,
    /// The name by which later steps know the record.
    pub called: Option<String>,
    #[serde(default)]
    pub record: Value,
}

impl Step {
    /// Is it about a record, rather than about the vendor?
    pub fn is_edit(&self) -> bool {
        self.fault.is_none() && self.set.is_none()
    }
}

/// A record that must be there exactly once, with at least these fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub at: String,
    pub object: String,
    pub record: Map<String, Value>,
}

/// How many records there must be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    pub at: String,
    pub object: String,
    pub count: usize,
}

impl Story {
    pub fn read() -> Result<Story> {
        serde_yaml::from_str(TEXT).context("the demo's story cannot be read")
    }

    /// The demo's project: its document, overrides, and the example recipes.
    pub fn documents(&self, urls: &BTreeMap<String, String>) -> Result<Vec<Text>> {
        let root = json!({ "urls": urls });
        let locale = Locale::default();
        let template = Template::compile(&self.project).map_err(|problem| anyhow::anyhow!(problem.message))?;
        let project = template.render(&Scope::new(&root, &locale))?;
        let mut texts = vec![Text { path: "dovetail.yaml".into(), text: project }];
        texts.extend(self.overrides.iter().map(|over| Text {
            path: format!("connectors/{}.override.yaml", over.connector),
            text: over.text.clone(),
        }));
        texts.extend(shipped::workflows());
        Ok(texts)
    }
}

/// A value of the story, in which `{{name.id}}` stands for records that were made before.
pub fn fill(value: &Value, made: &Map<String, Value>) -> Result<Value> {
    let expr = Expr::compile(value).map_err(|problems| {
        let words = problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>();
        anyhow::anyhow!("the demo's story: {}", words.join("; "))
    })?;
    let root = Value::Object(made.clone());
    let locale = Locale::default();
    Ok(expr.eval(&Scope::new(&root, &locale))?.unwrap_or(Value::Null))
}
