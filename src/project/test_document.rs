//! The document `test:`: given, when, then for one workflow or sync, as written and as far as it can be judged unrun.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::refused::Refused;
use crate::expr::{Condition, Expr, Locale, Problem, parse_duration, read_time};
use crate::source::{Diagnostic, File, Place, Report, check_shape, under};
use crate::workflow::action::verb_schema;

/// A test document as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a test document")]
pub struct TestDocument {
    /// The workflow or sync that it tests, and whose aliases it uses.
    pub test: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// The simulated clock when each test begins: `"2026-09-01T10:00:00Z"`.
    pub now: Option<String>,
    /// The tests, each by itself: nothing is left over from one for the next.
    #[schemars(length(min = 1))]
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a test")]
pub struct Test {
    /// What is proved, in a sentence.
    pub name: String,
    /// The records that are there before, by `alias.object`, or the file that holds them: `fixtures/ghl.contact.json`.
    #[serde(default)]
    pub given: BTreeMap<String, Given>,
    /// What happens, one after the other.
    #[serde(default)]
    pub when: Vec<Step>,
    /// Random edits on both sides, instead of steps.
    pub generate: Option<Generate>,
    /// What goes wrong on the way.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What holds when nothing moves any more.
    pub then: Then,
}

/// Records that are there before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Given {
    Records(Vec<Map<String, Value>>),
    /// A file beside the test document.
    File(String),
}

/// One thing that happens: exactly one of `webhook`, `edit`, `delete`, `run`, `after`.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Step(pub Map<String, Value>);

/// Keys that every step may have.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "for the schema: a step is read as a map")]
struct StepCommon {
    /// How often it happens; default: once.
    #[schemars(range(min = 1))]
    times: Option<u32>,
}

/// `webhook: ghl`
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "for the schema: a step is read as a map")]
struct WebhookStep {
    /// The alias whose vendor sends it, or the path of a workflow's own webhook: `/new-order`.
    webhook: String,
    /// What is sent, or the file that holds it: `fixtures/contact-create.json`.
    body: Option<Value>,
}

/// `edit: os.contact/new`
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "for the schema: a step is read as a map")]
struct EditStep {
    /// `alias.object/id`; `new` for a record that is not there yet.
    edit: String,
    /// Its fields.
    set: Map<String, Value>,
}

/// `delete: os.contact/c1`
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "for the schema: a step is read as a map")]
struct DeleteStep {
    /// `alias.object/id`.
    delete: String,
}

/// `run:` by hand
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "for the schema: a step is read as a map")]
struct RunStep {
    /// The inputs of a workflow that is started by hand.
    run: Map<String, Value>,
}

/// `after: 2h`
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "for the schema: a step is read as a map")]
struct AfterStep {
    /// The clock moves on so far.
    #[schemars(extend("x-takes" = "a duration"))]
    after: String,
}

impl JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let verbs = json!({
            "webhook": generator.subschema_for::<WebhookStep>(),
            "edit": generator.subschema_for::<EditStep>(),
            "delete": generator.subschema_for::<DeleteStep>(),
            "run": generator.subschema_for::<RunStep>(),
            "after": generator.subschema_for::<AfterStep>(),
        });
        verb_schema("a step", generator.subschema_for::<StepCommon>(), verbs)
    }
}

/// Random edits; a failing seed is told and can be given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`generate`")]
pub struct Generate {
    /// How many.
    #[schemars(range(min = 1))]
    pub edits: u32,
    /// Webhooks come more than once.
    #[serde(default)]
    pub duplicates: bool,
    /// Webhooks come in another order.
    #[serde(default)]
    pub reorder: bool,
    /// Where the engine is stopped and started again.
    pub crash: Option<Crash>,
    /// The same edits again.
    pub seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Crash {
    AfterAnyWrite,
}

/// Something that goes wrong; the key names the fault, the value says how often.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Fault(pub Map<String, Value>);

/// Keys that every fault has.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "for the schema: a fault is read as a map")]
struct FaultCommon {
    /// An alias, or one of its operations: `ghl.contact.create`.
    at: String,
}

/// An answer with another status.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "for the schema: a fault is read as a map")]
struct StatusFault {
    /// The status that is answered instead.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// How often; default: once.
    #[schemars(range(min = 1))]
    times: Option<u32>,
}

impl JsonSchema for Fault {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fault".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = |key: &str, about: &str, schema: Value| {
            let mut schema = schema;
            schema["description"] = about.into();
            json!({ "type": "object", "properties": { key: schema }, "required": [key] })
        };
        let often = || json!({ "type": "integer", "minimum": 1 });
        let lag = json!({ "type": "string", "x-takes": "a duration" });
        let verbs = json!({
            "status": generator.subschema_for::<StatusFault>(),
            "timeout": one("timeout", "So many requests get no answer and are not carried out.", often()),
            "timeout_after_write": one("timeout_after_write", "So many are carried out and get no answer.", often()),
            "lag": one("lag", "Writes are found by searches only after so long: `10s`.", lag),
            "drop_field": one("drop_field", "A field that is accepted and not kept.", json!({ "type": "string" })),
            "lose": one("lose", "So many webhooks never come.", often()),
            "duplicate": one("duplicate", "So many webhooks come twice.", often()),
            "reorder": one("reorder", "So many webhooks come after their successor.", often()),
        });
        verb_schema("a fault", generator.subschema_for::<FaultCommon>(), verbs)
    }
}

