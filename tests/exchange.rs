//! An agency's token becomes a location's: got when it is needed, renewed by itself, and when the agency is refused, it is the
//! agency that a person is told to connect.

use std::process::Stdio;

use dovetail::store::{Run, Status};
use serde_json::{Value, json};

use crate::stage::{GHL, LOCATION, Stage, browser, until};

const OTHER_LOCATION: &str = "OtH3rL0cAt10n1dXyZ5w";

const ADDS: &str = "\
workflow: adds
uses: { ghl: gohighlevel }
trigger: { manual: { inputs: { email: { type: string } } } }
actions:
  - call: ghl.contact.create
    with: { firstName: Ada, email: $.inputs.email }
  - stop: done
";

/// One agency, two customers with a location each, and nobody who has agreed yet.
async fn set() -> Stage {
    let stage = Stage::set().await;
    let place = stage.address(GHL);
    let location = |tenant: &str, id: &str| {
        format!(
            "  {tenant}:\n    connections: {{ {tenant}-ghl: {{ connector: gohighlevel, auth: location, via: agency, \
             location_id: {id} }} }}\n"
        )
    };
    stage.write(
        "dovetail.yaml",
        &format!(
            "project: agency\napps:\n  gohighlevel:\n    base_url: http://{place}\n    client_id: sandbox-agency\n    \
             client_secret: $.secrets.app_secret\n    token_url: http://{place}/oauth/token\n    \
             authorize_url: http://{place}/v2/oauth/chooselocation\n\
             connections: {{ agency: {{ connector: gohighlevel, auth: agency }} }}\ntenants:\n{}{}active: [adds]\n",
            location("acme", LOCATION),
            location("bolt", OTHER_LOCATION)
        ),
    );
    stage.write("workflows/adds.yaml", ADDS);
    let secrets = stage.folder.join("secrets.yaml");
    let text = std::fs::read_to_string(&secrets).expect("the secrets");
    std::fs::write(&secrets, text + "app_secret: sandbox-secret\n").expect("the secrets");
    browser::make_key(&stage);
    stage
}

fn add(stage: &Stage, tenant: &str, email: &str) -> (Option<i32>, String) {
    stage.run(&["run", "adds", "--tenant", tenant, "--input", &json!({ "email": email }).to_string()])
}

/// The locations of the vendor's contacts.
fn locations(stage: &Stage) -> Vec<String> {
    let contacts = stage.vendors[GHL].records("contact");
    let mut all: Vec<String> =
        contacts.iter().filter_map(|contact| contact["locationId"].as_str().map(str::to_owned)).collect();
    all.sort();
    all
}

async fn asked(stage: &Stage, operation: &str) -> usize {
    stage.requests(GHL, operation).await.len()
}

