//! Ways of auth, from the document's security schemes.

use serde_json::{Map, Value, json};

use super::document::{Document, short};
use super::name::{free, snake, words};
use super::note::Notes;
use super::yaml::comment;
use crate::connector::address::header_name_fault;

/// `auth:`, and what is to be said above it; `scopes` are those that operations ask for.
pub(super) fn auth(
    document: &Document<'_>,
    scopes: &[String],
    notes: &mut Notes,
) -> (Map<String, Value>, Option<String>) {
    let (mut ways, mut left_out) = (Map::new(), Vec::new());
    for (name, scheme) in document.ways_of_auth() {
        let Ok((scheme, _)) = document.follow(scheme) else { continue };
        let made = way(scheme, scopes);
        let Some((way, said)) = made else {
            notes.add("left out: ways of auth that the language does not know", short(name));
            left_out.push(short(name));
            continue;
        };
        // Several names for one thing are one way.
        if ways.values().any(|known| *known == way) {
            continue;
        }
        let base = snake(&words(name)).unwrap_or_else(|| "auth".into());
        let Some(own) = free(&base, |name| ways.contains_key(name)) else { continue };
        let is_oauth = way.get("oauth2").is_some();
        ways.insert(own.clone(), way);
        if let Some(said) = said {
            comment(&mut ways, &own, said);
        }
        if is_oauth && !ways.contains_key("token") {
            comment(&mut ways, "token", "For a token that was made elsewhere.");
            ways.insert("token".into(), json!({ "bearer": "$.secrets.token" }));
        }
    }
    if !ways.keys().any(|name| super::yaml::is_data(name)) {
        notes.add("not known: how the API is told who calls", String::new());
        let said = "Not known: how the API is told who calls. E.g. `token: { bearer: $.secrets.token }`.";
        comment(&mut ways, "none", said);
        ways.insert("none".into(), json!({ "none": {} }));
    }
    let said = format!("Left out: {}, which no way of auth here can do.", left_out.join(", "));
    (ways, Some(said).filter(|_| !left_out.is_empty()))
}

fn way(scheme: &Value, scopes: &[String]) -> Option<(Value, Option<String>)> {
    let text = |key: &str| scheme.get(key).and_then(Value::as_str);
    let kind = text("type")?.to_ascii_lowercase();
    match kind.as_str() {
        "basic" => Some((basic(), None)),
        "http" => match text("scheme")?.to_ascii_lowercase().as_str() {
            "basic" => Some((basic(), None)),
            "bearer" => Some((json!({ "bearer": "$.secrets.token" }), None)),
            _ => None,
        },
        "apikey" => {
            let name = text("name").filter(|name| !name.trim().is_empty())?;
            match text("in")? {
                "header" if name.eq_ignore_ascii_case("authorization") || header_name_fault(name).is_none() => {
                    let said = name.eq_ignore_ascii_case("authorization").then(|| {
                        "The value as it is sent; where it begins with a word, write e.g. \"Bearer …\" into the secret.".to_owned()
                    });
                    Some((json!({ "api_key": { "header": name, "value": "$.secrets.key" } }), said))
                }
                "query" => Some((json!({ "api_key": { "query": name, "value": "$.secrets.key" } }), None)),
                _ => None,
            }
        }
        "oauth2" => oauth2(scheme, scopes),
        _ => None,
    }
}

fn basic() -> Value {
    json!({ "basic": { "user": "$.secrets.user", "password": "$.secrets.password" } })
}

fn oauth2(scheme: &Value, asked: &[String]) -> Option<(Value, Option<String>)> {
    let flows = scheme.get("flows");
    let three = |name: &str| flows.and_then(|flows| flows.get(name));
    let two = |names: &[&str]| {
        let flow = scheme.get("flow").and_then(Value::as_str)?;
        names.contains(&flow).then_some(scheme)
    };
    let (flow, with_person) = three("authorizationCode")
        .or_else(|| two(&["accessCode", "authorizationCode"]))
        .map(|flow| (flow, true))
        .or_else(|| three("clientCredentials").or_else(|| two(&["application"])).map(|flow| (flow, false)))?;
    let address = |key: &str| {
        let text = flow.get(key).and_then(Value::as_str)?.trim();
        let url = url::Url::parse(text).ok()?;
        (matches!(url.scheme(), "https" | "http") && url.has_host() && url.username().is_empty())
            .then(|| text.to_owned())
    };
    let mut way = Map::new();
    if with_person {
        way.insert("authorize_url".into(), address("authorizationUrl")?.into());
    }
    way.insert("token_url".into(), address("tokenUrl")?.into());
    let mut scopes: Vec<String> = asked.to_vec();
    let mut said = None;
    if scopes.is_empty() {
        let known = flow.get("scopes").and_then(Value::as_object);
        scopes = known.into_iter().flatten().map(|(name, _)| name.clone()).collect();
        said = Some("All scopes of the document: keep those that you need.".to_owned());
    }
    scopes.retain(|scope| !scope.is_empty() && scope.chars().all(|letter| letter.is_ascii_graphic()));
    if scopes.is_empty() {
        said = None;
    } else {
        way.insert("scopes".into(), json!(scopes));
    }
    Some((json!({ "oauth2": way }), said))
}