/// What holds in the end; further keys are `alias.object`, with exactly these records.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(title = "`then`")]
pub struct Then {
    /// How many writes were sent, by alias.
    #[serde(default)]
    pub writes: BTreeMap<String, u32>,
    /// How many records there are, by `alias.object`.
    #[serde(default)]
    pub count: BTreeMap<String, u32>,
    /// No write follows after so many rounds of webhooks.
    pub quiet_after: Option<u32>,
    /// Both sides of a sync are equal.
    pub converged: Option<bool>,
    /// How the last run ended that was told anything new: `completed`, `skipped` or `failed`.
    pub run: Option<RunEnding>,
    /// The name of the error with which the last run failed: `invalid`, `conflict`.
    pub error: Option<String>,
    /// What `stop` gave in the last run; of a map at least these fields.
    pub value: Option<Value>,
    /// A condition that holds over all records: `{ "$.ghl.contact[0].email": { blank: false } }`.
    pub holds: Option<Value>,
    /// Exactly these records, in any order, each with at least these fields.
    #[serde(flatten)]
    pub records: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunEnding {
    Completed,
    Skipped,
    Failed,
}

/// Keys of `then` that are no `alias.object`.
const THEN_KEYS: [&str; 8] = ["writes", "count", "quiet_after", "converged", "run", "error", "value", "holds"];

/// The JSON Schema of the kind.
pub fn test_schema() -> Value {
    SCHEMA.clone()
}

/// To make it takes longer than to read a document.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(TestDocument).to_value());

/// A test document in which nothing is wrong.
#[derive(Debug)]
pub struct Tested {
    pub document: TestDocument,
    /// Where each of its tests stands.
    pub places: Vec<Place>,
}

impl Tested {
    /// The file that it stands in.
    pub fn path(&self) -> &str {
        self.places.first().map_or("", |place| &place.path)
    }
}

/// A document that can be tested: its name, and the aliases of its `uses`.
pub(super) struct Subject {
    pub name: String,
    pub aliases: Vec<String>,
}

/// Reads a test document and judges it against the documents of the project. None if anything is wrong with it.
pub(super) fn read(file: &File, subjects: &[Subject], refused: &Refused, report: &mut Report) -> Option<Tested> {
    let mut found = Report::default();
    check_shape(file, "", &SCHEMA, &mut found);
    let broken = found.has_errors();
    report.extend(found);
    if broken {
        return None;
    }
    let document: TestDocument = match serde_json::from_value(file.value.clone()) {
        Ok(document) => document,
        Err(error) => {
            report.push(Diagnostic::error("bad-value", error.to_string()).at(file, "", ""));
            return None;
        }
    };
    let Some(subject) = subjects.iter().find(|subject| subject.name == document.test) else {
        if ["workflow", "sync"].iter().any(|kind| refused.has(kind, &document.test)) {
            return None;
        }
        let message = format!("no workflow or sync is called `{}`", document.test);
        let names = subjects.iter().map(|subject| subject.name.as_str());
        report
            .push(Diagnostic::error("unknown-document", message).at(file, "/test", "").nearest(&document.test, names));
        return None;
    };
    let mut judge = Judge { file, aliases: &subject.aliases, report: Report::default() };
    judge.document(&document);
    let clean = !judge.report.has_errors();
    report.extend(judge.report);
    let places = (0..document.tests.len()).map(|index| file.place(&format!("/tests/{index}")));
    clean.then(|| Tested { places: places.collect(), document })
}

struct Judge<'a> {
    file: &'a File,
    aliases: &'a [String],
    report: Report,
}

