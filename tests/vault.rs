//! One renewal per end of a token, however many ask for it, in however many processes.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Form, Json};
use dovetail::connector::{ClientProof, OAuth2, Refresh};
use dovetail::http::{Client, Guard};
use dovetail::project::{Plan, Text, read};
use dovetail::vault::{Account, Error, Grant, Holder, Keys, SecretSource, Vault};
use futures_util::future::join_all;
use parking_lot::Mutex;
use secrecy::SecretString;
use serde_json::{Value, json};

/// Ends of tokens, each refused to all callers at once.
const ENDS: u64 = 1_000;
/// Callers in each of the two processes.
const CALLERS: usize = 25;
const CHILD: &str = "DOVETAIL_TEST_VAULT";

/// A vendor whose refresh tokens work once.
#[derive(Default)]
struct Vendor {
    count: u64,
    used: HashSet<String>,
    used_twice: u64,
    /// Tokens for teams, and requests for one that are not as they should be.
    exchanged: u64,
    strange: u64,
    /// The next answers, before those that grant.
    answers: Vec<(u16, Value)>,
}

type Shared = Arc<Mutex<Vendor>>;

async fn grant(
    State(vendor): State<Shared>,
    Form(form): Form<std::collections::HashMap<String, String>>,
) -> (axum::http::StatusCode, Json<Value>) {
    let mut vendor = vendor.lock();
    if let Some((status, body)) = vendor.answers.pop() {
        return (status.try_into().unwrap(), Json(body));
    }
    if !vendor.used.insert(form["refresh_token"].clone()) {
        vendor.used_twice += 1;
        return (axum::http::StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    }
    vendor.count += 1;
    let count = vendor.count;
    let body =
        json!({ "access_token": format!("a{count}"), "refresh_token": format!("r{count}"), "expires_in": 86_399 });
    (axum::http::StatusCode::OK, Json(body))
}

/// A team's token for the house's key.
async fn exchange(
    State(vendor): State<Shared>,
    headers: axum::http::HeaderMap,
    Json(body): Json<Value>,
) -> (axum::http::StatusCode, Json<Value>) {
    let mut vendor = vendor.lock();
    let good =
        headers.get("x-key").is_some_and(|key| key == "house-key") && body == json!({ "team": "t1", "house": "h1" });
    vendor.strange += u64::from(!good);
    vendor.exchanged += 1;
    let token = format!("t{}", vendor.exchanged);
    (axum::http::StatusCode::CREATED, Json(json!({ "token": token, "ends": "2099-01-01T00:00:00Z" })))
}

async fn vendor() -> (Shared, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let vendor = Shared::default();
    let routes = axum::Router::new().route("/token", axum::routing::post(grant));
    let routes = routes.route("/teams/t1/token", axum::routing::post(exchange)).with_state(vendor.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (vendor, url)
}

fn oauth2() -> OAuth2 {
    OAuth2 {
        authorize_url: None,
        token_url: String::new(),
        revoke_url: None,
        query: Vec::new(),
        form: Vec::new(),
        client: ClientProof::Public,
        pkce: false,
        scopes: Vec::new(),
        answer: None,
        refresh: Refresh { before: Duration::from_secs(600), rotates: true },
        save: Vec::new(),
    }
}

fn holder<'a>(url: &str, oauth2: &'a OAuth2) -> Holder<'a> {
    let account = Account {
        name: "acme".into(),
        client_id: "client".into(),
        client_secret: None,
        authorize_url: Some("http://127.0.0.1/agree".into()),
        token_url: url.into(),
        revoke_url: None,
    };
    Holder::OAuth2 { account, oauth2 }
}

const CONNECTOR: &str = "
connector: crm
base_url: https://crm.example.com
connection: { team: { type: string }, house: { type: string } }
auth:
  key: { api_key: { header: X-Key, value: $.secrets.key } }
  team:
    exchange:
      of: key
      request: POST /teams/{team}/token
      body: { team: $.connection.team, house: $.via.house }
      token: $.token
      expires_at: $.ends
";

/// A project whose one account lends its key to the other.
fn plan(url: &str) -> Plan {
    let base = url.trim_end_matches("/token");
    let project = format!(
        "project: house\napps: {{ crm: {{ base_url: \"{base}\" }} }}\nconnections:\n  \
         house: {{ connector: crm, auth: key, key: $.secrets.house_key, house: h1 }}\n  \
         team: {{ connector: crm, auth: team, via: house, team: t1, house: of-the-team }}\n"
    );
    let text = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
    let loaded = read(&[text("dovetail.yaml", &project), text("connectors/crm.yaml", CONNECTOR)], &[], None);
    loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.report))
}

struct Source;

impl SecretSource for Source {
    fn secret(&self, name: &str) -> Option<SecretString> {
        (name == "house_key").then(|| SecretString::from("house-key"))
    }
}

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn open(folder: &std::path::Path, url: &str) -> Vault {
    let place = url.trim_start_matches("http://").trim_end_matches("/token");
    let client = Client::new(Guard::new(&[place.to_string()]).unwrap());
    Vault::open(folder, Keys::read(KEY).unwrap(), client).unwrap()
}

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("dovetail-vault-{}", uuid::Uuid::now_v7()))
}

