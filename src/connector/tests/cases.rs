//! Reads `tests/cases/connector/*.yaml`: documents, and what they make of inputs, answers and records.

use std::path::Path as FilePath;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{findings, read};
use crate::connector::{Auth, Body, Connector, Drift, Letter, Names, Outcome, Page, Request, Response, Signer};
use crate::expr::Locale;

/// One case file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case is about, and why it matters.
    why: String,
    /// Path → text.
    documents: Map<String, Value>,
    /// Every finding, in order; none unless said.
    #[serde(default)]
    findings: Vec<String>,
    #[serde(default)]
    requests: Vec<RequestCase>,
    #[serde(default)]
    answers: Vec<AnswerCase>,
    #[serde(default)]
    records: Vec<RecordCase>,
    #[serde(default)]
    writes: Vec<WriteCase>,
    #[serde(default)]
    signs: Vec<SignCase>,
    #[serde(default)]
    drifts: Vec<DriftCase>,
}

/// Operation and input → request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestCase {
    operation: String,
    #[serde(default)]
    connection: Value,
    #[serde(default)]
    input: Value,
    page: Option<Value>,
    seen: Option<String>,
    /// `GET https://…`
    request: Option<String>,
    json: Option<Value>,
    form: Option<Value>,
    /// Each part as it stands between the boundaries, without its last line break.
    parts: Option<Value>,
    headers: Option<Map<String, Value>>,
    fails: Option<String>,
}

/// Answer → outcome.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerCase {
    operation: String,
    #[serde(default)]
    connection: Value,
    #[serde(default)]
    input: Value,
    page: Option<Value>,
    seen: Option<String>,
    answer: Answer,
    value: Option<Value>,
    next: Option<Value>,
    fails: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Value,
    not_kept: Option<String>,
}

/// A vendor's record → the record that recipes see.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordCase {
    operation: String,
    #[serde(default)]
    names: Names,
    record: Value,
    becomes: Value,
}

/// What a recipe writes → what is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteCase {
    operation: String,
    #[serde(default)]
    names: Names,
    input: Value,
    becomes: Option<Value>,
    fails: Option<String>,
}

/// What a read gave → how it differs from what is promised.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DriftCase {
    operation: String,
    value: Value,
    /// In words.
    differs: Vec<String>,
}

/// Request → the same, signed at 2026-07-20T10:00:00Z with the nonce `n-1`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignCase {
    auth: String,
    secrets: Value,
    #[serde(default)]
    connection: Value,
    /// `GET https://…`
    request: String,
    #[serde(default)]
    body: String,
    /// Headers that it has already.
    #[serde(default)]
    with: Map<String, Value>,
    #[serde(default)]
    millisecond: i64,
    /// Path and query.
    becomes: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    fails: Option<String>,
}

