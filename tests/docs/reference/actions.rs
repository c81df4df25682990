//! What starts a run and what it does: every verb with its keys and an example from the catalog.

use std::process::Command;

use serde_json::Value;

use super::keys::Schema;
use super::{Page, described, example, line, table};

const COLUMNS: [&str; 4] = ["Key", "Takes", "Needed", "What it is"];

pub fn page() -> Page {
    let (schema, catalog) = (Schema::of_workflows(), Catalog::read());
    let mut text = String::from(
        "An action is a map with exactly one of the verbs below, under `actions` of a workflow. Values under `with` and elsewhere\n\
         follow [one rule](values.md); a condition is described [here](conditions.md).\n\n",
    );
    contents(&mut text, &schema, "Action");
    line(&mut text, "## Keys of every action\n");
    table(&mut text, &COLUMNS, &schema.rows(schema.common("Action"), None));
    for (verb, keys) in schema.verbs("Action") {
        verb_section(&mut text, &schema, verb, keys);
        let name = match verb {
            "call" => "ghl.note.create",
            "upsert" => "upsert: os.contact",
            _ => verb,
        };
        example(&mut text, "actions", &catalog.example("action", name));
    }
    Page { name: "actions", title: "Actions", about: "what a workflow does: call, upsert, decide, repeat, wait", text }
}

pub fn triggers() -> Page {
    let (schema, catalog) = (Schema::of_workflows(), Catalog::read());
    let mut text = String::from(
        "A workflow has one trigger: a map with exactly one of the keys `event`, `webhook`, `schedule`, `poll` and `manual`.\n\n",
    );
    contents(&mut text, &schema, "Trigger");
    line(&mut text, "## Keys of every trigger\n");
    table(&mut text, &COLUMNS, &schema.rows(schema.common("Trigger"), None));
    line(&mut text, "## Under which name the record is read\n");
    let names = [
        ["`event: ghl.contact.changed`", "the object: `$.contact`, or what `as` says"],
        ["`poll: ghl.contact.list`", "the object that the operation lists: `$.contact`, or what `as` says"],
        [
            "`webhook`, an event without an object, `event: project.…`",
            "there is no record; `$.event.body` is what came",
        ],
        ["`manual`", "there is no record; `$.inputs` is what was given"],
        ["`schedule`", "there is no record"],
    ];
    let names: Vec<Vec<String>> = names.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
    table(&mut text, &["Trigger", "Name"], &names);
    for (verb, keys) in schema.verbs("Trigger") {
        verb_section(&mut text, &schema, verb, keys);
        match verb {
            "event" => {
                let yaml = catalog.example("trigger", "ghl.contact.changed");
                example(&mut text, "trigger", &format!("{yaml}  only_if: {{ $.contact.email: {{ blank: false }} }}\n"));
                line(&mut text, &format!("{}\n", catalog.what("trigger", "project")));
                line(&mut text, "<!-- not checked: another workflow must emit the event -->");
                line(&mut text, &format!("```yaml\n{}```\n", catalog.example("trigger", "project")));
            }
            "poll" => example(&mut text, "trigger", &catalog.example("trigger", "poll: ghl.custom_field.list")),
            _ => example(&mut text, "trigger", &catalog.example("trigger", verb)),
        }
    }
    Page {
        name: "triggers",
        title: "Triggers",
        about: "what starts a workflow: an event, a webhook, a time, a look, a person",
        text,
    }
}

fn contents(text: &mut String, schema: &Schema, definition: &str) {
    let links: Vec<String> = schema.verbs(definition).iter().map(|(verb, _)| format!("[`{verb}`](#{verb})")).collect();
    line(text, &format!("{}\n", links.join(" · ")));
}

fn verb_section(text: &mut String, schema: &Schema, verb: &str, keys: &Value) {
    line(text, &format!("## `{verb}`\n\n{}\n", described(verb, keys["description"].as_str())));
    table(text, &COLUMNS, &schema.rows(keys, Some(verb)));
}

/// What `dovetail catalog --json` says where there is no project.
struct Catalog(Value);

impl Catalog {
    fn read() -> Catalog {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        let program = env!("CARGO_BIN_EXE_dovetail");
        let said = Command::new(program).args(["catalog", "--json"]).current_dir(folder).output().expect("it runs");
        Catalog(serde_json::from_slice(&said.stdout).expect("JSON"))
    }

    fn item(&self, kind: &str, name: &str) -> &Value {
        let items = self.0.as_array().expect("a list");
        let found = items.iter().find(|item| item["kind"] == kind && item["name"] == name);
        found.unwrap_or_else(|| panic!("the catalog has no {kind} `{name}`"))
    }

    fn example(&self, kind: &str, name: &str) -> String {
        self.item(kind, name)["example"].as_str().expect("an example").to_owned()
    }

    fn what(&self, kind: &str, name: &str) -> &str {
        described(name, self.item(kind, name)["description"].as_str())
    }
}
