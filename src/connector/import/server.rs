//! Where the API lives, and which settings of a connection its address needs.

use serde_json::{Map, Value, json};

use super::document::{Document, sentence, short};
use super::name::{free, snake, words};
use super::note::Notes;
use crate::connector::address;

#[derive(Debug)]
pub(super) struct Server {
    pub base_url: String,
    pub settings: Map<String, Value>,
    pub comment: Option<String>,
}

pub(super) fn server(document: &Document<'_>, notes: &mut Notes) -> Server {
    let found = if document.is_two { two(document) } else { three(document) };
    let mut server = found.unwrap_or_else(|path| {
        notes.add("not known: where the API lives; each connection says it as `server`", String::new());
        let settings = json!({ "server": { "type": "string", "title": "Address of the API, https://…" } });
        let settings = settings.as_object().cloned().unwrap_or_default();
        let comment =
            Some("Not known: the document does not say where the API lives, so that each connection does.".into());
        Server { base_url: format!("{{server}}{path}"), settings, comment }
    });
    let others = document.root.get("servers").and_then(Value::as_array).into_iter().flatten().skip(1);
    let others: Vec<String> = others.filter_map(|server| server.get("url")?.as_str()).take(5).map(short).collect();
    if !others.is_empty() {
        let said = format!("Other addresses in the document: {}", others.join(", "));
        server.comment = Some(server.comment.map_or(said.clone(), |comment| format!("{comment}\n{said}")));
    }
    server
}

/// `host` and `basePath`; else the path alone.
fn two(document: &Document<'_>) -> Result<Server, String> {
    let text = |key: &str| document.root.get(key).and_then(Value::as_str).map(str::trim);
    let path = path_of(text("basePath").unwrap_or_default());
    let host = text("host").filter(|host| !host.is_empty()).ok_or(path.clone())?;
    let schemes = document.root.get("schemes").and_then(Value::as_array).into_iter().flatten();
    let schemes: Vec<&str> = schemes.filter_map(Value::as_str).collect();
    let scheme = if schemes.contains(&"https") || !schemes.contains(&"http") { "https" } else { "http" };
    plain(&format!("{scheme}://{host}{path}")).ok_or(path)
}

fn three(document: &Document<'_>) -> Result<Server, String> {
    let first = document.root.get("servers").and_then(|servers| servers.get(0));
    let url = first.and_then(|server| server.get("url")?.as_str()).map(str::trim).unwrap_or_default();
    let Some(variables) = first.and_then(|server| server.get("variables")?.as_object()).filter(|_| url.contains('{'))
    else {
        return plain(url).ok_or_else(|| path_of(url));
    };
    let mut settings = Map::new();
    let mut base = url.to_owned();
    for (name, variable) in variables {
        let hole = format!("{{{name}}}");
        if !base.contains(&hole) {
            continue;
        }
        let text = |key: &str| variable.get(key).and_then(Value::as_str);
        // What cannot differ is no setting, and a whole path would be taken for one part of it.
        let choices: Vec<&str> =
            variable.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let default = text("default").filter(|default| !default.is_empty());
        if let Some(only) = default.filter(|default| default.contains('/') || choices == [*default]) {
            base = base.replace(&hole, only);
            continue;
        }
        let taken = |name: &str| settings.contains_key(name) || name == "base_url" || name == "server";
        let Some(own) = snake(&words(name)).and_then(|name| free(&name, taken)) else { return Err(String::new()) };
        let mut setting = Map::from_iter([("type".to_owned(), Value::from("string"))]);
        if let Some(told) = text("description").and_then(sentence) {
            setting.insert("description".into(), told.into());
        }
        if let Some(default) = default {
            setting.insert("default".into(), default.into());
        }
        if choices.len() > 1 {
            setting.insert("enum".into(), json!(choices));
        }
        base = base.replace(&hole, &format!("{{{own}}}"));
        settings.insert(own, setting.into());
    }
    let pieces = address::pieces(&base).ok_or_else(String::new)?;
    if !address::holes(&pieces).all(|hole| settings.contains_key(hole)) {
        return Err(String::new());
    }
    let filled: String = pieces
        .iter()
        .map(|piece| match piece {
            address::Piece::Text(text) => text.as_str(),
            address::Piece::Hole(_) => "x",
        })
        .collect();
    plain(&filled).ok_or_else(String::new)?;
    Ok(Server { base_url: base.trim_end_matches('/').to_owned(), settings, comment: None })
}

fn plain(url: &str) -> Option<Server> {
    let url = url.trim_end_matches('/');
    let good = address::check_base(url).is_ok()
        && address::pieces(url).is_some_and(|pieces| address::holes(&pieces).next().is_none());
    let shown = url.chars().all(super::yaml::is_shown);
    (good && shown).then(|| Server { base_url: url.to_owned(), settings: Map::new(), comment: None })
}

/// The path of an address without a host, if it can be one.
fn path_of(text: &str) -> String {
    let path = text.trim_end_matches('/');
    let good = |letter: char| letter.is_ascii_alphanumeric() || "/-._~".contains(letter);
    let path = if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let whole =
        path.chars().all(good) && !path.starts_with("//") && !path.split('/').any(|part| part == "." || part == "..");
    if whole { path } else { String::new() }
}
