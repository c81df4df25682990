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
use dovetail::vault::{Account, Error, Grant, Keys, Vault};
use futures_util::future::join_all;
use parking_lot::Mutex;
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

async fn vendor() -> (Shared, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let vendor = Shared::default();
    let routes = axum::Router::new().route("/token", axum::routing::post(grant)).with_state(vendor.clone());
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

fn account(url: &str) -> Account {
    Account {
        name: "acme".into(),
        client_id: "client".into(),
        client_secret: None,
        authorize_url: Some("http://127.0.0.1/agree".into()),
        token_url: url.into(),
        revoke_url: None,
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
async fn use_until_the_end(vault: &Vault, url: &str) {
    let (account, oauth2) = (account(url), oauth2());
    let caller = async || {
        loop {
            let token = vault.token(&account, &oauth2).await.unwrap();
            if token.version > ENDS {
                return;
            }
            vault.refused(&account, &oauth2, token.version).await.unwrap();
        }
    };
    join_all((0..CALLERS).map(|_| caller())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_renew_each_token_once() {
    let (vendor, url) = vendor().await;
    let folder = folder();
    let vault = open(&folder, &url);
    vault.keep("acme", &granted("r0", None)).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_of_the_two_processes", "--nocapture"])
        .env(CHILD, format!("{}|{url}", folder.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    use_until_the_end(&vault, &url).await;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let vendor = vendor.lock();
    assert_eq!((vendor.count, vendor.used_twice), (ENDS, 0));
    drop(vendor);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Does nothing by itself.
#[tokio::test(flavor = "multi_thread")]
async fn child_of_the_two_processes() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (folder, url) = told.split_once('|').unwrap();
    use_until_the_end(&open(folder.as_ref(), url), url).await;
}

#[tokio::test]
async fn a_token_whose_end_is_near_is_renewed_first_and_used_till_its_end_if_that_fails() {
    let (vendor, url) = vendor().await;
    let folder = folder();
    let vault = open(&folder, &url);
    let now_ms = chrono::Utc::now().timestamp_millis();
    vault.keep("acme", &granted("r0", Some(now_ms + 60_000))).unwrap();
    let (account, oauth2) = (account(&url), oauth2());
    vendor.lock().answers = vec![(503, Value::Null); 2];
    let token = vault.token(&account, &oauth2).await.unwrap();
    assert_eq!(token.version, 1, "it is good for another minute");
    assert!(vendor.lock().answers.is_empty(), "a lost answer is tried once more");
    assert_eq!(vault.token(&account, &oauth2).await.unwrap().version, 2);
    assert_eq!(vault.token(&account, &oauth2).await.unwrap().version, 2);
    assert_eq!(vendor.lock().count, 1);
    // It has ended, and the vendor is busy.
    vault.keep("acme", &granted("r9", Some(now_ms - 1))).unwrap();
    vendor.lock().answers = vec![(503, Value::Null); 2];
    assert!(matches!(vault.token(&account, &oauth2).await, Err(Error::Unavailable(_))));
    assert_eq!(vault.token(&account, &oauth2).await.unwrap().version, 4);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_the_vendor_does_not_renew_waits_for_a_person_and_is_not_asked_again() {
    let (vendor, url) = vendor().await;
    let folder = folder();
    let vault = open(&folder, &url);
    vault.keep("acme", &granted("r0", None)).unwrap();
    let (account, oauth2) = (account(&url), oauth2());
    let gone = json!({ "error": "invalid_grant", "error_description": "the app was removed" });
    vendor.lock().answers = vec![(400, gone)];
    for _ in 0..3 {
        let Err(Error::Disconnected(why)) = vault.refused(&account, &oauth2, 1).await else { panic!() };
        assert!(why.contains("dovetail connect acme") && why.contains("the app was removed"), "{why}");
    }
    let Err(Error::Disconnected(_)) = vault.token(&account, &oauth2).await else { panic!() };
    assert_eq!(vendor.lock().count, 0);
    // Another process sees the same; and who connects again puts an end to it.
    let other = open(&folder, &url);
    assert!(matches!(other.token(&account, &oauth2).await, Err(Error::Disconnected(_))));
    other.keep("acme", &granted("r1", None)).unwrap();
    assert_eq!(vault.token(&account, &oauth2).await.unwrap().version, 2);
    std::fs::remove_dir_all(folder).unwrap();
}