fn granted(refresh_token: &str, ends_ms: Option<i64>) -> Grant {
    Grant {
        access_token: "a".to_string().into(),
        refresh_token: Some(refresh_token.to_string().into()),
        granted_ms: 0,
        ends_ms,
        scope: None,
        saved: Default::default(),
    }
}

/// Each caller uses the token until it is refused, and has it renewed; until all ends are behind.
async fn use_until_the_end(vault: &Vault, holder: &Holder<'_>) {
    let caller = async || {
        loop {
            let token = vault.token(holder).await.unwrap();
            if token.version > ENDS {
                return;
            }
            vault.refused(holder, token.version).await.unwrap();
        }
    };
    join_all((0..CALLERS).map(|_| caller())).await;
}

/// Has the same done by another process, too.
async fn use_in_two_processes(vault: &Vault, holder: &Holder<'_>, told: String) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "vault::child_of_the_two_processes", "--nocapture"])
        .env(CHILD, told)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    use_until_the_end(vault, holder).await;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "it did nothing: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_renew_each_token_once() {
    let (vendor, url) = vendor().await;
    let folder = folder();
    let vault = open(&folder, &url);
    vault.keep("acme", &granted("r0", None)).unwrap();
    let oauth2 = oauth2();
    use_in_two_processes(&vault, &holder(&url, &oauth2), format!("{}|{url}|renews", folder.display())).await;
    let vendor = vendor.lock();
    assert_eq!((vendor.count, vendor.used_twice), (ENDS, 0));
    drop(vendor);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_exchange_for_each_token_once() {
    let (vendor, url) = vendor().await;
    let folder = folder();
    let vault = open(&folder, &url);
    vault.keep("team", &granted("", None)).unwrap();
    let plan = plan(&url);
    let borrower = Holder::of(&plan, plan.connection("team").unwrap(), &Source).unwrap().unwrap();
    use_in_two_processes(&vault, &borrower, format!("{}|{url}|exchanges", folder.display())).await;
    let vendor = vendor.lock();
    assert_eq!((vendor.exchanged, vendor.strange), (ENDS, 0));
    drop(vendor);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Does nothing by itself.
#[tokio::test(flavor = "multi_thread")]
async fn child_of_the_two_processes() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let told: Vec<&str> = told.split('|').collect();
    let [folder, url, what] = told.as_slice() else { panic!("{told:?}") };
    let (vault, oauth2, plan) = (open(folder.as_ref(), url), oauth2(), plan(url));
    match *what {
        "renews" => use_until_the_end(&vault, &holder(url, &oauth2)).await,
        _ => {
            let borrower = Holder::of(&plan, plan.connection("team").unwrap(), &Source).unwrap().unwrap();
            use_until_the_end(&vault, &borrower).await;
        }
    }
}

#[tokio::test]
async fn a_token_whose_end_is_near_is_renewed_first_and_used_till_its_end_if_that_fails() {
    let (vendor, url) = vendor().await;
    let folder = folder();
    let vault = open(&folder, &url);
    let now_ms = chrono::Utc::now().timestamp_millis();
    vault.keep("acme", &granted("r0", Some(now_ms + 60_000))).unwrap();
    let oauth2 = oauth2();
    let holder = holder(&url, &oauth2);
    vendor.lock().answers = vec![(503, Value::Null); 2];
    let token = vault.token(&holder).await.unwrap();
    assert_eq!(token.version, 1, "it is good for another minute");
    assert!(vendor.lock().answers.is_empty(), "a lost answer is tried once more");
    assert_eq!(vault.token(&holder).await.unwrap().version, 2);
    assert_eq!(vault.token(&holder).await.unwrap().version, 2);
    assert_eq!(vendor.lock().count, 1);
    // It has ended, and the vendor is busy.
    vault.keep("acme", &granted("r9", Some(now_ms - 1))).unwrap();
    vendor.lock().answers = vec![(503, Value::Null); 2];
    assert!(matches!(vault.token(&holder).await, Err(Error::Unavailable(_))));
    assert_eq!(vault.token(&holder).await.unwrap().version, 4);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_the_vendor_does_not_renew_waits_for_a_person_and_is_not_asked_again() {
    let (vendor, url) = vendor().await;
    let folder = folder();
    let vault = open(&folder, &url);
    vault.keep("acme", &granted("r0", None)).unwrap();
    let oauth2 = oauth2();
    let holder = holder(&url, &oauth2);
    let gone = json!({ "error": "invalid_grant", "error_description": "the app was removed" });
    vendor.lock().answers = vec![(400, gone)];
    for _ in 0..3 {
        let Err(Error::Disconnected(why)) = vault.refused(&holder, 1).await else { panic!() };
        assert!(why.contains("dovetail connect acme") && why.contains("the app was removed"), "{why}");
    }
    let Err(Error::Disconnected(_)) = vault.token(&holder).await else { panic!() };
    assert_eq!(vendor.lock().count, 0);
    // Another process sees the same; and who connects again puts an end to it.
    let other = open(&folder, &url);
    assert!(matches!(other.token(&holder).await, Err(Error::Disconnected(_))));
    other.keep("acme", &granted("r1", None)).unwrap();
    assert_eq!(vault.token(&holder).await.unwrap().version, 2);
    std::fs::remove_dir_all(folder).unwrap();
}
