//! A project of many workflows, whose actions do different things.

use std::path::Path;

use dovetail::project::Text;

const PROJECT: &str = "project: many\ntimezone: Europe/London\nconnections:\n  \
    ghl: { connector: gohighlevel, auth: token, location_id: a, token: $.secrets.ghl }\n  \
    people: { connector: opinion-stage-contacts, base_url: https://people.example.com, account: a, token: $.secrets.osc }\n";

const HEAD: &str = "uses: { ghl: gohighlevel, people: opinion-stage-contacts }\n\
    trigger: { event: ghl.contact.changed, only_if: { $.contact.email: { blank: false } } }\n\
    vars: { follow_up: 1d, channel: crm }\nactions:\n";

/// Ten actions, those inside others counted.
const ACTIONS: &str = r#"  - { id: person_N, upsert: people.contact, match: [email], with: { email: $.contact.email, first_name: $.contact.firstName, last_name: $.contact.lastName, segments: $.contact.tags } }
  - { id: values_N, set: { name: "{{contact.firstName}} {{contact.lastName}}", due: { $from: $.run.started_at, $add: $.vars.follow_up } } }
  - { call: ghl.note.create, with: { contactId: $.contact.id, body: "{{#each contact.tags}}{{this}}, {{/each}}{{values_N.name}}" } }
  - { if: { $.contact.country: { in: [GB, IE] } }, then: [{ call: ghl.contact.add_tags, with: { id: $.contact.id, tags: [near, "{{contact.source}}"] } }] }
  - { id: task_N, call: ghl.task.create, with: { contactId: $.contact.id, title: "Call {{contact.firstName}}", dueDate: $.values_N.due, completed: false } }
  - { switch: $.contact.source, cases: { quiz: [{ stop: $.person_N.id }] }, default: [{ wait: { for: 1h } }] }
  - { upsert: people.contact, only_if: { all: [{ $.contact.phone: { exists: true } }, { $.contact.dateAdded: { gt: "2026-01-01" } }] }, with: { email: $.contact.email } }
"#;

fn file(path: &str, shown: String) -> Text {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Text { path: shown, text }
}

/// The connectors that come with the program.
pub fn shipped() -> Vec<Text> {
    let names = ["gohighlevel", "opinion-stage-contacts"].map(|name| format!("connectors/{name}.yaml"));
    names.map(|path| file(&path, format!("shipped/{path}"))).into()
}

/// A project with so many workflows, each with so many times ten actions.
pub fn project(count: usize, tens: usize) -> Vec<Text> {
    let workflow = |at| {
        let actions: String = (0..tens).map(|ten| ACTIONS.replace("_N", &format!("_{ten}"))).collect();
        let text = format!("workflow: number-{at}\n{HEAD}{actions}  - {{ stop: done }}\n");
        Text { path: format!("workflows/number-{at}.yaml"), text }
    };
    let project = Text { path: "dovetail.yaml".into(), text: PROJECT.into() };
    std::iter::once(project).chain((0..count).map(workflow)).collect()
}
