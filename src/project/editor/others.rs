//! The schemas of project and test documents, with the names that they can refer to.

use serde_json::{Map, Value, json};

use super::known::Known;
use super::words::{Name, about, one_of};
use crate::connector::{CLIENT_ID, Connector, URLS};

/// A project: connectors with the settings of each, and the documents that run.
pub(super) fn project(known: &Known) -> Value {
    let mut schema = crate::project::schema();
    let name = |connector: &Connector| Name {
        name: connector.name.clone(),
        about: about(connector.description.as_deref().unwrap_or("A connector.")),
    };
    let connectors: Vec<Name> = known.connectors.iter().map(name).collect();
    let connector = one_of(&connectors, "no connector has this name");
    schema["properties"]["apps"]["propertyNames"] = connector.clone();
    schema["properties"]["active"]["items"] = documents(known);
    let connection = &mut schema["$defs"]["Connection"];
    extend(&mut connection["properties"]["connector"], connector);
    connection["allOf"] = known
        .connectors
        .iter()
        .map(|connector| {
            json!({
                "if": { "required": ["connector"], "properties": { "connector": { "const": connector.name } } },
                "then": settings(connector),
            })
        })
        .collect();
    schema
}

/// What a connection of a connector may say.
fn settings(connector: &Connector) -> Value {
    let mut properties = Map::new();
    for own in ["connector", "base_url", "country", "traced"] {
        properties.insert(own.into(), true.into());
    }
    let kinds: Vec<&String> = connector.auth.iter().map(|(name, _)| name).collect();
    properties.insert("auth".into(), if kinds.is_empty() { true.into() } else { json!({ "enum": kinds }) });
    for (name, setting) in connector.settings.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let texts = ["title", "description"].map(|key| setting.get(key).and_then(Value::as_str));
        let texts: Vec<&str> = texts.into_iter().flatten().collect();
        properties.insert(name.clone(), json!({ "description": about(&texts.join(". ")) }));
    }
    if connector.auth.iter().any(|(name, _)| connector.oauth2_of(Some(name)).is_some()) {
        properties.insert(CLIENT_ID.into(), json!({ "description": "The id of your app at the vendor." }));
        properties
            .extend(URLS.map(|url| (url.to_string(), json!({ "description": "In place of the connector's own." }))));
    }
    if connector.auth.iter().any(|(name, _)| connector.exchange_of(Some(name)).is_some()) {
        let about = "The connection whose credential is exchanged for the token of this one.";
        properties.insert("via".into(), json!({ "description": about }));
    }
    let secrets = connector.auth.iter().flat_map(|(name, _)| connector.secrets_of(name));
    for secret in secrets.chain(connector.webhook_secrets()) {
        properties.insert(secret, json!({ "description": "A secret: `$.secrets.name`." }));
    }
    json!({ "properties": properties, "additionalProperties": false })
}

pub(super) fn test(known: &Known) -> Value {
    let mut schema = crate::project::test_schema();
    extend(&mut schema["properties"]["test"], documents(known));
    schema
}

/// A workflow's or sync's name.
fn documents(known: &Known) -> Value {
    let name = |(name, description): &(String, Option<String>)| Name {
        name: name.clone(),
        about: about(description.as_deref().unwrap_or_default()),
    };
    one_of(&known.documents.iter().map(name).collect::<Vec<_>>(), "no workflow or sync has this name")
}

/// Adds keywords to those that a schema has.
fn extend(schema: &mut Value, more: Value) {
    if let (Value::Object(schema), Value::Object(more)) = (schema, more) {
        schema.extend(more);
    }
}
