//! No secret is ever seen: not in a log, a journal, an error, an answer, or a page of the database.
//!
//! The vendor here is the worst one: whatever it is asked, it repeats all that it was sent, in the body, in a message and in a
//! header, with each status. Then everything that was written and said is searched, for each secret in each spelling.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::json;

use crate::dashboard::visitor;
use crate::stage;

/// Each as the project calls it, and its value. Some are spelt in another way in JSON, in a URL or in a header.
const SECRETS: [(&str, &str); 7] = [
    ("token", "tok-8fJ2kQ9zLm4XwB7c"),
    ("password", "Pa/ss w0rd+of\"Ada&co"),
    ("key", "key 5Gh7/Jk2=Lp9&Qr4"),
    ("signing", "sig-Zx81Cv62Bn43Mq95"),
    ("public", "pub-Nn31Mm52Kk73Jj94"),
    ("app", "app+Secret/77Yy66Xx55"),
    ("hook", "hook-Tt11Rr22Ee33Ww44"),
];
/// What the token endpoint grants; a number follows.
const ACCESS: &str = "granted-Aa12Ss34Dd56Ff78-";

const CONNECTOR: &str = r#"
connector: mirror
base_url: "{base_url}"
connection: { base_url: { type: string } }
auth:
  bearer: { bearer: $.secrets.token }
  basic: { basic: { user: ada, password: $.secrets.password } }
  header: { api_key: { header: X-Key, value: $.secrets.key } }
  query: { api_key: { query: api_key, value: $.secrets.key } }
  signed:
    hmac:
      secret: $.secrets.signing
      over: "{{method}}{{target}}{{body}}"
      headers: { Authorization: "Mirror {{secrets.public}}:{{signature}}" }
  app: { oauth2: { token_url: "http://MIRROR/token", client: form } }
"#;

const AUTHS: [&str; 6] = ["bearer", "basic", "header", "query", "signed", "app"];
/// 401 and 429 are for accounts that wait, which is tried apart.
const STATUSES: [u16; 8] = [200, 302, 400, 403, 404, 409, 422, 500];

/// Says again whatever it is sent.
async fn mirror(
    State(grants): State<Arc<AtomicUsize>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    let said: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))).collect();
    let all = format!("{method} {uri}\n{}\n\n{body}", said.join("\n"));
    if uri.path() == "/token" {
        return match grants.fetch_add(1, Ordering::SeqCst) {
            // The second one is asked for when the first is refused.
            1 => (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": "invalid_client", "error_description": all }))),
            number => {
                (StatusCode::OK, axum::Json(json!({ "access_token": format!("{ACCESS}{number}"), "expires_in": 3600 })))
            }
        }
        .into_response();
    }
    let status = uri.path().rsplit('/').next().and_then(|status| status.parse().ok()).unwrap_or(200);
    let told =
        json!({ "id": "1", "message": all, "error": { "code": all.clone(), "reason": said }, all.clone(): body });
    let mut response = (StatusCode::from_u16(status).expect("a status"), axum::Json(told)).into_response();
    for (name, value) in [("x-said", headers.get("authorization")), ("retry-after", headers.get("x-key"))] {
        if let Some(value) = value {
            response.headers_mut().insert(name, value.clone());
        }
    }
    let location = HeaderValue::from_str(&uri.to_string()).expect("a header");
    response.headers_mut().insert("location", location);
    response
}

struct Play {
    folder: PathBuf,
    address: std::net::SocketAddr,
    said: Mutex<String>,
}

