//! A sync between two accounts of one connector at one vendor, with the real program: `plan`, `apply`, `serve`, `audit`.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::stage::{GHL, LOCATION, Serve, Stage, until};

/// The vendor's second location.
const OTHER: &str = "OtH3rL0cAt10n1dXyZ5w";

const SYNC: &str = "\
sync: locations
uses: { north: north, south: south }
between: { north: contact, south: contact }
match: { by: [email], none_found: { north: create, south: create } }
fields:
  - { north: email, south: email, as: lowercase }
  - { north: firstName, south: firstName }
  - { north: city, south: city }
conflicts: { default: north }
deletes: { north: delete, south: delete }
first_run: { mode: plan, on_difference: north }
children:
  - between: { north: note, south: note }
    fields: [{ north: body, south: body }]
    deletes: { north: unlink, south: unlink }
";

/// Both accounts are at one address, and their webhooks come to one path.
async fn hearing(limits: &str) -> (Stage, Serve) {
    let mut stage = Stage::set().await;
    stage.edit("connectors/gohighlevel.override.yaml", "limits: []", &format!("limits: [{limits}]"));
    let place = stage.address(GHL);
    let connection = |name: &str, location: &str| {
        format!(
            "  {name}: {{ connector: {GHL}, auth: token, base_url: \"http://{place}\", location_id: {location}, \
             token: $.secrets.{name}_token }}\n"
        )
    };
    let (north, south) = (connection("north", LOCATION), connection("south", OTHER));
    stage.write("dovetail.yaml", &format!("project: two\nconnections:\n{north}{south}active: [locations]\n"));
    stage.write("workflows/locations.yaml", SYNC);
    let secrets = stage.folder.join("secrets.yaml");
    std::fs::write(&secrets, "north_token: pit-sandbox-location\nsouth_token: pit-sandbox-other-location\n")
        .expect("written");
    std::fs::set_permissions(secrets, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    let serve = stage.serve_hearing(GHL).await;
    (stage, serve)
}

/// As people do it in the vendor's own app: webhooks go out.
async fn make(stage: &Stage, object: &str, record: Value) -> String {
    let said = stage.control("POST", GHL, &format!("/records/{object}"), record).await;
    said["records"][0]["id"].as_str().expect("an id").to_owned()
}

async fn records(stage: &Stage, object: &str, location: &str) -> Vec<Value> {
    let said = stage.control("GET", GHL, &format!("/records/{object}"), Value::Null).await;
    let mut records = said["records"].as_array().cloned().unwrap_or_default();
    records.retain(|record| record["locationId"] == location);
    records
}

/// The one record of a location with this value, as soon as there is one.
async fn with(stage: &Stage, object: &str, location: &str, field: &str, value: Value) -> Value {
    until(&format!("{location} has a {object} with {field} {value}"), async || {
        let mut hits = records(stage, object, location).await;
        hits.retain(|record| record[field] == value);
        assert!(hits.len() < 2, "{object} twice: {hits:?}");
        hits.pop()
    })
    .await
}

async fn writes(stage: &Stage) -> usize {
    stage.over().await;
    let mut count = 0;
    for name in ["contact.create", "contact.update", "contact.delete", "note.create", "note.update"] {
        count += stage.requests(GHL, name).await.len();
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_locations_of_one_vendor_are_kept_alike() {
    let (stage, serve) = hearing("").await;
    make(
        &stage,
        "contact",
        json!({ "id": "c1", "locationId": LOCATION, "firstName": "Ada", "email": "ada@example.com" }),
    )
    .await;
    make(&stage, "contact", json!({ "id": "c2", "locationId": OTHER, "firstName": "A.", "email": "Ada@example.com" }))
        .await;
    make(&stage, "contact", json!({ "id": "c3", "locationId": OTHER, "firstName": "Bob", "email": "bob@example.com" }))
        .await;
    let (code, said) = stage.run(&["plan", "locations"]);
    assert_eq!(code, Some(0), "{said}");
    for line in ["firstName \"Ada\" → firstName \"A.\", since that side wins", "+ north.contact from south.contact"] {
        assert!(said.contains(line), "no `{line}` in {said}");
    }
    assert_eq!(writes(&stage).await, 0, "a plan writes nothing");
    let (code, said) = stage.run(&["apply", "locations", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    with(&stage, "contact", LOCATION, "email", json!("bob@example.com")).await;
    with(&stage, "contact", OTHER, "firstName", json!("Ada")).await;
    assert_eq!(writes(&stage).await, 2);

    // Each location hears its own webhooks.
    stage.control("PATCH", GHL, "/records/contact/c2", json!({ "city": "London" })).await;
    with(&stage, "contact", LOCATION, "city", json!("London")).await;
    make(&stage, "note", json!({ "locationId": OTHER, "contactId": "c2", "body": "Prefers the morning" })).await;
    let note = with(&stage, "note", LOCATION, "body", json!("Prefers the morning")).await;
    assert_eq!(note["contactId"], "c1");
    assert_eq!(writes(&stage).await, 4, "and what that causes is no news");
    let (code, said) = stage.run(&["audit", "locations"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("both sides are equal: 3 pairs in line"), "{said}");

    stage.control("DELETE", GHL, "/records/contact/c3", Value::Null).await;
    until("Bob is gone in the north", async || (records(&stage, "contact", LOCATION).await.len() == 1).then_some(()))
        .await;
    assert_eq!(writes(&stage).await, 5);
    assert_eq!(records(&stage, "contact", OTHER).await.len(), 1, "Ada is left");
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_leaves_live_work_its_share() {
    let limit = "{ requests: 6, per: 1h, keep_for_live_events: 50%, for: [contact.create] }";
    let (stage, serve) = hearing(limit).await;
    for number in 0..5 {
        make(&stage, "contact", json!({ "locationId": LOCATION, "email": format!("p{number}@example.com") })).await;
    }
    let mut asking = stage.begin(&["apply", "locations", "--yes"]);
    until("its share is used up", async || (records(&stage, "contact", OTHER).await.len() == 3).then_some(())).await;
    make(&stage, "contact", json!({ "locationId": LOCATION, "email": "eve@example.com" })).await;
    with(&stage, "contact", OTHER, "email", json!("eve@example.com")).await;
    assert_eq!(records(&stage, "contact", OTHER).await.len(), 4, "who was there before waits");
    asking.kill().expect("it is killed");
    asking.wait().expect("it is gone");
    serve.kill();
}
