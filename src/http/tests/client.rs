//! What is sent, to whom, and what is refused before anything is sent.

use std::time::Duration;

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;
use tokio::net::TcpListener;

use super::super::client::Bounds;
use super::super::{Client, Credential, Error, Guard};
use super::server::{Server, Then, get};
use crate::connector::{Body, Hmac, Letter, Part, Request, Signer};

fn credential(origin: &str) -> Credential {
    Credential {
        origin: origin.into(),
        headers: vec![("Authorization".into(), SecretString::from("Bearer s3cret"))],
        query: vec![("key".into(), SecretString::from("k3y&"))],
        signer: None,
    }
}

#[tokio::test]
async fn a_request_arrives_as_written_and_the_answer_is_read() {
    let server = Server::ok("Content-Type: application/json\r\nX-Left: 9\r\n", br#"{"contact":{"id":"7"}}"#).await;
    let request = Request {
        method: "POST".into(),
        url: server.url("/contacts/?a=1"),
        headers: vec![("Version".into(), "2021-07-28".into())],
        body: Some(Body::Json(json!({ "email": "ada@example.com" }))),
    };
    let response = server.client().send(&request, None).await.unwrap();
    assert_eq!((response.status, response.header("x-left")), (200, Some("9")));
    assert_eq!(response.body, json!({ "contact": { "id": "7" } }));
    let heard = server.heard().remove(0).to_ascii_lowercase();
    for part in [
        "post /contacts/?a=1 http/1.1\r\n",
        "version: 2021-07-28\r\n",
        "content-type: application/json\r\n",
        "accept-encoding: gzip\r\n",
        concat!("user-agent: dovetail/", env!("CARGO_PKG_VERSION"), "\r\n"),
        "\r\n\r\n{\"email\":\"ada@example.com\"}",
    ] {
        assert!(heard.contains(part), "{part} in {heard}");
    }
}

#[tokio::test]
async fn a_form_is_encoded() {
    let server = Server::ok("", b"").await;
    let body = Some(Body::Form(vec![("code".into(), "a b&c".into()), ("user_type".into(), "Location".into())]));
    let request = Request { method: "POST".into(), url: server.url("/oauth/token"), headers: Vec::new(), body };
    server.client().send(&request, None).await.unwrap();
    let heard = server.heard().remove(0);
    assert!(heard.contains("application/x-www-form-urlencoded"), "{heard}");
    assert!(heard.ends_with("\r\n\r\ncode=a+b%26c&user_type=Location"), "{heard}");
}

#[tokio::test]
async fn a_form_in_parts_says_its_boundary() {
    let server = Server::ok("", b"").await;
    let part = Part { name: "note".into(), file: None, kind: None, content: b"hello".to_vec() };
    let body = Some(Body::Multipart(vec![part]));
    // A kind that was given knows no boundary.
    let headers = vec![("Content-Type".into(), "multipart/form-data".into())];
    let request = Request { method: "POST".into(), url: server.url("/files"), headers, body };
    server.client().send(&request, None).await.unwrap();
    let heard = server.heard().remove(0);
    let boundary = heard.split("content-type: multipart/form-data; boundary=").nth(1).unwrap().lines().next().unwrap();
    let body =
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--{boundary}--\r\n");
    assert!(heard.ends_with(&format!("\r\n\r\n{body}")), "{heard}");
    assert_eq!(heard.matches("content-type").count(), 1, "{heard}");
}

#[tokio::test]
async fn a_post_without_a_body_says_so() {
    let server = Server::ok("", b"").await;
    let request = Request { method: "POST".into(), ..get(server.url("/start")) };
    server.client().send(&request, None).await.unwrap();
    server.client().send(&get(server.url("/")), None).await.unwrap();
    let heard = server.heard();
    assert!(heard[0].contains("content-length: 0\r\n"), "{}", heard[0]);
    assert!(!heard[1].contains("content-length"), "{}", heard[1]);
}

#[tokio::test]
async fn what_is_neither_json_nor_text_is_not_kept() {
    let table: [(&str, &[u8], Option<&str>); 7] = [
        ("application/pdf", b"%PDF-1.7 \xff\x00", Some("application/pdf (11 bytes)")),
        ("image/png", b"text", Some("image/png (4 bytes)")),
        ("application/x-thing", b"\xff\xfe", Some("application/x-thing (2 bytes)")),
        ("", b"a\0b", Some("something that is no text (3 bytes)")),
        ("application/x-thing", b"words", None),
        ("text/csv; charset=latin1", b"caf\xff", None),
        ("application/octet-stream", b"{\"a\":1}", None),
    ];
    for (kind, sent, what) in table {
        let server = Server::ok(&format!("Content-Type: {kind}\r\n"), sent).await;
        let response = server.client().send(&get(server.url("/")), None).await.unwrap();
        assert_eq!(response.not_kept.as_deref(), what, "{kind}");
        assert_eq!(response.body.is_null(), what.is_some(), "{kind}");
    }
}

#[tokio::test]
async fn a_body_is_json_text_or_nothing() {
    let table: [(&str, &[u8], serde_json::Value); 7] = [
        ("application/json; charset=utf-8", b" 42 ", json!(42)),
        ("application/problem+json", b"{\"a\":null}", json!({ "a": null })),
        ("text/html", b"[1]", json!([1])),
        ("text/plain", b"42", json!("42")),
        ("application/json", b"<html>", json!("<html>")),
        ("text/plain", b"caf\xff", json!("caf\u{fffd}")),
        ("application/json", b" \n", json!(null)),
    ];
    for (kind, sent, read) in table {
        let server = Server::ok(&format!("Content-Type: {kind}\r\n"), sent).await;
        assert_eq!(server.client().send(&get(server.url("/")), None).await.unwrap().body, read, "{kind}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let secret_place = Server::ok("", b"inside").await;
    let location = secret_place.url("/");
    let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let server = Server::raw(answer, Then::Close).await;
    let guard = Guard::new(&["127.0.0.0/8".to_owned()]).unwrap();
    let response = Client::new(guard).send(&get(server.url("/")), None).await.unwrap();
    assert_eq!((response.status, response.header("location")), (302, Some(location.as_str())));
    assert!(secret_place.heard().is_empty());
}

#[tokio::test]
async fn an_address_inside_is_refused_however_it_is_written() {
    let server = Server::ok("", b"inside").await;
    let port = server.address.port();
    let client = Client::new(Guard::default());
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"] {
        for scheme in ["https", "http"] {
            let url = format!("{scheme}://{host}:{port}/");
            let result = client.send(&get(&url), None).await;
            assert!(matches!(result, Err(Error::Refused(_))), "{url}: {result:?}");
        }
    }
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn an_allowance_is_for_its_port_also_when_the_host_is_a_name() {
    let server = Server::ok("", b"").await;
    let other = Server::ok("", b"").await;
    let client = server.client();
    let named = |server: &Server| get(format!("http://localhost:{}/", server.address.port()));
    assert_eq!(client.send(&named(&server), None).await.unwrap().status, 200);
    assert!(matches!(client.send(&named(&other), None).await, Err(Error::Refused(_))));
    assert!(other.heard().is_empty());
}

#[tokio::test]
async fn what_must_not_be_sent_is_refused_without_telling_secrets() {
    let server = Server::ok("", b"").await;
    let client = server.client();
    let here = server.url("");
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = get(server.url("/path?who=ada"));
        change(&mut request);
        request
    };
    let header = |name: &str, value: &str| {
        let pair = (name.to_owned(), value.to_owned());
        with(&move |request| request.headers.push(pair.clone()))
    };
    let table = [
        (header("X-Name", "a\r\nX-Evil: 1"), None, "control character"),
        (header("X-Name", "a\0"), None, "control character"),
        (header("X-Name", "a\tb"), None, "control character"),
        (header("X Name", "a"), None, "header's name"),
        (header("Host", "evil.example"), None, "not to be given"),
        (header("Transfer-Encoding", "chunked"), None, "not to be given"),
        (with(&|request| request.method = "CONNECT".into()), None, "the method"),
        (with(&|request| request.url = "ftp://example.com/".into()), None, "only https"),
        (with(&|request| request.url = "/contacts".into()), None, "cannot be read"),
        (with(&|request| request.url = request.url.replace("//", "//ada:pw@")), None, "user or password"),
        (with(&|_| ()), Some(credential("https://api.example.com")), "the credential is for https://api.example.com"),
        (with(&|_| ()), Some(credential(&here.replace("http:", "https:"))), "the credential is for"),
        (with(&|_| ()), Some(credential("http://127.0.0.1:1")), "the credential is for"),
        (with(&|_| ()), Some(credential("data:x")), "the credential is for"),
    ];
    for (request, credential, why) in table {
        let error = client.send(&request, credential.as_ref()).await.unwrap_err();
        let told = error.to_string();
        assert!(matches!(error, Error::Refused(_)), "{request:?}: {told}");
        assert!(told.contains(why), "{request:?}: {told}");
        for secret in ["s3cret", "k3y", "ada", "Evil"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn a_credential_is_attached_for_its_origin_and_takes_the_place_of_others() {
    let server = Server::ok("", b"").await;
    let mut request = get(server.url("/path?a=1"));
    request.headers.push(("authorization".into(), "Bearer of-the-template".into()));
    let credential = credential(&server.url("/any/path"));
    server.client().send(&request, Some(&credential)).await.unwrap();
    let heard = server.heard().remove(0);
    assert!(heard.starts_with("GET /path?a=1&key=k3y%26 HTTP/1.1\r\n"), "{heard}");
    assert!(heard.contains("Bearer s3cret") && !heard.contains("of-the-template"), "{heard}");
    let shown = format!("{credential:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("k3y"), "{shown}");
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::new(Guard::new(&[address.to_string()]).unwrap());
    let credential = credential(&format!("http://{address}"));
    let error = client.send(&get(format!("http://{address}/path?who=ada")), Some(&credential)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    let told = error.to_string();
    assert!(told.contains(&format!("http://{address}/path: ")) && !told.contains('?'), "{told}");

    let unknown = client.send(&get("https://no-such-host.invalid/"), None).await.unwrap_err();
    assert!(matches!(unknown, Error::Unreachable(_)), "{unknown:?}");

    // The TLS handshake breaks before anything of the request is written.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let client = Client::new(Guard::new(&[address.to_string()]).unwrap());
    let handshake = client.send(&get(format!("https://{address}/")), None).await.unwrap_err();
    assert!(matches!(handshake, Error::Unreachable(_)), "{handshake:?}");

    // It does not come to an end: this server never speaks.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let bounds = Bounds { connect: Duration::from_millis(100), ..Bounds::default() };
    let client = Client::bounded(Guard::new(&[address.to_string()]).unwrap(), bounds);
    let slow = client.send(&get(format!("https://{address}/")), None).await.unwrap_err();
    assert!(matches!(&slow, Error::Unreachable(told) if told.ends_with("too slow")), "{slow:?}");
}

#[tokio::test]
async fn what_is_signed_is_what_is_sent_and_each_request_anew() {
    let hmac = Hmac::of(&json!({
        "secret": "$.secrets.secret",
        "over": "{{timestamp}}\n{{nonce}}\n{{method}}\n{{host}}\n{{target}}\n{{headers.content-type}}\n{{headers.version}}\n{{body}}",
        "timestamp": "ms",
        "headers": { "X-Signature": "v1={{signature}}", "X-Time": "$.timestamp" },
        "query": { "nonce": "$.nonce", "key": "a b&c" },
    }));
    let hmac = Arc::new(hmac.unwrap());
    let signer = |secret: &str| Signer::new(hmac.clone(), json!({ "secrets": { "secret": secret } })).unwrap();
    let server = Server::ok("", b"").await;
    let credential = Credential {
        origin: server.url(""),
        headers: Vec::new(),
        query: vec![("page".into(), SecretString::from("1"))],
        signer: Some(Box::new(signer("s3cret"))),
    };
    let request = Request {
        method: "POST".into(),
        url: server.url("/käse/a%20b?q='x y'&z=1#part"),
        headers: vec![("Version".into(), "2".into())],
        body: Some(Body::Form(vec![("näme".into(), "a b&c".into())])),
    };
    let client = server.client();
    for _ in 0..2 {
        client.send(&request, Some(&credential)).await.unwrap();
    }
    let heard = server.heard();
    let letters: Vec<Letter> = heard.iter().map(|text| letter(text)).collect();
    for letter in &letters {
        assert!(signer("s3cret").proves(letter), "{letter:?}");
        assert!(!signer("other").proves(letter));
        assert!(letter.query.starts_with("q=%27x%20y%27&z=1&page=1&nonce="), "{}", letter.query);
    }
    assert_ne!(letters[0].query, letters[1].query, "signed anew");
    assert!(!heard[0].contains("s3cret") && !format!("{credential:?}").contains("s3cret"));
}

/// A request as it came, head and body.
fn letter(text: &str) -> Letter {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let mut line = lines.next().unwrap().split(' ');
    let (method, target) = (line.next().unwrap(), line.next().unwrap());
    let (path, query) = target.split_once('?').unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: Vec<(String, String)> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let host = headers.iter().find(|(name, _)| name == "host").unwrap().1.clone();
    let (method, path, query, body) = (method.into(), path.into(), query.into(), body.into());
    Letter { method, host, path, query, headers, body }
}