impl Play {
    async fn set() -> Play {
        let folder = std::env::temp_dir().join(format!("dovetail-leaks-{}", uuid::Uuid::now_v7()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("an address");
        let address = listener.local_addr().expect("an address");
        let routes = Router::new().fallback(mirror).with_state(Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let play = Play { folder, address, said: Mutex::default() };
        play.fill();
        play
    }

    fn fill(&self) {
        let mut operations = String::from("objects:\n  thing:\n    id: id\n    operations:\n");
        for status in STATUSES.into_iter().chain([401, 429]) {
            operations +=
                &format!("      s{status}: {{ request: POST /echo/{status}, returns: $, if_unsure: send_again }}\n");
        }
        let connector = CONNECTOR.replace("MIRROR", &self.address.to_string());
        self.write("connectors/mirror.yaml", &format!("{connector}{operations}"));
        let mut project = String::from("project: mirrors\nconnections:\n");
        for auth in AUTHS {
            let named: Vec<String> = ["token", "password", "key", "signing", "public"]
                .iter()
                .filter(|secret| uses(auth, secret))
                .map(|secret| format!(", {secret}: $.secrets.{secret}"))
                .collect();
            let app = if auth == "app" { ", client_id: we, client_secret: $.secrets.app" } else { "" };
            let base = format!("base_url: 'http://{}'", self.address);
            project += &format!("  {auth}: {{ connector: mirror, auth: {auth}, {base}{}{app} }}\n", named.concat());
            let mut actions = String::new();
            for status in STATUSES {
                actions += &format!(
                    "  - {{ id: s{status}, call: m.thing.s{status}, retry: {{ times: 1, wait: 1ms }}, on_error: continue }}\n"
                );
            }
            let head = format!("uses: {{ m: {auth} }}\ntrigger: {{ manual: }}\n");
            self.write(
                &format!("workflows/asks-{auth}.yaml"),
                &format!("workflow: asks-{auth}\n{head}actions:\n{actions}  - call: m.thing.s422\n"),
            );
            for status in [401, 429] {
                let waits =
                    format!("workflow: waits-{auth}-{status}\n{head}actions: [{{ call: m.thing.s{status} }}]\n");
                self.write(&format!("workflows/waits-{auth}-{status}.yaml"), &waits);
            }
        }
        self.write("dovetail.yaml", &project);
        self.write(
            "workflows/hooked.yaml",
            "workflow: hooked\n\
             trigger: { webhook: /in, verify: [{ header: X-Hook, token: $.secrets.hook }], replay: { id: $.id } }\n\
             actions: [{ stop: $.event.body.id }]\n",
        );
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.join("project").join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(path, text).expect("a file");
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A command that says all that it can.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = stage::command();
        command.args(words).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
        command.env("DOVETAIL_KEY_FILE", self.folder.join("key"));
        for (name, value) in SECRETS {
            // One is kept in the data folder instead, sealed.
            if name != "token" {
                command.env(format!("DOVETAIL_SECRET_{}", name.to_uppercase()), value);
            }
        }
        command
    }

    fn in_project(&self, words: &[&str]) -> Command {
        let mut command = self.command(words);
        command.arg("--project").arg(self.folder.join("project")).arg("--data").arg(self.data());
        command.args(["--allow-net", &self.address.to_string()]);
        command
    }

    /// Keeps what it says; gives its exit code.
    fn run(&self, mut command: Command) -> Option<i32> {
        let output = command.stdin(Stdio::null()).output().expect("it runs");
        let mut said = self.said.lock();
        said.push_str(&String::from_utf8_lossy(&output.stdout));
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        output.status.code()
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn uses(auth: &str, secret: &str) -> bool {
    match auth {
        "bearer" => secret == "token",
        "basic" => secret == "password",
        "header" | "query" => secret == "key",
        "signed" => secret == "signing" || secret == "public",
        _ => false,
    }
}

/// The ways in which a text may be written.
fn spellings(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).expect("JSON");
    let json = json.trim_matches('"').to_owned();
    vec![
        secret.to_owned(),
        json.replace('/', "\\/"),
        json.replace('\\', "\\\\"),
        json,
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string(),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        STANDARD.encode(format!("ada:{secret}")),
        hex::encode(secret),
        secret.replace('&', "&amp;").replace('"', "&quot;"),
    ]
}

fn search(what: &str, bytes: &[u8], found: &mut Vec<String>) {
    let granted: Vec<String> = (0..3).map(|number| format!("{ACCESS}{number}")).collect();
    let granted = granted.iter().map(|token| ("granted", token.as_str()));
    for (name, secret) in SECRETS.into_iter().chain(granted) {
        for spelling in spellings(secret) {
            if let Some(at) = memchr::memmem::find(bytes, spelling.as_bytes()) {
                let around = &bytes[at.saturating_sub(80)..(at + spelling.len() + 20).min(bytes.len())];
                found.push(format!("{what} holds `{name}`: {}", String::from_utf8_lossy(around)));
                break;
            }
        }
    }
}

fn search_files(folder: &Path, found: &mut Vec<String>) -> usize {
    let mut looked = 0;
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            looked += search_files(&path, found);
        } else if let Ok(bytes) = std::fs::read(&path) {
            search(&path.display().to_string(), &bytes, found);
            looked += 1;
        }
    }
    looked
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_written_or_said_whatever_a_vendor_repeats() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let play = Play::set().await;
    let mut make_key = play.command(&["key"]);
    make_key.arg(play.folder.join("key"));
    assert_eq!(play.run(make_key), Some(0));
    let mut connect = play.in_project(&["connect", "bearer"]);
    let mut child =
        connect.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    use std::io::Write as _;
    child.stdin.take().expect("its stdin").write_all(format!("{}\n", SECRETS[0].1).as_bytes()).expect("it is read");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(play.run(play.in_project(&["connect"])), Some(0));

    for auth in AUTHS {
        let code = play.run(play.in_project(&["run", &format!("asks-{auth}")]));
        assert_eq!(code, Some(1), "{auth}: {}", play.said.lock());
    }
    let answers = play.said.lock().matches("[redacted]").count();

    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut serve = play.in_project(&["serve", "--listen", "127.0.0.1:0", "--dashboard", "127.0.0.1:0"]);
    serve.arg("-vv");
    let serve = stage::Serve::start(serve, &client).await;
    let url = format!("http://127.0.0.1:{}/hooks/in", serve.port);
    for (id, hook, status) in [("1", SECRETS[6].1, 200), ("2", "hook-of-another", 401)] {
        let sent = client.post(&url).header("x-hook", hook).json(&json!({ "id": id })).send().await;
        assert_eq!(sent.expect("an answer").status().as_u16(), status);
    }
    let past = |words: &[&str]| {
        let mut command = play.command(words);
        command.arg("--data").arg(play.data());
        command
    };
    let mut number = AUTHS.len() + 1;
    for (auth, status) in AUTHS.iter().flat_map(|auth| [(auth, 429), (auth, 401)]) {
        let mut waits = play.in_project(&["run", &format!("waits-{auth}-{status}")]);
        let mut waits = waits.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        number += 1;
        stage::until("it waits", async || {
            let shown = past(&["runs", "show", &number.to_string()]).output().expect("it runs");
            String::from_utf8_lossy(&shown.stdout).contains("answered: ").then_some(())
        })
        .await;
        waits.kill().expect("it can be killed");
        waits.wait().expect("it ends");
    }
    play.run(play.in_project(&["doctor"]));
    play.run(play.in_project(&["doctor", "--json"]));
    play.run(play.in_project(&["hooks", "--json"]));
    play.run(past(&["reload"]));
    play.run(past(&["runs", "list", "--json"]));
    for number in 1..=number {
        assert_eq!(play.run(past(&["runs", "show", &number.to_string()])), Some(0));
        play.run(past(&["runs", "show", &number.to_string(), "--json"]));
    }
    play.run(past(&["dead", "list", "--json"]));
    let made = past(&["token", "create", "--role", "admin"]).output().expect("it runs");
    let token = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    let nobody = visitor::Visitor::of(&serve).await;
    let (program, (person, _)) = (nobody.with_token(&token), nobody.signed_in("token", &token).await);
    let mut seen = Vec::new();
    for number in 1..=number {
        seen.push(person.get(&format!("/runs/{number}")).await);
        seen.push(program.get(&format!("/api/v1/runs/{number}")).await);
        seen.push(program.get(&format!("/api/v1/runs/{number}/journal?limit=200")).await);
    }
    for path in ["/", "/runs", "/connections", "/catalogue"] {
        seen.push(person.get(path).await);
    }
    for path in ["summary", "runs?limit=200", "connections", "dead-letters", "workflows", "audit"] {
        seen.push(program.get(&format!("/api/v1/{path}")).await);
    }
    for said in seen {
        assert_eq!(said.status, 200, "{said:?}");
        play.said.lock().push_str(&said.text);
    }
    let (_, said) = serve.term().await;
    assert!(!said.contains(&token));
    play.said.lock().push_str(&said);
    for words in [["check"].as_slice(), &["check", "--json"], &["catalog", "--json"], &["schema", "--project"]] {
        let mut command = play.command(words);
        command.current_dir(play.folder.join("project"));
        play.run(command);
    }

    let mut found = Vec::new();
    search("what was said", play.said.lock().as_bytes(), &mut found);
    let looked = search_files(&play.data(), &mut found) + search_files(&play.folder.join("project"), &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));
    // Of a token itself nothing is kept.
    let secret = token.splitn(3, '_').nth(2).expect("a secret part");
    for entry in std::fs::read_dir(play.data()).expect("the data folder").flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        assert!(memchr::memmem::find(&bytes, secret.as_bytes()).is_none(), "{}", entry.path().display());
    }
    assert!(looked > AUTHS.len() * 2 && answers > 0, "{looked} files, {answers} answers");
    // What is searched is what was written: the words around the secrets are there.
    assert!(play.said.lock().contains("x-key: [redacted]"));
}