#[test]
fn every_case_file_holds() {
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/connector");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    assert!(paths.len() >= 8, "the case files are gone");
    let mut wrong = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        match serde_yaml::from_str::<Case>(&text) {
            Ok(case) => wrong.extend(run(&case).into_iter().map(|what| format!("{name}: {what}\n  ({})", case.why))),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn run(case: &Case) -> Vec<String> {
    let documents: Vec<(&str, &str)> =
        case.documents.iter().map(|(path, text)| (path.as_str(), text.as_str().unwrap())).collect();
    let (connector, report) = read(&documents);
    let found = findings(&report);
    if found != case.findings {
        return vec![format!("findings are\n    {}", found.join("\n    "))];
    }
    let Some(connector) = connector else { return Vec::new() };
    let mut wrong = Vec::new();
    for (index, one) in case.requests.iter().enumerate() {
        wrong.extend(request(&connector, one).err().map(|why| format!("requests[{index}]: {why}")));
    }
    for (index, one) in case.answers.iter().enumerate() {
        wrong.extend(answer(&connector, one).err().map(|why| format!("answers[{index}]: {why}")));
    }
    for (index, one) in case.records.iter().enumerate() {
        let operation = connector.operation(&one.operation).expect("an operation of the document");
        let became = operation.shape(&connector, &one.record, &one.names);
        wrong.extend(same("the record", &became, &one.becomes).err().map(|why| format!("records[{index}]: {why}")));
    }
    for (index, one) in case.writes.iter().enumerate() {
        let operation = connector.operation(&one.operation).expect("an operation of the document");
        let became = operation.unshape(&connector, one.input.clone(), &one.names, &Locale::default());
        let result = match (became, &one.becomes, &one.fails) {
            (Ok(became), Some(becomes), None) => same("what is sent", &became, becomes),
            (Err(fault), None, Some(fails)) => same("the failure", &json!(fault.message), &json!(fails)),
            (became, ..) => Err(format!("gave {became:?}")),
        };
        wrong.extend(result.err().map(|why| format!("writes[{index}]: {why}")));
    }
    for (index, one) in case.signs.iter().enumerate() {
        wrong.extend(signed(&connector, one).err().map(|why| format!("signs[{index}]: {why}")));
    }
    for (index, one) in case.drifts.iter().enumerate() {
        let operation = connector.operation(&one.operation).expect("an operation of the document");
        let drifts = connector.drifts(operation, &one.value);
        let told: Vec<String> = drifts.iter().map(Drift::told).collect();
        wrong.extend(
            same("what differs", &json!(told), &json!(one.differs)).err().map(|why| format!("drifts[{index}]: {why}")),
        );
        let over = drifts.iter().find(|drift| !connector.differs_still(operation, drift));
        wrong.extend(over.map(|drift| format!("drifts[{index}]: `{}` is taken for mended", drift.field)));
    }
    wrong
}

fn signed(connector: &Connector, case: &SignCase) -> Result<(), String> {
    let found = connector.auth.iter().find(|(name, _)| *name == case.auth);
    let Some((_, Auth::Hmac(hmac))) = found else { return Err("no such way of auth".into()) };
    let (method, url) = case.request.split_once(' ').ok_or("no request line")?;
    let url = url::Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default();
    let text = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or_default().to_owned());
    let mut letter = Letter {
        method: method.into(),
        host: url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
        path: url.path().into(),
        query: url.query().unwrap_or_default().into(),
        headers: case.with.iter().map(text).collect(),
        body: case.body.clone(),
    };
    let now = DateTime::from_timestamp_millis(1_784_541_600_000 + case.millisecond).ok_or("no time")?;
    let signer = |secrets: &Value| {
        Signer::new(hmac.clone(), json!({ "secrets": secrets, "connection": case.connection })).map_err(str::to_owned)
    };
    let sign = |letter: &mut Letter| {
        let signer = signer(&case.secrets)?;
        signer.sign(letter, &signer.moment(now, "n-1".into())).map(|()| signer)
    };
    let signer_of_it = match (sign(&mut letter), &case.fails) {
        (Ok(signer), None) => signer,
        (Err(why), Some(fails)) => return same("the failure", &json!(why), &json!(fails)),
        (made, _) => return Err(format!("gave {made:?}")),
    };
    let target =
        if letter.query.is_empty() { letter.path.clone() } else { format!("{}?{}", letter.path, letter.query) };
    same("the target", &json!(target), &json!(case.becomes))?;
    let headers = letter.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    same("the headers", &Value::Object(headers), &Value::Object(case.headers.clone()))?;
    // Whoever gets it can prove it, and nothing else.
    let mut other = case.secrets.clone();
    // As text, in base64 and in hex it is one.
    other["secret"] = json!("abcd");
    let forged = |change: &dyn Fn(&mut Letter)| {
        let mut letter = letter.clone();
        change(&mut letter);
        signer_of_it.proves(&letter)
    };
    let proofs = (
        signer_of_it.proves(&letter),
        forged(&|letter| {
            letter.path.push('x');
            letter.query = format!("x=1&{}", letter.query);
        }),
        forged(&|letter| letter.headers.retain(|(name, _)| name == "content-type")),
        signer(&other).is_ok_and(|other| other.proves(&letter)),
    );
    match proofs {
        (true, false, false, false) => Ok(()),
        proofs => {
            Err(format!("of itself, another target, without headers, another secret, these are proved: {proofs:?}"))
        }
    }
}

fn same(what: &str, given: &Value, wanted: &Value) -> Result<(), String> {
    if given == wanted { Ok(()) } else { Err(format!("{what} is\n    {given}\n  not\n    {wanted}")) }
}

fn request(connector: &Connector, case: &RequestCase) -> Result<(), String> {
    let operation = connector.operation(&case.operation).ok_or("no such operation")?;
    let page = Page { next: case.page.clone(), seen: case.seen.clone() };
    let made = operation.request(connector, &case.connection, &case.input, &page);
    match (made, &case.fails) {
        (Ok(request), None) => compare(&request, case),
        (Err(failure), Some(fails)) => same("the failure", &json!(failure.to_string()), &json!(fails)),
        (made, _) => Err(format!("gave {made:?}")),
    }
}

fn compare(request: &Request, case: &RequestCase) -> Result<(), String> {
    let line = format!("{} {}", request.method, request.url);
    same("the request", &json!(line), &json!(case.request))?;
    let (json, form, parts) = match &request.body {
        None => (None, None, None),
        Some(Body::Json(value)) => (Some(value.clone()), None, None),
        Some(Body::Form(pairs)) => (None, Some(json!(pairs)), None),
        Some(body @ Body::Multipart(_)) => (None, None, Some(parts(body))),
        Some(Body::Bytes { .. }) => return Err("no operation sends bytes".into()),
    };
    same("the parts", &json!(parts), &json!(case.parts))?;
    same("the JSON body", &json!(json), &json!(case.json))?;
    same("the form", &json!(form), &json!(case.form))?;
    let headers: Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    match &case.headers {
        Some(wanted) => same("the headers", &Value::Object(headers), &Value::Object(wanted.clone())),
        None => Ok(()),
    }
}

fn parts(body: &Body) -> Value {
    let (kind, bytes) = body.encoded();
    let (_, boundary) = kind.split_once("boundary=").expect("a boundary");
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    let text = text.strip_suffix(&format!("--{boundary}--\n")).expect("an end");
    let between = format!("--{boundary}\n");
    let parts = text.split(&between).skip(1);
    parts.map(|part| part.strip_suffix('\n').expect("a line break")).collect()
}

fn answer(connector: &Connector, case: &AnswerCase) -> Result<(), String> {
    let operation = connector.operation(&case.operation).ok_or("no such operation")?;
    let header = |(name, value): (&String, &Value)| (name.clone(), value.as_str().unwrap_or_default().to_owned());
    let response = Response {
        status: case.answer.status,
        headers: case.answer.headers.iter().map(header).collect(),
        body: case.answer.body.clone(),
        not_kept: case.answer.not_kept.clone(),
    };
    let page = Page { next: case.page.clone(), seen: case.seen.clone() };
    match (connector.outcome(operation, &case.input, &case.connection, &page, response), &case.fails) {
        (Outcome::Done { value, next }, None) => {
            same("the value", &value, case.value.as_ref().unwrap_or(&Value::Null))?;
            same("the next page", &json!(next.and_then(|page| page.next)), &json!(case.next))
        }
        (Outcome::Failed(failure), Some(fails)) => {
            let mut failure = serde_json::to_value(failure).map_err(|error| error.to_string())?;
            // The status is that of the answer above it.
            failure.as_object_mut().map(|failure| failure.shift_remove("status"));
            same("the failure", &failure, fails)
        }
        (outcome, _) => Err(format!("gave {outcome:?}")),
    }
}
