//! `generate`: random edits of the records that the tested workflow hears of.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::company::Change;
use super::random::Random;
use super::scene::{Scene, is_of};
use super::stage::Stage;
use crate::clock;
use crate::connector::Object;
use crate::project::Generate;
use crate::workflow::Starts;

/// Fields of a record that edits are made in.
const FIELDS_MAX: usize = 6;
/// Between two edits.
const PAUSE_MAX_MS: u64 = 4_000;

/// The objects that edits are made of: connection and name.
fn objects(scene: &Scene) -> Vec<(String, String)> {
    let workflows = scene.plan.hearing().filter(|workflow| is_of(&workflow.name, &scene.subject));
    let heard = workflows.filter_map(|workflow| match &workflow.trigger.starts {
        Starts::Event(heard) => Some(heard),
        _ => None,
    });
    let named = |alias: &String, object: &Option<String>| Some((scene.aliases.get(alias)?.clone(), object.clone()?));
    let objects = heard.flatten().filter_map(|heard| named(&heard.alias, &heard.object));
    let mut objects: Vec<_> = objects.collect();
    objects.sort();
    objects.dedup();
    objects
}

/// Makes the edits, one after the other.
///
/// # Errors
/// Why they cannot be made.
pub async fn edit(stage: &mut Stage, wanted: &Generate, random: &mut Random) -> Result<(), String> {
    let objects = objects(&stage.company.scene);
    if objects.is_empty() {
        return Err("`generate` needs a workflow that hears of an object's records".into());
    }
    for number in 0..wanted.edits {
        let Some((connection, object)) = random.one_of(&objects) else { break };
        disturb(stage, wanted, connection, random)?;
        one(stage, connection, object, number, random)?;
        stage.pass(Duration::from_millis(random.below(PAUSE_MAX_MS))).await?;
        if random.once_in(2) {
            stage.settle().await?;
        }
    }
    Ok(())
}

/// The webhook of the next edit comes twice, or late.
fn disturb(stage: &Stage, wanted: &Generate, connection: &str, random: &mut Random) -> Result<(), String> {
    let Some(vendor) = stage.company.vendors.get(connection) else { return Ok(()) };
    for (is_wanted, fault) in [(wanted.duplicates, "duplicate_webhooks"), (wanted.reorder, "reorder_webhooks")] {
        if is_wanted && random.once_in(4) {
            vendor.order(&json!({ "at": "*", fault: true, "times": 1 }))?;
        }
    }
    Ok(())
}

fn one(stage: &mut Stage, connection: &str, object: &str, number: u32, random: &mut Random) -> Result<(), String> {
    let scene = &stage.company.scene;
    let described = scene.connector(connection).and_then(|connector| connector.object(object));
    let described = described.ok_or_else(|| format!("there is no object `{object}`"))?;
    let vendor = stage.company.vendors.get(connection).ok_or("nobody plays it")?;
    let known: Vec<String> =
        vendor.records(object).iter().filter_map(|record| record[&described.id].as_str().map(str::to_owned)).collect();
    let id = if random.once_in(3) { None } else { random.one_of(&known) };
    let all = fields(described);
    let mut set = Map::new();
    for (at, name) in all.iter().enumerate() {
        let is_wanted = if id.is_none() { at == 0 || random.once_in(2) } else { at > 0 && random.once_in(3) };
        if is_wanted {
            set.insert(name.clone(), value(described, name, number));
        }
    }
    if set.is_empty() {
        let Some(name) = all.last() else { return Err(format!("`{object}` has no field to edit")) };
        set.insert(name.clone(), value(described, name, number));
    }
    let set = Value::Object(set);
    let (made, told) = vendor.edit(object, id.map(String::as_str), &set, true)?;
    let what = if id.is_some() { "edit" } else { "new" };
    let text = format!("{what} {}.{object}/{made} {set}", scene.alias(connection));
    let change = Change {
        at_ms: clock::now_ms(),
        by: None,
        connection: connection.to_owned(),
        object: object.to_owned(),
        id: made,
    };
    stage.company.seen.tell(None, text);
    stage.company.seen.told.lock().changes.push(change);
    if !told {
        stage.listen_for(connection, object, false);
    }
    Ok(())
}

/// Fields that hold plain texts: first the one by which a record is known.
fn fields(object: &Object) -> Vec<String> {
    let mut names: Vec<String> = object.identity.iter().take(1).cloned().collect();
    let is_free = |(name, schema): &(&String, &Value)| {
        let plain = schema["type"] == "string" && schema.get("enum").is_none() && schema.get("format").is_none();
        let own = **name == object.id || object.identity.contains(name) || object.read_only.contains(name);
        plain && !own && !name.to_lowercase().ends_with("id")
    };
    let properties = object.schema["properties"].as_object().into_iter().flatten();
    names.extend(properties.filter(is_free).map(|(name, _)| name.clone()).take(FIELDS_MAX));
    names
}

fn value(object: &Object, name: &str, number: u32) -> Value {
    let is_phone = object.normalize.iter().any(|(field, how)| field == name && how == "e164");
    if is_phone {
        return json!(format!("+1202555{number:04}"));
    }
    if object.identity.iter().any(|field| field == name) {
        return json!(format!("person{number}@example.com"));
    }
    json!(format!("{name} {number}"))
}
