//! The whole document: shape of each file, then the meaning of what they say together.

use std::sync::LazyLock;

use schemars::schema_for;
use serde_json::Value;

use super::merge::{Merged, Role, roles};
use super::reader::{Reader, Side, under};
use super::{limits, object, operation, schema as schemas, webhook};
use crate::connector::written::{Document, Named};
use crate::connector::{Auth, Connector, address, auth};
use crate::expr::{Expr, schema_faults};
use crate::source::{Diagnostic, File, Report, check_shape};

/// JSON Schema of the kind.
pub fn schema() -> Value {
    SCHEMA.clone()
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schema_for!(Document).to_value());

/// The schema of a further file or an override, which give only parts of what the main file gives whole.
static PARTIAL: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = schema();
    forget_required(&mut schema);
    schema
});

/// What the files of one connector say together, in one document. None if they say nothing.
pub fn merged(files: &[&File]) -> Option<Value> {
    let roles = roles(files);
    (!roles.is_empty()).then(|| Merged::new(files, &roles, &mut Report::default()).value)
}

/// Every file's shape, then the meaning of all together.
pub(in crate::connector) fn read(files: &[&File], report: &mut Report) -> Option<Connector> {
    let mut own = Report::default();
    let connector = read_all(files, &mut own);
    let good = !own.has_errors();
    report.extend(own);
    connector.filter(|_| good)
}

fn read_all(files: &[&File], report: &mut Report) -> Option<Connector> {
    let roles = roles(files);
    if roles.is_empty() {
        report.push(Diagnostic::error("missing-key", "no file has the key `connector:`"));
        return None;
    }
    for (file, role) in roles.iter().filter(|(file, _)| !file.is_shipped) {
        match role {
            Role::Main => main_shape(file, report),
            _ => check_shape(file, "", &PARTIAL, report),
        }
    }
    if report.has_errors() {
        return None;
    }
    let merged = Merged::new(files, &roles, report);
    let document: Document = match serde_path_to_error::deserialize(&merged.value) {
        Ok(document) => document,
        Err(error) => {
            let pointer = pointer_of(error.path());
            let file = merged.file(&pointer);
            report.push(Diagnostic::error("bad-shape", error.inner().to_string()).at(file, &pointer, ""));
            return None;
        }
    };
    let mut settings: Vec<String> = document.connection.iter().map(|(name, _)| name.to_owned()).collect();
    settings.extend(document.auth.iter().flat_map(|(_, written)| auth::saved_settings(written)));
    let mut reader = Reader { merged: &merged, report, settings, attached: (0, 0) };
    meaning(&mut reader, &document, &roles)
}

fn main_shape(file: &File, report: &mut Report) {
    let mut found = Report::default();
    check_shape(file, "", &SCHEMA, &mut found);
    for kind in auth::nameless(file) {
        let pointer = under("/auth", kind);
        let inside = file.span(&pointer);
        let is_inside = |one: &Diagnostic| {
            one.primary.as_ref().is_some_and(|place| inside.start <= place.span.start && place.span.end <= inside.end)
        };
        found.diagnostics.retain(|one| !is_inside(one));
        let message = format!("`{kind}` is a kind of auth, and stands where an entry's name belongs");
        let help = match kind {
            "none" => "write `auth: { open: { none: {} } }`".to_owned(),
            kind => format!("write `auth: {{ NAME: {{ {kind}: … }} }}`: a connection picks an entry by its name"),
        };
        report.push(Diagnostic::error("one-kind", message).at_key(file, &pointer, "").help(help));
    }
    report.extend(found);
}

fn meaning(reader: &mut Reader<'_>, document: &Document, roles: &[(&File, Role)]) -> Option<Connector> {
    for (file, _) in roles.iter().skip(1) {
        let name = file.value.get("connector").and_then(Value::as_str).unwrap_or_default();
        if name != document.connector {
            let message = format!("this file is about `{name}`, the others about `{}`", document.connector);
            reader.report.push(
                Diagnostic::error("other-connector", message)
                    .at(file, "/connector", "")
                    .help(format!("write `connector: {}`, or move the file", document.connector)),
            );
        }
    }
    let base_url = base_url(reader, document.base_url.as_deref());
    for (name, setting) in document.connection.iter() {
        let pointer = under("/connection", name);
        reader.check_name(&pointer, "a setting", name);
        for found in schema_faults(&schemas::setting(setting)) {
            reader.report.push(found.told(reader.file(&pointer), &pointer));
        }
    }
    let header_values = headers(reader, "/headers", &document.headers, Side::Connection);
    let auth = auths(reader, &document.auth);
    let mut operations = Vec::new();
    let mut objects = Vec::new();
    for (name, written) in document.objects.iter() {
        let pointer = under("/objects", name);
        objects.push(object::read(reader, &pointer, name, written, &document.objects));
        for (short, call) in written.operations.iter() {
            let at = under(&under(&pointer, "operations"), short);
            operations.push(operation::read(reader, &at, short, call, objects.last()));
        }
    }
    for (name, call) in document.operations.iter() {
        operations.push(operation::read(reader, &under("/operations", name), name, call, None));
    }
    let operations = operations.into_iter().flatten().collect();
    let mut connector = Connector {
        name: document.connector.clone(),
        version: document.version.clone().unwrap_or_else(|| "0.0.0".into()),
        description: document.description.clone(),
        base_url: base_url.unwrap_or_default(),
        headers: header_values.iter().filter_map(|(name, expr)| Some((name.clone(), fixed(expr)?))).collect(),
        settings: schemas::settings(&document.connection),
        auth,
        limits: Vec::new(),
        objects,
        webhooks: None,
        header_values,
        operations,
        spelling: document.spelling.unwrap_or_default(),
        errors: limits::errors(reader, &document.errors),
    };
    connector.limits = limits::limits(reader, &document.limits, &connector);
    connector.webhooks = document.webhooks.as_ref().map(|written| webhook::read(reader, written, &connector));
    object::check_links(reader, document, &mut connector);
    operation::check_links(reader, document, &mut connector);
    check_scopes(reader, document, &connector);
    (!reader.report.has_errors()).then_some(connector)
}

