//! The API's own description, made of the table of routes.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::api;
use super::ask::{Ask, Field, Place, Takes};
use super::problem::Problem;
use super::routes::{Kind, Method, Route, TABLE};

pub async fn tell(_: Ask) -> Result<Response, Problem> {
    Ok(api::answer(document()))
}

/// OpenAPI 3.1.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in TABLE.iter().filter(|route| route.kind() == Kind::Api) {
        let method = if route.method == Method::Get { "get" } else { "post" };
        let operations = paths.entry(route.path).or_insert_with(|| json!({}));
        operations[method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Dovetail",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a running `dovetail serve` tells, and what can be decided in it.",
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "From `dovetail token create`." },
            },
            "schemas": all_schemas(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let of = |place: Place| route.takes.iter().filter(move |field| field.place == place);
    let parameters: Vec<Value> = route.takes.iter().filter(|field| field.place != Place::Body).map(parameter).collect();
    let right = route.right.map_or("none", |role| role.word());
    let (kind, schema) = match route.gives {
        "Happenings" => ("text/event-stream", json!({ "type": "string" })),
        "Description" => ("application/json", json!({ "type": "object" })),
        name => ("application/json", json!({ "$ref": format!("#/components/schemas/{name}") })),
    };
    let mut statuses = vec![
        ("400", "What was given is not known, or is no value of its kind."),
        ("401", "There is no token, or none in force."),
        ("403", "The token does not allow this."),
        ("421", "The dashboard is not reached under this name."),
        ("429", "Too many tries in vain."),
        ("503", "There is no room to do it just now."),
        ("500", "It failed; the log tells why."),
    ];
    if route.gives == "Switched" {
        statuses.push(("422", "With it active the project would have errors."));
    }
    if of(Place::Body).any(|field| matches!(field.takes, Takes::Lines(_))) {
        statuses.push(("409", "It is not what it was, or cannot be read or written."));
        statuses.push(("422", "What was written has errors."));
    }
    if of(Place::Path).next().is_some() {
        statuses.push(("404", "There is none of this name."));
        statuses.push(("409", "It is not in a state for this, or is not what it was."));
    }
    if route.method == Method::Post {
        statuses.push(("404", "There is none of this name."));
        statuses.push(("408", "The body came too slowly."));
        statuses.push(("413", "The body is too long."));
        statuses.push(("415", "The body is no JSON."));
    }
    let problem = |what: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        json!({ "description": what, "content": { "application/problem+json": { "schema": schema } } })
    };
    let mut responses: Map<String, Value> =
        statuses.into_iter().map(|(status, what)| (status.to_owned(), problem(what))).collect();
    responses.insert("200".into(), json!({ "description": route.what, "content": { kind: { "schema": schema } } }));
    let mut told = json!({
        "summary": route.what,
        "description": format!("Needs the role {right}."),
        "parameters": parameters,
        "responses": responses,
    });
    let properties: Map<String, Value> = of(Place::Body)
        .map(|field| {
            let mut schema = schema_of(field);
            schema["description"] = json!(field.what);
            (field.name.to_owned(), schema)
        })
        .collect();
    if !properties.is_empty() {
        let required: Vec<&str> = of(Place::Body).filter(|field| field.required).map(|field| field.name).collect();
        let schema =
            json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
        told["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    told
}

fn parameter(field: &Field) -> Value {
    let place = if field.place == Place::Path { "path" } else { "query" };
    json!({
        "name": field.name, "in": place, "required": field.required, "description": field.what, "schema": schema_of(field),
    })
}

fn schema_of(field: &Field) -> Value {
    match field.takes {
        Takes::Text(max) | Takes::Lines(max) => json!({ "type": "string", "maxLength": max }),
        Takes::Map => json!({ "type": "object" }),
        Takes::Number { min, max: i64::MAX } => json!({ "type": "integer", "minimum": min }),
        Takes::Number { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Takes::OneOf(words) => json!({ "type": "string", "enum": words }),
        Takes::When => json!({ "type": "string", "maxLength": 40 }),
    }
}

/// An object of exactly these.
fn object(properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().map(|all| all.keys().collect()).unwrap_or_default();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

fn list(of: &str) -> Value {
    let items = json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/{of}") } });
    let next =
        json!({ "type": ["integer", "null"], "description": "The `cursor` of the next page; null: this is the last." });
    object(json!({ "items": items, "next": next }))
}

fn all_schemas() -> Value {
    let mut all = schemas();
    if let (Some(all), Value::Object(more)) = (all.as_object_mut(), schemas_of_work()) {
        all.extend(more);
    }
    all
}

fn schemas() -> Value {
    let text = || json!({ "type": "string" });
    let may_be_text = || json!({ "type": ["string", "null"] });
    let number = || json!({ "type": "integer" });
    let instant = || json!({ "type": "string", "format": "date-time" });
    let may_be_instant = || json!({ "type": ["string", "null"], "format": "date-time" });
    let numbers = || json!({ "type": "array", "items": { "type": "integer" } });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let one_of = |words: &[&str]| json!({ "type": "string", "enum": words });
    let statuses = ["pending", "completed", "skipped", "failed", "dropped"];
    let event = object(json!({
        "id": text(), "source": text(), "type": text(), "connection": may_be_text(), "object": may_be_text(),
        "record_id": may_be_text(), "replay_of": may_be_text(),
    }));
    let run = object(json!({
        "no": number(), "id": text(), "workflow": text(), "tenant": may_be_text(), "status": one_of(&statuses),
        "event": event, "accepted_at": instant(), "due_at": may_be_instant(), "ended_at": may_be_instant(), "ending": {},
    }));
    let question = object(json!({
        "number": number(), "sync": text(), "tenant": may_be_text(), "about": text(),
        "pair": { "type": ["array", "null"], "items": { "type": "string" } },
        "question": {}, "words": text(), "answers": texts(), "is_answered": { "type": "boolean" }, "asked_at": instant(),
        "seen": text(),
    }));
    let both = |kind: Value| json!({ "type": kind, "items": {}, "description": "By side." });
    let field = object(json!({
        "names": texts(), "agreed": both(json!("array")), "differing": both(json!(["array", "null"])),
        "question": { "type": ["integer", "null"] },
    }));
    let pair = object(json!({
        "sync": text(), "tenant": may_be_text(), "pair": texts(), "questions": numbers(),
        "state": one_of(&["in_step", "asked", "failed", "under_way"]),
        "last_run": { "type": ["integer", "null"] }, "last_run_at": may_be_instant(),
        "fields": { "type": "array", "items": { "$ref": "#/components/schemas/Field" } },
    }));
    let pairs = || json!({ "type": "array", "items": { "$ref": "#/components/schemas/Pair" } });
    let runs = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Run" } });
    let tally = object(Value::Object(statuses.iter().map(|word| ((*word).to_owned(), number())).collect()));
    let entry = json!({
        "type": "object", "required": ["at", "action", "place"],
        "properties": { "at": instant(), "action": may_be_text(), "place": may_be_text() },
        "description": "One thing that was written down: besides these, the fact under its name.",
    });
    json!({
        "Problem": object(json!({
            "type": text(), "title": text(), "status": number(), "detail": text(), "id": text(),
        })),
        "Summary": object(json!({
            "project": text(), "is_ready": { "type": "boolean" }, "has_refused_changes": { "type": "boolean", "description": "Something was changed in the project's folder, and could not be taken up." },
            "runs": tally, "due": number(), "waiting": number(),
            "oldest_due_seconds": number(), "open_questions": number(), "ended_by_minute": numbers(),
            "failed_by_minute": numbers(), "late_ms_by_minute": numbers(), "at_work": number(), "at_once": number(),
            "limits": { "type": "array", "items": { "$ref": "#/components/schemas/Limit" } },
            "watched": { "type": "array", "items": { "$ref": "#/components/schemas/Watched" } },
        })),
        "Limit": object(json!({
            "connection": text(), "requests": number(), "left": number(), "per_seconds": number(),
        })),
        "Watched": object(json!({
            "workflow": text(), "tenant": may_be_text(), "may_be_silent_seconds": number(), "last_run_at": may_be_instant(),
            "is_silent": { "type": "boolean" },
        })),
        "Workflow": object(json!({
            "name": text(), "file": text(), "started_by": one_of(&["event", "webhook", "poll", "schedule", "hand"]),
        })),
        "Workflows": list("Workflow"),
        "Connection": object(json!({
            "name": text(), "connector": text(), "tenant": may_be_text(),
            "health": one_of(&["good", "down", "refused", "not_connected"]), "why": may_be_text(),
        })),
        "Connections": list("Connection"),
        "Run": run,
        "Runs": list("Run"),
        "Done": object(json!({ "done": numbers() })),
        "Entry": entry,
        "Journal": list("Entry"),
        "Question": question,
        "Questions": list("Question"),
        "Field": field,
        "Pair": pair,
        "Pairs": object(json!({
            "items": pairs(),
            "next": { "type": ["string", "null"], "description": "The `cursor` of the next page; null: this is the last." },
        })),
        "Record": object(json!({
            "record": text(), "pairs": pairs(), "under": pairs(), "runs": runs,
            "next": { "type": ["integer", "null"], "description": "The `cursor` with which `under` goes on; null: that is all." },
        })),
        "Input": object(json!({
            "name": text(), "takes": text(), "required": { "type": "boolean" }, "description": may_be_text(),
        })),
        "Item": object(json!({
            "kind": one_of(&["action", "trigger"]), "connector": may_be_text(), "name": text(), "description": may_be_text(),
            "method": may_be_text(), "path": may_be_text(), "scope": may_be_text(), "noticed": may_be_text(),
            "inputs": { "type": "array", "items": { "$ref": "#/components/schemas/Input" } }, "example": text(),
        })),
        "Catalogue": list("Item"),
        "Deed": object(json!({
            "number": number(), "at": instant(), "who": text(), "from": text(), "what": text(), "about": text(),
        })),
        "Deeds": list("Deed"),
    })
}

/// Those of recipes that are written, of plans, and of what happened to records.
fn schemas_of_work() -> Value {
    let text = || json!({ "type": "string" });
    let may_be_text = || json!({ "type": ["string", "null"] });
    let number = || json!({ "type": "integer" });
    let may_be_number = || json!({ "type": ["integer", "null"] });
    let instant = || json!({ "type": "string", "format": "date-time" });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let one_of = |words: &[&str]| json!({ "type": "string", "enum": words });
    json!({
        "Document": object(json!({ "path": text(), "text": text(), "version": text() })),
        "Finding": json!({
            "type": "object", "required": ["severity", "code", "message", "primary", "related", "help"],
            "properties": {
                "severity": one_of(&["error", "warning"]), "code": text(), "message": text(),
                "primary": { "type": ["object", "null"], "description": "Where: `path`, `line` and `column` from 1, `span` in bytes." },
                "related": { "type": "array", "items": { "type": "object" } }, "help": may_be_text(),
            },
        }),
        "Findings": object(json!({
            "errors": number(), "warnings": number(),
            "diagnostics": { "type": "array", "items": { "$ref": "#/components/schemas/Finding" } },
            "left_out": { "type": "object", "description": "How many more there are, by document." },
        })),
        "Trial": object(json!({
            "sample": { "description": "What it was tried with." },
            "runs": {
                "type": "array",
                "items": { "type": "object", "description": "A run with its `journal`, and the `requests` that it would send." },
            },
            "left_out": number(), "why": may_be_text(),
        })),
        "Sync": object(json!({
            "name": text(), "file": text(), "pairs": { "type": "array", "items": { "type": "array", "items": { "type": "string" } } },
        })),
        "Syncs": list("Sync"),
        "Version": object(json!({ "at": instant(), "version": text(), "text": text() })),
        "Versions": list("Version"),
        "Switched": object(json!({ "is_served": { "type": "boolean" }, "told": text() })),
        "Saved": object(json!({ "version": text(), "is_served": { "type": "boolean" }, "told": text() })),
        "Plan": object(json!({
            "number": number(), "sync": text(), "tenant": may_be_text(), "deep": { "type": "boolean" }, "by": text(),
            "asked_at": instant(), "state": one_of(&["looking", "ready", "applying", "applied", "failed"]),
            "read": json!({ "type": "integer", "description": "So many records of both sides were read, at the latest look." }),
            "hash": may_be_text(), "to_do": may_be_number(), "requests": may_be_number(), "seconds": may_be_number(),
            "runs": may_be_number(), "why": may_be_text(),
        })),
        "Plans": list("Plan"),
        "Difference": object(json!({ "sign": one_of(&["+", "=", "~", "·", "-", "?"]), "about": text(), "name": text(), "fields": texts() })),
        "PlanFound": object(json!({
            "plan": { "$ref": "#/components/schemas/Plan" },
            "items": { "type": "array", "items": { "$ref": "#/components/schemas/Difference" } },
            "next": { "type": ["integer", "null"], "description": "The `cursor` of the next page; null: this is the last." },
        })),
        "Story": json!({
            "type": "object", "required": ["no", "id", "workflow", "status", "event", "journal"],
            "properties": { "journal": { "type": "array", "items": { "$ref": "#/components/schemas/Entry" } } },
            "description": "A run with its event, its inputs and its journal.",
        }),
        "Stories": list("Story"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_route_answers_is_described() {
        let schemas = all_schemas();
        for route in TABLE.iter().filter(|route| route.kind() == Kind::Api) {
            let is_known = ["Description", "Happenings"].contains(&route.gives) || schemas.get(route.gives).is_some();
            assert!(is_known, "{} answers {}", route.path, route.gives);
        }
    }
}