fn of(runs: &[Run], status: Status) -> usize {
    runs.iter().filter(|run| run.status == status).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agency_is_connected_once_and_each_location_gets_a_token_of_its_own() {
    let stage = set().await;
    let said = browser::connect(&stage, "agency").await;
    assert!(said.contains("company_id: C0mPaNy1dAbCdEfGh1jK") && !said.contains("not granted"), "{said}");
    for tenant in ["acme", "bolt"] {
        let (code, said) = add(&stage, tenant, "ada@example.com");
        assert!(code == Some(0) && said.contains("completed"), "{code:?}: {said}");
    }
    assert_eq!(locations(&stage), [OTHER_LOCATION, LOCATION]);
    assert_eq!(asked(&stage, "oauth.location_token").await, 2);
    let (code, _) = add(&stage, "acme", "bob@example.com");
    assert_eq!((code, asked(&stage, "oauth.location_token").await), (Some(0), 2), "it is kept, sealed");
    let exchanged = &stage.requests(GHL, "oauth.location_token").await[0];
    assert_eq!(exchanged["body"], json!({ "companyId": "C0mPaNy1dAbCdEfGh1jK", "locationId": LOCATION }));
    assert!(exchanged["headers"]["content-type"] == "application/x-www-form-urlencoded", "{exchanged}");

    // A day later both tokens have ended: the agency's is renewed, and the location's is got with it.
    stage.control("POST", GHL, "/clock", json!({ "advance": "25h" })).await;
    let (code, said) = add(&stage, "acme", "cyd@example.com");
    assert!(code == Some(0) && said.contains("completed"), "{code:?}: {said}");
    let renewed = stage.requests(GHL, "oauth.token").await;
    let kinds: Vec<&Value> = renewed.iter().map(|request| &request["body"]["grant_type"]).collect();
    assert_eq!(kinds, ["authorization_code", "refresh_token"]);
    assert_eq!(asked(&stage, "oauth.location_token").await, 4, "once refused for the agency's token, once granted");

    let (code, said) = stage.run(&["doctor"]);
    assert_eq!(code, Some(0), "{said}");
    for line in ["its token comes from `agency`, and is renewed by itself", "it lends its credential"] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let (code, said) = stage.run(&["disconnect", "agency"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("`acme-ghl` has lost its token") && said.contains("`bolt-ghl` has lost"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_agency_is_refused_the_runs_of_its_locations_wait_until_it_is_connected_again() {
    let mut stage = set().await;
    let (code, said) = stage.run(&["connect", "acme-ghl"]);
    assert!(code == Some(1) && said.contains("run `dovetail connect agency`"), "{code:?}: {said}");
    browser::connect(&stage, "agency").await;
    let (code, said) = stage.run(&["connect", "acme-ghl"]);
    assert!(code == Some(0) && said.contains("`acme-ghl` is connected"), "{code:?}: {said}");
    let gone = json!({ "error": "invalid_grant", "error_description": "This refresh token is invalid" });
    stage.fault(GHL, json!({ "at": "oauth.token", "status": 400, "body": gone, "times": 1 })).await;
    stage.control("POST", GHL, "/clock", json!({ "advance": "25h" })).await;

    let serve = stage.serve().await;
    let mut people = Vec::new();
    for tenant in ["acme", "bolt"] {
        let mut command =
            stage.command(&["run", "adds", "--tenant", tenant, "--input", r#"{ "email": "ada@example.com" }"#]);
        people.push(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts"));
    }
    until("serve names the agency, for both", async || {
        let said = serve.said();
        let of = |name: &str| {
            said.lines().any(|line| {
                line.contains(&format!("{name}-ghl` gets its token from `agency`"))
                    && line.contains("dovetail connect agency")
            })
        };
        (of("acme") && of("bolt")).then_some(())
    })
    .await;
    assert_eq!(of(&stage.runs().await, Status::Pending), 2);
    assert_eq!(asked(&stage, "oauth.token").await, 2, "the refused one is asked once, for all");
    let (_, said) = stage.run(&["connect"]);
    assert!(said.matches("through `agency`: must be connected again").count() == 2, "{said}");
    let (code, said) = stage.run(&["doctor", "bolt-ghl"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("its token comes from `agency`: the vendor does not renew its token any more"), "{said}");
    assert!(said.contains("run `dovetail connect agency`"), "{said}");

    let said = browser::connect(&stage, "agency").await;
    assert!(said.contains("goes on with what has waited"), "{said}");
    until("both are over", async || (of(&stage.over().await, Status::Completed) == 2).then_some(())).await;
    for person in people {
        assert_eq!(browser::end(person).0, Some(0));
    }
    assert_eq!(locations(&stage), [OTHER_LOCATION, LOCATION]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_that_is_none_of_the_agency_s_is_told_and_does_not_hold_up_the_others() {
    let stage = set().await;
    stage.edit("dovetail.yaml", OTHER_LOCATION, "N0l0cAt10n1dXyZ5w0000");
    browser::connect(&stage, "agency").await;
    let (code, said) = stage.run(&["doctor", "bolt-ghl"]);
    assert!(code == Some(1) && said.contains("`bolt-ghl` is given no token: not_found"), "{code:?}: {said}");
    let (code, said) = add(&stage, "acme", "ada@example.com");
    assert!(code == Some(0), "{code:?}: {said}");
    assert_eq!(locations(&stage), [LOCATION]);
}
