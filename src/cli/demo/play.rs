//! Plays the story through the vendors' HTTP doors.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::Stage;
use super::story::{Step, Story, fill};
use crate::cli::say;
use crate::connector::{Body, Request};
use crate::http::{Client, Guard};
use crate::sandbox::Vendor;

/// What was made: the story's records by name, and the edits of its people by vendor.
#[derive(Debug, Default)]
pub struct Made {
    records: Map<String, Value>,
    pub edits: BTreeMap<String, u64>,
}

/// Fills the vendors with what was there before. Tells nobody.
pub async fn before(story: &Story, vendors: &BTreeMap<String, Vendor>) -> Result<()> {
    let client = client(vendors)?;
    let mut made = Made::default();
    for step in &story.before {
        act(step, vendors, &client, &mut made, "?quiet=true").await?;
    }
    Ok(())
}

/// Plays the steps, one after the other.
pub async fn play(story: &Story, stage: &Stage) -> Result<Made> {
    let client = client(&stage.vendors)?;
    let mut made = Made { records: already(story, &stage.vendors), edits: BTreeMap::new() };
    let told: Vec<&String> = story.steps.iter().filter_map(|step| step.say.as_ref()).collect();
    let mut number = 0;
    for step in &story.steps {
        if let Some(words) = &step.say {
            number += 1;
            say::talk(&format!("[{number}/{}] {words}", told.len()));
        }
        act(step, &stage.vendors, &client, &mut made, "").await?;
    }
    Ok(made)
}

/// The records of `before`, by name: those of an object are in the order in which they were made.
fn already(story: &Story, vendors: &BTreeMap<String, Vendor>) -> Map<String, Value> {
    let mut records = Map::new();
    let mut index: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for step in &story.before {
        let (Some(object), Some(name)) = (&step.make, &step.called) else { continue };
        let next = index.entry((&step.at, object)).or_default();
        let record = vendors.get(&step.at).and_then(|vendor| vendor.records(object).into_iter().nth(*next));
        *next += 1;
        records.extend(record.map(|record| (name.clone(), record)));
    }
    records
}

async fn act(
    step: &Step,
    vendors: &BTreeMap<String, Vendor>,
    client: &Client,
    made: &mut Made,
    query: &str,
) -> Result<()> {
    let vendor = vendors.get(&step.at).with_context(|| format!("the story knows no vendor `{}`", step.at))?;
    let base = format!("http://{}/_sandbox", vendor.address());
    let (method, path, body) = match step {
        Step { fault: Some(fault), .. } => ("POST", "/faults".to_string(), fault.clone()),
        Step { set: Some(settings), .. } => ("POST", "/settings".to_string(), settings.clone()),
        Step { make: Some(object), .. } => {
            ("POST", format!("/records/{object}{query}"), fill(&step.record, &made.records)?)
        }
        Step { find: Some(object), .. } => {
            let found = find(vendor, object, &step.r#where).await?;
            made.records.extend(step.called.clone().map(|name| (name, found)));
            return Ok(());
        }
        Step { change: Some(object), of: None, .. } => {
            let found = find(vendor, object, &step.r#where).await?;
            let id = found["id"].as_str().context("the record has no id")?;
            ("PATCH", format!("/records/{object}/{id}{query}"), fill(&step.record, &made.records)?)
        }
        Step { change: Some(object), of: Some(name), .. } => {
            let id =
                made.records.get(name).and_then(|record| record["id"].as_str()).context("the story names no record")?;
            ("PATCH", format!("/records/{object}/{id}{query}"), fill(&step.record, &made.records)?)
        }
        _ => bail!("a step of the story does nothing"),
    };
    let request = Request {
        method: method.into(),
        url: format!("{base}{path}"),
        headers: Vec::new(),
        body: Some(Body::Json(body)),
    };
    let response = client.send(&request, None).await?;
    if response.status >= 300 {
        bail!("{method} {path} at {}: {} {}", step.at, response.status, response.body);
    }
    if step.is_edit() {
        *made.edits.entry(step.at.clone()).or_default() += 1;
    }
    if let Some(name) = &step.called {
        made.records.insert(name.clone(), response.body["records"][0].clone());
    }
    Ok(())
}

/// The record with these values, as soon as there is one.
async fn find(vendor: &Vendor, object: &str, values: &Map<String, Value>) -> Result<Value> {
    let end = Instant::now() + super::PATIENCE;
    let has = |record: &Value| values.iter().all(|(name, value)| record.get(name) == Some(value));
    loop {
        if let Some(found) = vendor.records(object).into_iter().find(has) {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("waited in vain for the {object} that the story goes on with");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn client(vendors: &BTreeMap<String, Vendor>) -> Result<Client> {
    let allow: Vec<String> = vendors.values().map(|vendor| vendor.address().to_string()).collect();
    Ok(Client::new(Guard::new(&allow).map_err(anyhow::Error::msg)?))
}
