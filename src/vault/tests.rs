//! Seals, and what token endpoints are told and tell.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::grant::{Refusal, read, request};
use super::{Account, Consent, KeyError, Keys};
use crate::connector::{Body, ClientProof, OAuth2, Refresh, Response};
use crate::expr::Path;
use crate::store::Sealed;

fn oauth2() -> OAuth2 {
    OAuth2 {
        authorize_url: Some("https://crm.example.com/agree?lang=en".into()),
        token_url: "https://crm.example.com/token".into(),
        revoke_url: None,
        query: vec![("prompt".into(), "consent".into())],
        form: vec![("user_type".into(), "Location".into())],
        client: ClientProof::Form,
        pkce: true,
        scopes: vec!["read".into(), "write".into()],
        answer: None,
        refresh: Refresh { before: std::time::Duration::from_secs(600), rotates: true },
        save: vec![("location".into(), Path::compile("$.locationId").unwrap())],
    }
}

fn account() -> Account {
    Account {
        name: "acme".into(),
        client_id: "id 1".into(),
        client_secret: Some("s:1".to_string().into()),
        authorize_url: oauth2().authorize_url,
        token_url: oauth2().token_url,
        revoke_url: None,
    }
}

fn said(status: u16, body: Value) -> Response {
    Response { status, headers: Vec::new(), body, not_kept: None }
}

#[test]
fn a_seal_opens_with_its_key_in_its_place_only() {
    let (old, new) = (Keys::generate().unwrap(), Keys::generate().unwrap());
    let keys = Keys::read(&format!("# the present one\n{}\n{}\n", &*new, &*old)).unwrap();
    let of_old = Keys::read(&old).unwrap();
    let kept = |keys: &Keys, version| {
        let bytes = keys.seal("acme", version, b"token").unwrap();
        Sealed { version, key_id: keys.id().into(), bytes, ends_ms: None, refused: None, changed_ms: 0 }
    };
    let sealed = kept(&of_old, 3);
    assert_eq!(keys.open("acme", &sealed).unwrap().as_slice(), b"token");
    assert!(!String::from_utf8_lossy(&sealed.bytes).contains("token"));
    assert_ne!(kept(&keys, 3).bytes, kept(&keys, 3).bytes, "each has a nonce of its own");
    assert_eq!(keys.open("bolt", &sealed).unwrap_err(), KeyError::Damaged("bolt".into()), "another row");
    assert_eq!(
        keys.open("acme", &Sealed { version: 4, ..sealed.clone() }).unwrap_err(),
        KeyError::Damaged("acme".into())
    );
    for at in 0..sealed.bytes.len() {
        let mut bytes = sealed.bytes.clone();
        bytes[at] ^= 1;
        assert!(keys.open("acme", &Sealed { bytes, ..sealed.clone() }).is_err());
    }
    let (name, key_id) = ("acme".to_string(), keys.id().to_string());
    assert_eq!(of_old.open("acme", &kept(&keys, 1)).unwrap_err(), KeyError::Other { name, key_id });
    assert_eq!(Keys::read("\n# none\n").unwrap_err(), KeyError::Missing);
    assert_eq!(Keys::read(&format!("{}\nshort\n", &*old)).unwrap_err(), KeyError::Malformed(2));
    assert!(!format!("{keys:?}").contains(&old[..10]));
}

#[test]
fn a_client_proves_itself_in_the_form_or_beside_it() {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "r")];
    let (asked, credential) = request(&account(), &oauth2(), &fields);
    let Some(Body::Form(form)) = asked.body else { panic!() };
    let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected =
        ["user_type=Location", "grant_type=refresh_token", "refresh_token=r", "client_id=id 1", "client_secret=s:1"];
    assert_eq!(form, expected);
    assert!(credential.is_none());
    let (asked, credential) = request(&account(), &OAuth2 { client: ClientProof::Basic, ..oauth2() }, &fields);
    let Some(Body::Form(form)) = asked.body else { panic!() };
    assert!(form.iter().all(|(name, _)| !name.starts_with("client_")));
    let credential = credential.unwrap();
    assert_eq!(credential.origin, "https://crm.example.com");
    // "id+1:s%3A1"
    assert_eq!(credential.headers[0].1.expose_secret(), "Basic aWQrMTpzJTNBMQ==");
}

#[test]
fn a_person_is_sent_with_a_state_and_a_challenge_that_fit_once() {
    let consent = Consent::begin(&account(), &oauth2(), "http://127.0.0.1:5000/callback").unwrap();
    let url = url::Url::parse(&consent.url).unwrap();
    let query = |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    assert_eq!(query("lang").as_deref(), Some("en"));
    assert_eq!(query("prompt").as_deref(), Some("consent"));
    assert_eq!(query("scope").as_deref(), Some("read write"));
    assert_eq!(query("redirect_uri").as_deref(), Some("http://127.0.0.1:5000/callback"));
    let state = query("state").unwrap();
    assert!(consent.is_of(&state) && !consent.is_of("") && !consent.is_of(&state[1..]));
    let fields = consent.fields("code");
    let verifier = fields.iter().find(|(name, _)| *name == "code_verifier").unwrap().1;
    use base64::Engine as _;
    use sha2::Digest as _;
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier));
    assert_eq!(query("code_challenge"), Some(challenge));
    let other = Consent::begin(&account(), &oauth2(), "http://127.0.0.1:5000/callback").unwrap();
    assert!(!other.is_of(&state));
}

#[test]
fn an_answer_is_a_grant_or_says_whether_another_try_may_help() {
    let body =
        json!({ "access_token": "a", "refresh_token": "r", "expires_in": "86399", "locationId": "l", "scope": "x" });
    let grant = read(&oauth2(), &said(200, body), None, 1_000).unwrap();
    assert_eq!((grant.access_token.expose_secret(), grant.ends_ms), ("a", Some(86_400_000)));
    assert_eq!(grant.saved["location"], "l");
    // What the next answer does not say is as before.
    let next = read(&oauth2(), &said(200, json!({ "access_token": "b" })), Some(&grant), 2_000).unwrap();
    assert_eq!(next.refresh_token.unwrap().expose_secret(), "r");
    assert_eq!((next.ends_ms, next.scope.as_deref(), &next.saved["location"]), (None, Some("x"), &json!("l")));
    let nested = OAuth2 { answer: Some(Path::compile("$.authed_user").unwrap()), ..oauth2() };
    let body = json!({ "ok": true, "access_token": "bot", "authed_user": { "access_token": "user" } });
    assert_eq!(read(&nested, &said(200, body), None, 0).unwrap().access_token.expose_secret(), "user");

    let refused = |status, body: Value| read(&oauth2(), &said(status, body), None, 0).unwrap_err();
    let gone = json!({ "error": "invalid_grant", "error_description": "used\nalready" });
    assert_eq!(refused(400, gone.clone()), Refusal::Final("invalid_grant: used already".into()));
    assert_eq!(
        refused(200, json!({ "ok": false, "error": "invalid_client" })),
        Refusal::Final("invalid_client".into())
    );
    assert!(matches!(refused(503, gone), Refusal::Unclear(_)));
    assert_eq!(refused(502, Value::String("<html>".into())), Refusal::Unclear("it answered 502".into()));
    assert!(matches!(refused(400, json!({ "message": "Location is not active" })), Refusal::Unclear(_)));
    assert!(matches!(refused(200, json!({ "access_token": "" })), Refusal::Unclear(_)));
}