fn base_url(reader: &mut Reader<'_>, written: Option<&str>) -> Option<String> {
    let Some(text) = written else {
        reader.key_error(
            "missing-key",
            "/connector",
            "the connector says no `base_url`",
            "add it: `base_url: https://api.example.com`",
        );
        return None;
    };
    let Some(pieces) = address::pieces(text) else {
        let help = "a hole is a setting's name in braces: `https://{subdomain}.example.com`";
        reader.error("bad-url", "/base_url", "the holes of the base URL are not well formed", help);
        return None;
    };
    for hole in address::holes(&pieces) {
        reader.check_setting("/base_url", hole);
    }
    // A stand-in for each hole shows whether the rest is an address.
    let whole = matches!(pieces.first(), Some(address::Piece::Hole(_)));
    let filled: String = pieces
        .iter()
        .enumerate()
        .map(|(index, piece)| match piece {
            address::Piece::Text(text) => text.as_str(),
            address::Piece::Hole(_) if whole && index == 0 => "https://example.com",
            address::Piece::Hole(_) => "x",
        })
        .collect();
    if let Err(why) = address::check_base(&filled) {
        reader.error("bad-url", "/base_url", why, "e.g. `https://api.example.com`");
        return None;
    }
    Some(text.to_owned())
}

pub(super) const HEADER: &str = "a header is called like `X-Api-Version`; those that make up the request are left out";

/// Headers with legal names, each once.
pub(in crate::connector) fn headers(
    reader: &mut Reader<'_>,
    pointer: &str,
    written: &Named<Value>,
    side: Side,
) -> Vec<(String, Expr)> {
    let mut headers: Vec<(String, Expr)> = Vec::new();
    for (name, value) in written.iter() {
        let at = under(pointer, name);
        if let Some(fault) = address::header_name_fault(name) {
            let ours = name.eq_ignore_ascii_case("authorization");
            let help = if ours { "say under `auth:` how the API is told who calls" } else { HEADER };
            reader.key_error("bad-header", &at, fault, help);
        }
        if headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            reader.key_error(
                "given-twice",
                &at,
                format!("the header `{name}` is given twice"),
                "keep one of the two: small and capital letters make no difference",
            );
        }
        let Some(expr) = reader.expr(&at, value, side) else { continue };
        if let Some(constant) = expr.constant()
            && let Err(failure) = address::header_value(name, &constant)
        {
            reader.error("bad-header", &at, failure.message, "write a text of one line");
        }
        headers.push((name.to_owned(), expr));
    }
    headers
}

fn fixed(expr: &Expr) -> Option<String> {
    address::scalar(&expr.constant()?)
}

fn auths(reader: &mut Reader<'_>, written: &Named<auth::AuthWritten>) -> Vec<(String, Auth)> {
    let mut auths = Vec::new();
    for (name, way) in written.iter() {
        let pointer = under("/auth", name);
        reader.check_name(&pointer, "a way of auth", name);
        if let Some(auth) = auth::read(reader, &pointer, way, written) {
            auths.push((name.to_owned(), auth));
        }
    }
    auths
}

/// A scope that an operation needs and no OAuth way of the same file asks for. What other files add is asked for by
/// `dovetail connect` where a project uses it.
fn check_scopes(reader: &mut Reader<'_>, document: &Document, connector: &Connector) {
    for (name, auth) in &connector.auth {
        let Auth::OAuth2(oauth2) = auth else { continue };
        let scopes = &oauth2.scopes;
        if scopes.is_empty() {
            continue;
        }
        for (object, written) in document.objects.iter() {
            for (short, call) in written.operations.iter() {
                let Some(scope) = call.scope.as_deref() else { continue };
                if scope.split_whitespace().any(|scope| !scopes.iter().any(|known| known == scope)) {
                    let pointer = format!("{}/scope", under(&under(&under("/objects", object), "operations"), short));
                    if reader.file(&pointer).path != reader.file("/auth").path {
                        continue;
                    }
                    let found = Diagnostic::warning("missing-scope", format!("`{name}` does not ask for `{scope}`"))
                        .at(reader.file(&pointer), &pointer, "")
                        .help(format!("add it to `auth.{name}.oauth2.scopes`"));
                    reader.report.push(found);
                }
            }
        }
    }
}

fn forget_required(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            // `required` is also a name that properties may have; only as a list of names is it the keyword.
            if map.get("required").is_some_and(Value::is_array) {
                map.shift_remove("required");
            }
            map.values_mut().for_each(forget_required);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_required),
        _ => {}
    }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Map { key } => pointer = under(&pointer, key),
            Segment::Seq { index } => pointer = format!("{pointer}/{index}"),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}
