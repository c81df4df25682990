//! What the schemas say of small projects. How an editor takes them is told by `tests/editor.rs`.

use serde_json::{Value, json};

use super::{Known, schemas};
use crate::project::Text;

const LAMPS: &str = r#"
connector: lamps
version: 1.0.0
description: Lamps of a house.
base_url: https://lamps.example.com
auth: { key: { bearer: $.secrets.key } }
connection: { house: { type: string, title: House } }
objects:
  lamp:
    schema:
      type: object
      properties:
        id: { type: string, readOnly: true }
        name: { type: string, description: What it is called. }
        lit: { type: boolean }
        hours: { type: integer }
        colour: { enum: [red, "7"] }
        place: { type: object, properties: { room: { type: string } }, additionalProperties: false }
    id: id
    identity: [name]
    operations:
      get: { request: "GET /lamps/{id}", returns: $ }
      list: { request: GET /lamps, items: $ }
      create: { request: POST /lamps, body: $.input, if_unsure: ask }
      update: { request: "PUT /lamps/{id}", body: $.input }
      dim:
        request: "POST /lamps/{id}/dim"
        scope: lamps.write
        description: Makes it darker.
        input: { type: object, required: [by], properties: { by: { type: number } }, additionalProperties: true }
        body: $.input
        if_unsure: ask
    changes: { poll: { with: list, every: 5m } }
"#;

fn text(path: &str, text: &str) -> Text {
    Text { path: path.into(), text: text.into() }
}

fn workflow(name: &str, uses: &str) -> Text {
    let document =
        format!("workflow: {name}\nuses: {{ {uses} }}\ntrigger: {{ manual: }}\nactions: [{{ stop: done }}]\n");
    text(&format!("workflows/{name}.yaml"), &document)
}

fn house(more: &[Text]) -> Vec<Text> {
    let project = "project: house\nconnections: { my-lamps: { connector: lamps } }\n";
    [text("dovetail.yaml", project), text("connectors/lamps.yaml", LAMPS)].into_iter().chain(more.to_vec()).collect()
}

fn known(texts: &[Text]) -> Known {
    Known::read(texts, &[]).expect("no connector has errors")
}

fn schema(known: &Known, kind: &str) -> Value {
    let all = schemas(known);
    all.into_iter().find(|(name, _)| *name == kind).expect("a kind").1
}

fn aliases(texts: &[Text]) -> Vec<String> {
    known(texts).aliases().into_keys().collect()
}

#[test]
fn aliases_are_those_of_documents_and_those_that_names_suggest() {
    assert_eq!(aliases(&house(&[])), ["lamps", "my_lamps"]);
    assert_eq!(
        aliases(&house(&[workflow("a", "l: lamps"), workflow("b", "m: my-lamps")])),
        ["l", "lamps", "m", "my_lamps"]
    );
    assert_eq!(aliases(&house(&[workflow("a", "l: nothing")])), ["lamps", "my_lamps"]);
}

/// Two documents may give one alias to two connectors: then both offer their names, and no field is judged.
#[test]
fn an_alias_of_two_connectors_judges_no_fields() {
    let other = text("connectors/bulbs.yaml", &LAMPS.replace("connector: lamps", "connector: bulbs"));
    let known = known(&house(&[other, workflow("a", "l: lamps"), workflow("b", "l: bulbs")]));
    assert_eq!(known.aliases()["l"].len(), 2);
    let rules = schema(&known, "workflow")["$defs"]["Document"]["allOf"].to_string();
    assert!(rules.contains(r"^(?:lamps|my_lamps)\\.(?:lamp\\.create)$"), "{rules}");
    assert!(!rules.contains("(?:l|"), "{rules}");
}

#[test]
fn a_connector_with_errors_gives_no_schema() {
    let broken = text("connectors/bulbs.yaml", "connector: bulbs\nbase: x\n");
    assert!(Known::read(&house(&[broken]), &[]).is_none());
    // A workflow with errors is about to be mended, with the help of the schema.
    let broken = text("workflows/a.yaml", "workflow: a\nuses: { l: lamps }\nactions: 7\n");
    assert_eq!(aliases(&house(&[broken])), ["l", "lamps", "my_lamps"]);
}

