//! A run case as it is written: `tests/cases/run/*.yaml`. The form is told in the folder's README.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dovetail::project::{Plan, Text, read};
use dovetail::run::{Known, Link, RecordRef};
use dovetail::trigger::Event;
use dovetail::workflow::Workflow;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::run::heard::Heard;
use crate::run::world::{Happens, Records, World};

const FOLDER: &str = "tests/cases/run";
pub const BEGIN_MS: i64 = 1_800_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case is about, in a sentence.
    pub why: String,
    /// The workflow; its aliases stand for the connections of `project/`.
    workflow: Value,
    /// Further workflows of the project, which the first one runs.
    #[serde(default)]
    others: Vec<Value>,
    /// Laid over an event about a created contact. Without it the run is by hand.
    event: Option<Value>,
    #[serde(default)]
    pub inputs: Value,
    /// What the vendor holds before.
    #[serde(default)]
    records: Records,
    /// Operation → what happens to its requests instead of what should.
    #[serde(default)]
    script: BTreeMap<String, Vec<Happens>>,
    /// Pairs known before: `[contact, c1, contact, c2]`, the first at `shop`, the second at `desk`.
    #[serde(default)]
    links: Vec<[String; 4]>,
    /// Copies that the workflow was told before, as `contact.get` gave them.
    #[serde(default)]
    known: Vec<Value>,
    /// What the listeners of the case hear, in the order of time.
    #[serde(default)]
    pub heard: Vec<Heard>,
    /// A person retries the dead letter, once per entry, after changing these records at the vendor.
    #[serde(default)]
    pub retries: Vec<Records>,
    /// False: a crash does make a difference, as `why` says.
    #[serde(default = "yes")]
    pub crashes: bool,
    /// False: it does make a difference which of several requests is answered first, as `why` says.
    #[serde(default = "yes")]
    pub any_order: bool,
    /// Requests, how it ended, and what the vendor holds then.
    pub expect: String,
}

fn yes() -> bool {
    true
}

/// The files of all cases, in the order of their names.
pub fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    assert!(paths.len() > 15, "cases are gone: there are {}", paths.len());
    paths
}

impl Case {
    /// # Errors
    /// What is wrong with the text.
    pub fn read(text: &str) -> Result<Case, String> {
        let value: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    pub fn plan(&self) -> Plan {
        let shared = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
        let mut texts = vec![
            shared("dovetail.yaml", include_str!("../cases/run/project/dovetail.yaml")),
            shared("connectors/crm.yaml", include_str!("../cases/run/project/crm.yaml")),
            Text { path: "workflows/case.yaml".into(), text: serde_yaml::to_string(&self.workflow).unwrap() },
        ];
        texts.extend(self.others.iter().enumerate().map(|(index, other)| Text {
            path: format!("workflows/other-{index}.yaml"),
            text: serde_yaml::to_string(other).unwrap(),
        }));
        let loaded = read(&texts, &[], None);
        let files: Vec<_> = loaded.files.iter().collect();
        loaded.plan.unwrap_or_else(|| {
            let report = dovetail::source::render_text(&loaded.report, &files, false);
            panic!("{}\n{report}", self.why)
        })
    }

    /// The workflow that the case is about: of a sync the half that hears of the shop's contacts.
    pub fn workflow<'p>(&self, plan: &'p Plan) -> &'p Workflow {
        plan.workflow("case").or_else(|| plan.workflow("case/shop.contact")).unwrap()
    }

    pub fn world(&self) -> World {
        World::new(self.records.clone(), self.script.clone())
    }

    /// None: it is started by hand.
    pub fn event(&self) -> Option<Event> {
        let written = self.event.as_ref()?;
        let mut event = json!({
            "id": "1", "source": "case", "type": "created", "time_ms": BEGIN_MS,
            "connection": "shop", "object": "contact", "record_id": written["record"]["id"],
        });
        event.as_object_mut().unwrap().extend(written.as_object().unwrap().clone());
        Some(serde_json::from_value(event).unwrap())
    }

    pub fn links(&self) -> Vec<Link> {
        let link = |[left, one, right, two]: &[String; 4]| Link {
            tenant: None,
            left: of("shop", left, one),
            right: of("desk", right, two),
        };
        self.links.iter().map(link).collect()
    }

    /// What the workflow was told, and of which records.
    pub fn known(&self) -> Vec<(RecordRef, Known)> {
        let known = |record: &Value| {
            let read_with = Some("contact.get".into());
            let known = Known { record: record.clone(), read_with, gone: false, version: 1 };
            (of("shop", "contact", record["id"].as_str().unwrap_or_default()), known)
        };
        self.known.iter().map(known).collect()
    }
}

fn of(connection: &str, object: &str, id: &str) -> RecordRef {
    RecordRef { connection: connection.into(), object: object.into(), id: id.into() }
}
