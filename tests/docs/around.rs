//! The smallest document around a part of one, so that an example can show the part alone.

use dovetail::project::Text;

/// The document that a part stands in. What needs a name gets this one.
pub fn around(part: &str, name: &str, example: &str) -> Text {
    let indented = |by: &str| {
        let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{by}{line}\n") };
        example.lines().map(line).collect::<String>()
    };
    let workflow =
        format!("workflow: {name}\nuses: {{ ghl: gohighlevel, quiz: opinion-stage, os: opinion-stage-contacts }}\n");
    let of_a_contact = format!("{workflow}trigger: {{ event: ghl.contact.created }}\n");
    let connector = "connector: crm\nbase_url: https://api.example.com\n";
    let workflow_path = format!("workflows/{name}.yaml");
    let (path, document) = match part {
        "actions" => (workflow_path, format!("{of_a_contact}actions:\n") + &indented("  ")),
        // An example may show where the trigger stands.
        "trigger" if example.starts_with("trigger:") => {
            (workflow_path, workflow + example + "actions: [{ stop: done }]\n")
        }
        "trigger" => (workflow_path, format!("{workflow}trigger:\n") + &indented("  ") + "actions: [{ stop: done }]\n"),
        "condition" => {
            let tail = "    then: [{ stop: done }]\n";
            (workflow_path, format!("{of_a_contact}actions:\n  - if:\n") + &indented("      ") + tail)
        }
        "values" => (workflow_path, format!("{of_a_contact}actions:\n  - id: made\n    set:\n") + &indented("      ")),
        "project" => ("dovetail.yaml".into(), "project: agency\n".to_owned() + example),
        "connections" => ("dovetail.yaml".into(), "project: agency\nconnections:\n".to_owned() + &indented("  ")),
        "connector" => ("connectors/crm.yaml".into(), connector.to_owned() + example),
        "operations" => {
            let head = format!("{connector}objects:\n  contact:\n    operations:\n");
            ("connectors/crm.yaml".into(), head + &indented("      "))
        }
        _ => panic!("no document has a part `{part}`"),
    };
    Text { path, text: document }
}