#[test]
fn fields_are_said_as_the_checker_judges_them() {
    let schema = schema(&known(&house(&[])), "workflow");
    let create = &schema["$defs"]["lamps.lamp.create"];
    let expected = json!({
        "type": ["object", "string", "null"],
        "properties": {
            "name": { "$ref": "#/$defs/text", "description": "What it is called. Takes text." },
            "lit": { "$ref": "#/$defs/boolean", "description": "Takes true or false." },
            "hours": { "$ref": "#/$defs/integer", "description": "Takes an integer." },
            "colour": {
                "anyOf": [{ "enum": ["red", "7", 7] }, { "$ref": "#/$defs/reads" }],
                "description": "Takes one of `red`, `7`.",
            },
            "place": {
                "type": ["object", "string", "null"],
                "properties": { "room": { "$ref": "#/$defs/text", "description": "Takes text." } },
                "patternProperties": { r"^\$": true },
                "additionalProperties": false,
                "description": "Takes a map.",
            },
            "id": false,
        },
        "patternProperties": { r"^\$": true, r"^(?:name|lit|hours|colour|place)[.\[]": true },
        "additionalProperties": false,
    });
    assert_eq!(*create, expected, "{create:#}");
    let dim = &schema["$defs"]["lamps.lamp.dim"];
    assert_eq!(dim["additionalProperties"], true, "{dim:#}");
    assert_eq!(dim["then"], json!({ "required": ["by", "id"] }), "{dim:#}");
}

#[test]
fn an_operation_is_proposed_under_each_alias_with_its_request() {
    let schema = schema(&known(&house(&[workflow("a", "l: lamps")])), "workflow");
    let proposed = schema["$defs"]["Document"]["properties"]["call"]["anyOf"].as_array().expect("proposals");
    let dim = proposed.iter().find(|one| one["const"] == "l.lamp.dim").expect("the operation");
    assert_eq!(dim["description"], "Makes it darker. `POST /lamps/{id}/dim`, scope `lamps.write`");
    assert_eq!(proposed.last(), Some(&json!({})), "other aliases pass");
}

#[test]
fn other_documents_know_names_and_settings() {
    let known = known(&house(&[workflow("a", "l: lamps")]));
    assert_eq!(schema(&known, "test")["properties"]["test"]["pattern"], "^(?:a)$");
    assert_eq!(schema(&known, "sync")["properties"]["uses"]["additionalProperties"]["pattern"], "^(?:lamps|my-lamps)$");
    let settings = &schema(&known, "project")["$defs"]["Connection"]["allOf"][0]["then"]["properties"];
    let names: Vec<&String> = settings.as_object().expect("settings").keys().collect();
    assert_eq!(names, ["connector", "base_url", "country", "traced", "auth", "house", "key"]);
}

#[test]
fn a_sync_knows_the_objects_of_its_sides_and_their_fields() {
    let schema = schema(&known(&house(&[workflow("a", "l: lamps")])), "sync");
    let objects = &schema["properties"]["between"]["properties"]["l"];
    assert_eq!(objects["pattern"], "^(?:lamp)$");
    assert_eq!(objects["patternErrorMessage"], "`lamps` has no object of this name; it has `lamp`");
    assert_eq!(
        schema["$defs"]["lamps.lamp"]["pattern"],
        r"^(?:id|name|lit|hours|colour|place)$|^(?:id|name|lit|hours|colour|place)[.\[]"
    );
    for part in [&schema, &schema["$defs"]["Child"]] {
        let rules = part["allOf"].as_array().expect("rules");
        let rule =
            rules.iter().find(|rule| rule["if"]["properties"]["between"]["required"] == json!(["l"])).expect("one");
        assert_eq!(
            rule["then"]["properties"]["fields"]["items"]["properties"]["l"]["allOf"],
            json!([{ "$ref": "#/$defs/lamps.lamp" }])
        );
    }
    // What a connector does not describe is not judged.
    let open = LAMPS
        .replace("      properties:\n        id:", "      additionalProperties: true\n      properties:\n        id:");
    let mut texts = house(&[]);
    texts[1].text = open;
    let schema = self::schema(&known(&texts), "sync");
    assert_eq!(schema["$defs"]["lamps.lamp"]["pattern"], "");
}

/// An agency has a connection for each of its customers; an editor must not feel that.
#[test]
fn a_thousand_customers_do_not_make_it_larger() {
    let size =
        |texts: &[Text]| schemas(&known(texts)).iter().map(|(_, schema)| schema.to_string().len()).sum::<usize>();
    let few = size(&house(&[]));
    let customers: String = (0..1000)
        .map(|number| format!("  c{number}: {{ connections: {{ lamps-{number}: {{ connector: lamps }} }} }}\n"))
        .collect();
    let mut texts = house(&[]);
    texts[0].text.push_str(&format!("tenants:\n{customers}"));
    assert_eq!(known(&texts).aliases().len(), super::known::ALIASES_MAX);
    assert!(size(&texts) < few + 100_000, "{} after {few}", size(&texts));
}