impl Judge<'_> {
    fn document(&mut self, document: &TestDocument) {
        if let Some(now) = document.now.as_ref().filter(|now| read_time(now, &Locale::default()).is_none()) {
            let found = Diagnostic::error("bad-value", format!("`{now}` is no time"));
            self.report.push(found.at(self.file, "/now", "").help("write it as `\"2026-09-01T10:00:00Z\"`"));
        }
        for (index, test) in document.tests.iter().enumerate() {
            self.test(test, &format!("/tests/{index}"));
        }
    }

    fn test(&mut self, test: &Test, pointer: &str) {
        for key in test.given.keys() {
            self.object(key, &under(&format!("{pointer}/given"), key), true);
        }
        for (index, step) in test.when.iter().enumerate() {
            self.step(&step.0, &format!("{pointer}/when/{index}"));
        }
        for (index, fault) in test.faults.iter().enumerate() {
            let at = format!("{pointer}/faults/{index}");
            if let Some(place) = fault.0.get("at").and_then(Value::as_str) {
                let alias = place.split_once('.').map_or(place, |(alias, _)| alias);
                self.alias(alias, &format!("{at}/at"), false);
            }
            if let Some(lag) = fault.0.get("lag").and_then(Value::as_str) {
                self.duration(lag, &format!("{at}/lag"));
            }
        }
        if test.when.is_empty() && test.generate.is_none() {
            let found = Diagnostic::error("missing-key", "nothing happens in this test");
            self.report.push(found.at_key(self.file, pointer, "").help("add `when:` with steps, or `generate:`"));
        }
        self.then(&test.then, &format!("{pointer}/then"));
    }

    fn step(&mut self, step: &Map<String, Value>, pointer: &str) {
        let text = |key: &str| step.get(key).and_then(Value::as_str);
        if let Some(webhook) = text("webhook").filter(|webhook| !webhook.starts_with('/')) {
            self.alias(webhook, &format!("{pointer}/webhook"), false);
        }
        for key in ["edit", "delete"] {
            let Some(record) = text(key) else { continue };
            let at = format!("{pointer}/{key}");
            match record.split_once('/').filter(|(_, id)| !id.is_empty()) {
                Some((object, _)) => self.object(object, &at, false),
                None => {
                    let found = Diagnostic::error("bad-value", format!("`{record}` names no record"));
                    self.report.push(found.at(self.file, &at, "").help("write `alias.object/id`"));
                }
            }
        }
        if let Some(after) = text("after") {
            self.duration(after, &format!("{pointer}/after"));
        }
        for key in ["set", "run"] {
            if let Some(Err(problems)) = step.get(key).map(Expr::compile) {
                self.problems(problems, &format!("{pointer}/{key}"));
            }
        }
    }

    fn then(&mut self, then: &Then, pointer: &str) {
        for alias in then.writes.keys() {
            self.alias(alias, &under(&format!("{pointer}/writes"), alias), true);
        }
        for key in then.count.keys() {
            self.object(key, &under(&format!("{pointer}/count"), key), true);
        }
        if let Some(Err(problems)) = then.holds.as_ref().map(Condition::compile) {
            self.problems(problems, &format!("{pointer}/holds"));
        }
        for (key, records) in &then.records {
            let at = under(pointer, key);
            if !key.contains('.') {
                let found = Diagnostic::error("unknown-key", format!("unknown key `{key}`"));
                let help = format!("write `alias.object`, or one of `{}`", THEN_KEYS.join("`, `"));
                self.report.push(found.at_key(self.file, &at, "").help(help).nearest(key, THEN_KEYS));
                continue;
            }
            self.object(key, &at, true);
            if !records.as_array().is_some_and(|records| records.iter().all(Value::is_object)) {
                let found = Diagnostic::error("wrong-type", "expected a list of records");
                self.report.push(found.at(self.file, &at, "").help("write `[{ email: ada@example.com }]`"));
            }
        }
    }

    /// `alias.object`
    fn object(&mut self, text: &str, pointer: &str, is_key: bool) {
        match text.split_once('.').filter(|(alias, object)| !alias.is_empty() && !object.is_empty()) {
            Some((alias, _)) => self.alias(alias, pointer, is_key),
            None => {
                let found = Diagnostic::error("unknown-object", format!("`{text}` names no object"));
                let found = at(found, self.file, pointer, is_key);
                self.report.push(found.help("write the alias first: `alias.object`"));
            }
        }
    }

    fn alias(&mut self, alias: &str, pointer: &str, is_key: bool) {
        if !self.aliases.iter().any(|known| known == alias) {
            let found = Diagnostic::error("unknown-alias", format!("the tested document's `uses` has no `{alias}`"));
            let names = self.aliases.iter().map(String::as_str);
            let found = found.help(format!("it has `{}`", self.aliases.join("`, `")));
            self.report.push(at(found, self.file, pointer, is_key).nearest(alias, names));
        }
    }

    fn duration(&mut self, text: &str, pointer: &str) {
        if parse_duration(text).is_none() {
            self.report.push(Diagnostic::no_duration(text).at(self.file, pointer, ""));
        }
    }

    fn problems(&mut self, problems: Vec<Problem>, pointer: &str) {
        for problem in problems {
            self.report.push(problem.told(self.file, pointer));
        }
    }
}

fn at(found: Diagnostic, file: &File, pointer: &str, is_key: bool) -> Diagnostic {
    if is_key { found.at_key(file, pointer, "") } else { found.at(file, pointer, "") }
}
