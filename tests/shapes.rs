//! Vendors of other shapes, each nothing but a YAML file: records inside records, refusals that are answered 200, cursors,
//! verbs in the path.

use dovetail::run::Ending;
use dovetail::sandbox::{Settings, Vendor};
use serde_json::{Value, json};

use crate::stage::{self, GHL, Stage, until};

const HUBSPOT: &str = "hubspot";
const SLACK: &str = "slack";

const TELLS: &str = "\
workflow: tells
uses: { ghl: gohighlevel, hs: hubspot, slack: slack }
trigger: { event: ghl.contact.changed }
actions:
  - id: person
    upsert: hs.contact
    match: [properties.email]
    with:
      properties.email: $.contact.email
      properties.firstname: $.contact.firstName
  - call: slack.message.post
    with: { channel: C0123, text: \"{{outcome.person}}: {{person.properties.email}}\" }
";

const HEARS: &str = "\
workflow: hears
uses: { hs: hubspot, slack: slack }
trigger: { event: hs.contact.changed, only_if: { $.contact.properties.city: { blank: false } } }
actions:
  - call: slack.message.post
    with: { channel: C0123, text: \"{{contact.properties.firstname}} lives in {{contact.properties.city}}\" }
";

async fn set() -> Stage {
    let mut stage = Stage::set().await;
    let quick = "connector: hubspot\nlimits: []\nobjects: { contact: { changes: { poll: { with: list_changed, by: updatedAt, newest_first: true, every: 1s } } } }\n";
    stage.write("connectors/hubspot.override.yaml", quick);
    stage.write("connectors/slack.override.yaml", "connector: slack\nlimits: []\n");
    stage.write("workflows/tells.yaml", TELLS);
    stage.write("workflows/hears.yaml", HEARS);
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - tells\n  - hears\n");
    stage.edit("dovetail.yaml", "  - contact-to-opinion-stage\n", "");
    let mut connections = "connections:\n".to_owned();
    for name in [HUBSPOT, SLACK] {
        let file = format!("connectors/{name}.yaml");
        let vendor = Vendor::start(&[(file.clone(), stage::repository(&file))], None, Settings::new(name)).await;
        let vendor = vendor.unwrap_or_else(|error| panic!("{name}: {error}"));
        let url = format!("http://{}", vendor.address());
        connections += &format!(
            "  my-{name}: {{ connector: {name}, auth: token, base_url: \"{url}\", token: $.secrets.osc_token }}\n"
        );
        stage.vendors.insert(name, vendor);
    }
    stage.edit("dovetail.yaml", "connections:\n", &connections);
    stage
}

async fn said(stage: &Stage) -> Vec<Value> {
    let posts = stage.requests(SLACK, "message.post").await;
    posts.iter().map(|post| post["body"]["text"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_inside_records_are_found_written_and_noticed() {
    let mut stage = set().await;
    let _serve = stage.serve().await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "Ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    let runs = stage.over().await;
    assert!(runs.iter().all(|run| !matches!(run.ending, Some(Ending::Failed { .. }))), "{runs:#?}");
    let made = stage.vendors[HUBSPOT].records("contact");
    assert_eq!(made.len(), 1, "{made:#?}");
    assert_eq!((&made[0]["properties"]["firstname"]), &json!("Ada"));
    assert_eq!(said(&stage).await, ["created: Ada@example.com"]);
    // Found again, by an address that is written otherwise; only what differs is sent.
    let ada = stage
        .change(
            GHL,
            "contact",
            ada["id"].as_str().expect("an id"),
            json!({ "firstName": "Augusta", "email": "ada@example.com" }),
        )
        .await;
    stage.tell("ContactUpdate", &ada).await;
    stage.over().await;
    let made = stage.vendors[HUBSPOT].records("contact");
    assert_eq!((made.len(), &made[0]["properties"]["firstname"]), (1, &json!("Augusta")), "{made:#?}");
    let id = made[0]["id"].as_str().expect("an id").to_owned();
    stage
        .change(
            HUBSPOT,
            "contact",
            &id,
            json!({ "properties": { "city": "London", "firstname": "Augusta", "email": "ada@example.com" } }),
        )
        .await;
    until("it is noticed", async || said(&stage).await.contains(&json!("Augusta lives in London")).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_answered_200_is_what_it_says() {
    let mut stage = set().await;
    let refused = json!({ "at": "message.post", "status": 200, "body": { "ok": false, "error": "channel_not_found" }, "times": 1 });
    stage.fault(SLACK, refused).await;
    let _serve = stage.serve().await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    let runs = stage.over().await;
    let Some(Ending::Failed { failure, .. }) = &runs[0].ending else { panic!("{runs:#?}") };
    assert_eq!(failure.name, "not_found", "{failure}");
}
