//! Accounts: connected over a browser, renewed, refused, disconnected; and nothing of it is ever seen.

use std::process::Stdio;
use std::time::Duration;

use dovetail::connector::{ClientProof, OAuth2, Refresh};
use dovetail::http::{Client, Guard};
use dovetail::store::{Run, Status};
use dovetail::vault::{Account, Holder, Keys, Vault};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, Stage, browser, until};

const CONNECTION: &str = "example-ghl";

fn output(command: &mut std::process::Command) -> (Option<i32>, String) {
    let output = command.output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

async fn connected() -> Stage {
    let stage = browser::set().await;
    browser::connect(&stage, CONNECTION).await;
    stage
}

async fn contact(stage: &Stage, email: &str) -> Value {
    let contact = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": email })).await;
    stage.tell("ContactCreate", &contact).await;
    contact
}

/// The access token, as whoever has the key can see it.
async fn token(stage: &Stage) -> String {
    let keys = std::fs::read_to_string(stage.key_file()).expect("the key");
    let vault = Vault::open(&stage.data(), Keys::read(&keys).expect("a key"), Client::new(Guard::default()));
    let account = Account {
        name: CONNECTION.into(),
        client_id: String::new(),
        client_secret: None,
        authorize_url: Some(String::new()),
        token_url: String::new(),
        revoke_url: None,
    };
    let oauth2 = OAuth2 {
        authorize_url: None,
        token_url: String::new(),
        revoke_url: None,
        query: Vec::new(),
        form: Vec::new(),
        client: ClientProof::Public,
        pkce: false,
        scopes: Vec::new(),
        answer: None,
        refresh: Refresh { before: Duration::ZERO, rotates: true },
        save: Vec::new(),
    };
    let holder = Holder::OAuth2 { account, oauth2: &oauth2 };
    let token = vault.expect("the vault").token(&holder).await.expect("a token");
    token.secret.expose_secret().to_owned()
}

/// How often a token was asked for.
async fn grants(stage: &Stage) -> usize {
    stage.requests(GHL, "oauth.token").await.len()
}

fn of(runs: &[Run], status: Status) -> usize {
    runs.iter().filter(|run| run.status == status).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_connected_over_a_browser_and_its_token_renewed_when_it_is_refused() {
    let mut stage = connected().await;
    assert_eq!(grants(&stage).await, 1);
    let serve = stage.serve().await;
    contact(&stage, "ada@example.com").await;
    assert_eq!(of(&stage.over().await, Status::Completed), 1);
    assert_eq!(grants(&stage).await, 1, "a token is good for all that is asked");
    // The vendor's token ends before we think that it does.
    stage.control("POST", GHL, "/clock", json!({ "advance": "25h" })).await;
    for email in ["bob@example.com", "cyd@example.com", "dan@example.com"] {
        contact(&stage, email).await;
    }
    let runs =
        until("they are over", async || Some(stage.over().await).filter(|runs| of(runs, Status::Completed) == 4)).await;
    assert!(runs.iter().all(|run| run.status != Status::Failed), "{runs:#?}");
    assert_eq!(grants(&stage).await, 2, "renewed once, by whichever came first");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 4);
    drop(serve);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_granted_can_be_read_without_the_key() {
    let mut stage = connected().await;
    let serve = stage.serve().await;
    contact(&stage, "ada@example.com").await;
    stage.over().await;
    let token = token(&stage).await;
    let (_, said) = serve.term().await;
    let mut looked = 0;
    for entry in std::fs::read_dir(stage.data()).expect("the data folder").flatten() {
        let Ok(bytes) = std::fs::read(entry.path()) else { continue };
        for secret in [token.as_str(), "sandbox-secret"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret", entry.path().display());
        }
        looked += 1;
    }
    assert!(looked > 1 && !said.contains(&token) && !said.contains("sandbox-secret"), "{said}");
    // Another key opens nothing, and says so before anything starts.
    std::fs::remove_file(stage.key_file()).expect("the key");
    output(stage::command().arg("key").arg(stage.key_file()));
    let (code, said) = stage.run(&["connect"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("was sealed with another key"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_vendor_does_not_renew_waits_until_somebody_connects_while_serve_runs() {
    let mut stage = connected().await;
    let gone = json!({ "error": "invalid_grant", "error_description": "This refresh token is invalid" });
    stage.fault(GHL, json!({ "at": "oauth.token", "status": 400, "body": gone, "times": 1 })).await;
    stage.control("POST", GHL, "/clock", json!({ "advance": "25h" })).await;
    let serve = stage.serve().await;
    contact(&stage, "ada@example.com").await;
    until("serve says it", async || serve.said().contains("dovetail connect example-ghl").then_some(())).await;
    contact(&stage, "bob@example.com").await;
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 0);
    let (_, said) = stage.run(&["connect"]);
    assert!(said.contains("must be connected again"), "{said}");
    let (child, link) = browser::begin(&stage, CONNECTION);
    assert_eq!(browser::agree(&link).await.0, 200);
    let (code, said) = browser::end(child);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("goes on with what has waited"), "{said}");
    until("both are over", async || (of(&stage.over().await, Status::Completed) == 2).then_some(())).await;
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_with_another_state_changes_nothing() {
    let stage = browser::set().await;
    let (child, link) = browser::begin(&stage, CONNECTION);
    let link = url::Url::parse(&link).expect("a link");
    let redirect = link.query_pairs().find(|(name, _)| name == "redirect_uri").expect("the way back").1.into_owned();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for query in ["code=stolen&state=other", "code=stolen", "error=access_denied&state=other"] {
        let answer = client.get(format!("{redirect}?{query}")).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{query}");
    }
    assert_eq!(grants(&stage).await, 0);
    // The right one is told that the person did not agree.
    let state = link.query_pairs().find(|(name, _)| name == "state").expect("the state").1.into_owned();
    let answer = client.get(format!("{redirect}?error=access_denied&state={state}")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let (code, said) = browser::end(child);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("access_denied") && said.contains("nothing is changed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_disconnected_and_a_secret_is_given_without_a_file() {
    let stage = connected().await;
    let (code, said) = stage.run(&["disconnect", CONNECTION]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is disconnected"), "{said}");
    let (_, said) = stage.run(&["connect"]);
    assert!(said.contains("not connected"), "{said}");
    // The other account's token comes from no file any more, but from the vault.
    let secrets = stage.project().join("../secrets.yaml");
    let text = std::fs::read_to_string(&secrets).expect("the secrets");
    std::fs::write(&secrets, text.replace("osc_token: token-sandbox\n", "")).expect("the secrets");
    let mut command = stage.command(&["connect", "example-people"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    use std::io::Write as _;
    child.stdin.take().expect("its stdin").write_all(b"token-sandbox\n").expect("it is read");
    let (code, said) = browser::end(child);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("`osc_token` is sealed") && !said.contains("token-sandbox"), "{said}");
    let (_, said) = stage.run(&["connect"]);
    assert!(said.contains("ready"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_knows_the_custom_fields_of_an_account() {
    let stage = connected().await;
    let uses = "uses: { ghl: gohighlevel }\ntrigger: { manual: { inputs: { email: { type: string } } } }\nactions:\n";
    let scored = "  - id: made\n    upsert: ghl.contact\n    with: { email: $.inputs.email, custom.quiz_score: 5 }\n";
    stage.write("workflows/scored.yaml", &format!("workflow: scored\n{uses}{scored}"));
    stage.activate(&["scored"]);
    let (code, said) = stage.run(&["doctor", CONNECTION]);
    assert!(code == Some(0) && said.contains("good  names: `custom` has all the names that are used"), "{said}");
    let misspelt = format!("{}  - stop: $.made.custom.nothing_like_it\n", scored.replace("quiz_score", "quiz_scor"));
    stage.write("workflows/misspelt.yaml", &format!("workflow: misspelt\n{uses}{misspelt}"));
    stage.activate(&["scored", "misspelt"]);
    let (code, said) = stage.run(&["doctor", CONNECTION]);
    assert_eq!(code, Some(1), "{said}");
    for line in [
        "BAD   names: this account knows no `custom.quiz_scor`, which `misspelt` uses\n        → did you mean `custom.quiz_score`?",
        "this account knows no `custom.nothing_like_it`, which `misspelt` uses\n        → make it at the vendor",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    assert!(!said.contains("`scored`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_says_what_is_wrong_and_what_to_do() {
    let mut stage = connected().await;
    let (code, said) = stage.run(&["doctor"]);
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "good  connected: a token is kept",
        "good  answers: contact.list (POST /contacts/search) in ",
        "good  scopes: granted: contacts.readonly",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    // Where webhooks are to come in, without and with somebody who hears them.
    let address = stage.address(PEOPLE);
    let (code, said) = stage.run(&["doctor", CONNECTION, "--public-url", &format!("http://{address}")]);
    assert!(code == Some(1) && said.contains("BAD   webhooks: something else answers"), "{code:?} {said}");
    let serve = stage.serve().await;
    let port = serve.port;
    let url = format!("http://127.0.0.1:{port}");
    let (code, said) = stage.run(&["doctor", CONNECTION, "--public-url", &url, "--allow-net", &url["http://".len()..]]);
    assert!(code == Some(0) && said.contains("good  webhooks: `serve` answers at"), "{code:?} {said}");
    drop(serve);
    let (code, said) = stage.run(&["doctor", CONNECTION, "--public-url", &url, "--allow-net", &url["http://".len()..]]);
    assert!(code == Some(1) && said.contains("→ start `serve`"), "{code:?} {said}");
    // A token that the vendor does not know.
    stage.secrets("pit-sandbox-location", "a-wrong-token");
    let secrets = stage.project().join("../secrets.yaml");
    let text = std::fs::read_to_string(&secrets).expect("the secrets");
    std::fs::write(&secrets, text.clone() + "app_secret: sandbox-secret\n").expect("the secrets");
    let (code, said) = stage.run(&["doctor", "example-people"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("BAD   answers: contact.list (GET /contacts): auth") && said.contains("→ the token is wrong"),
        "{said}"
    );
    assert!(!said.contains("a-wrong-token"), "{said}");
    // A misspelt endpoint.
    stage.secrets("pit-sandbox-location", "token-sandbox");
    let text = std::fs::read_to_string(&secrets).expect("the secrets");
    std::fs::write(&secrets, text + "app_secret: sandbox-secret\n").expect("the secrets");
    let wrong = "connector: opinion-stage-contacts\nobjects: { contact: { operations: { list: { request: GET /contcats } } } }\n";
    stage.write("connectors/opinion-stage-contacts.override.yaml", wrong);
    let (code, said) = stage.run(&["doctor", "example-people"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not_found") && said.contains("the path in the connector"), "{said}");
    // A scope that was not granted, and a secret that is not there.
    let (code, said) = stage.run(&["doctor", "nobody"]);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = output(stage.command(&["doctor", "example-quiz", "--json"]).arg("--secrets").arg("/nowhere"));
    assert_eq!(code, Some(2), "{said}");
}
