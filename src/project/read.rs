//! From texts to a plan: which document is what, and all findings at once.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde_json::Value;

use super::parts::Needed;
use super::refused::{Refused, written};
use super::resolve::{Site, build, choose, known_names, read_project};
use super::test_document::{self, Subject, Tested};
use super::{Plan, bounds, check, remembered};
use crate::connector::{self, Connector};
use crate::source::{Diagnostic, FINDINGS_MAX, File, Report, Severity, TEXT_BYTES_MAX, nearest};
use crate::sync::Sync;
use crate::workflow::{Workflow, WorkflowRead};

/// A document's path, relative to the project, and its text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Text {
    pub path: String,
    pub text: String,
}

impl Text {
    /// The connector that it describes or adds to, found without reading it.
    pub fn connector(&self) -> Option<&str> {
        written(&self.text, "connector")
    }
}

/// What came of reading a project.
#[derive(Debug)]
pub struct Loaded {
    /// Every file, also those that could not be parsed: for rendering the report.
    pub files: Vec<File>,
    pub report: Report,
    /// None if there is an error.
    pub plan: Option<Plan>,
    /// A plan in which nothing is wrong but that accounts are missing: it can be tested.
    pub unconnected: Option<Plan>,
    /// The test documents in which nothing is wrong.
    pub tests: Vec<Tested>,
}

/// Codes of findings that say that an account is missing, or lacks something.
const OF_ACCOUNTS: [&str; 3] = ["missing-connection", "ambiguous-connection", "missing-setting"];

/// The five kinds, by first key.
const KINDS: [&str; 5] = ["connector", "workflow", "sync", "test", "project"];

/// The files that the documents name and that belong to the project with them, schemas and OpenAPI documents: their paths, and how
/// many bytes may be read of each.
pub fn named_files(documents: &[Text]) -> BTreeMap<String, usize> {
    let may_name = |text: &&Text| text.text.contains(".json") || text.text.contains("\nimport:");
    let files = documents.iter().filter(may_name).filter_map(|text| File::read(&text.path, &text.text).ok());
    let mut named = BTreeMap::new();
    for file in files.filter(|file| file.first_key() == Some("connector")) {
        named.extend(connector::schema_files(&file).into_iter().map(|path| (path, TEXT_BYTES_MAX)));
        named.extend(connector::imported_file(&file).map(|path| (path, connector::IMPORTED_BYTES_MAX)));
    }
    named
}

/// Each text with what it holds, a project's and then those that come with the program.
pub(super) fn read_files<'t>(own: &[&'t Text], shipped: &[&'t Text]) -> Vec<(&'t Text, Result<File, Report>)> {
    let all = own.par_iter().map(|text| (*text, false)).chain(shipped.par_iter().map(|text| (*text, true)));
    let read = |(text, is_shipped): (&'t Text, bool)| {
        let mut read = File::read(&text.path, &text.text);
        read.iter_mut().for_each(|file| file.is_shipped = is_shipped);
        (text, read)
    };
    all.map(read).collect()
}

/// The files among a project's texts that are read where a connector names them, and the documents.
pub(super) fn parted(own: &[Text]) -> (Vec<File>, Vec<&Text>) {
    let is_named = |text: &&Text| text.path.ends_with(".json") || connector::is_openapi(&text.path);
    let (named, documents): (Vec<&Text>, _) =
        own.iter().filter(|text| text.path != remembered::FILE).partition(is_named);
    (named.into_iter().map(|text| File::unread(&text.path, &text.text)).collect(), documents)
}

/// What connectors import; those whose document cannot be imported are told, and taken away.
fn imports(connectors: &mut Vec<&File>, named: &[File], report: &mut Report) -> Vec<File> {
    let lives = |file: &&File| file.value.get("base_url").is_some();
    let living: Vec<&Value> =
        connectors.iter().filter(|file| lives(file)).map(|file| &file.value["connector"]).collect();
    let adds = |file: &&File| !lives(file) && living.contains(&&file.value["connector"]);
    let mut imports = Vec::new();
    connectors.retain(|file| {
        match connector::imported(file, adds(file), named.iter().map(|file| (&*file.path, &*file.text))) {
            None => true,
            Some(Ok(imported)) => {
                imports.push(imported);
                true
            }
            Some(Err(found)) => {
                report.push(*found);
                false
            }
        }
    });
    imports
}

/// Reads a project. `shipped` are the connectors that come with the program: each is used unless the project has one of
/// that name itself; files that only add to it, and `NAME.override.yaml`, are merged with it. Only those are read, and of one
/// in many files only those files, that the project needs.
pub fn read(own: &[Text], shipped: &[Text], environment: Option<&str>) -> Loaded {
    read_draft(own, shipped, environment, None)
}

/// The same, with the document at this path judged as if it were active: somebody is writing it.
pub fn read_draft(own: &[Text], shipped: &[Text], environment: Option<&str>, draft: Option<&str>) -> Loaded {
    let needed = Needed::of(own, shipped);
    let loaded = read_with(own, &needed, environment, draft);
    match needed.with_unknown(&loaded.report) {
        // To say what is meant by a name that is nowhere, all names are needed.
        Some(all) => read_with(own, &all, environment, draft),
        None => loaded,
    }
}

fn read_with(own: &[Text], shipped: &Needed<'_>, environment: Option<&str>, draft: Option<&str>) -> Loaded {
    let mut report = Report::default();
    let mut files = Vec::new();
    let mut unread = Vec::new();
    let (schemas, documents) = parted(own);
    for (text, read) in read_files(&documents, &shipped.files) {
        match read {
            Ok(file) => files.push(file),
            Err(found) => {
                report.extend(found);
                unread.push(File::unread(&text.path, &text.text));
            }
        }
    }
    let lock = own.iter().find(|text| text.path == remembered::FILE).map(|text| {
        File::read(&text.path, &text.text).inspect_err(|_| unread.push(File::unread(&text.path, &text.text)))
    });
    let mut kinds: Vec<(&str, &File)> = Vec::new();
    let mut odd = Vec::new();
    for file in &files {
        match kind_of(file, &mut report) {
            Some(kind) if file.is_shipped || bounds::check(kind, file, &mut report) => kinds.push((kind, file)),
            _ => odd.push(file),
        }
    }
    let mut refused = Refused::new(unread.iter().chain(odd));
    let of = |kind: &str| kinds.iter().filter(|(known, _)| *known == kind).map(|(_, file)| *file).collect::<Vec<_>>();
    let (connectors, used, imports) = read_connectors(of("connector"), &schemas, own, &mut report);
    let mut workflows: Vec<(Workflow, &File)> = Vec::new();
    // What is left of those with mistakes.
    let mut parts: Vec<(Workflow, &File)> = Vec::new();
    let files_of_workflows = of("workflow");
    let read = files_of_workflows.par_iter().map(|file| {
        let mut report = Report::default();
        (Workflow::read(file, &mut report), report)
    });
    let read: Vec<_> = read.collect();
    for (file, (read, found)) in files_of_workflows.into_iter().zip(read) {
        report.extend(found);
        match read {
            WorkflowRead::Whole(workflow) => {
                workflows.push((workflow, file));
                continue;
            }
            WorkflowRead::Part(workflow) => parts.push((workflow, file)),
            WorkflowRead::Nothing => {}
        }
        refused.add_file("workflow", file);
    }
    let mut syncs: Vec<(Sync, &File)> = Vec::new();
    for file in of("sync") {
        match Sync::read(file, &mut report) {
            Some(sync) => syncs.push((sync, file)),
            None => refused.add_file("sync", file),
        }
    }
    for file in of("connector") {
        let name = file.value.get("connector");
        if !connectors.iter().any(|connector| name == Some(&Value::from(connector.name.as_str()))) {
            refused.add_file("connector", file);
        }
    }
    let subjects = subjects(&of("workflow"), &of("sync"), &mut report);
    let mut tests = Vec::new();
    for file in of("test") {
        tests.extend(test_document::read(file, &subjects, &refused, &mut report));
    }
    let project = read_project(&of("project"), environment, &refused, &mut report);
    let scripts = project.as_ref().and_then(|(document, _)| document.scripts);
    for (kind, file) in kinds.iter().filter(|(_, file)| !file.is_shipped) {
        check::scripts::check(kind, file, scripts, &mut report);
    }
    let used = |text: &&Text| used.contains(&text.path);
    let own = own.iter().filter(|text| text.path != remembered::FILE);
    let documents: Vec<Text> = own.chain(shipped.files.iter().copied().filter(used)).cloned().collect();
    let mut plan = None;
    if let Some((document, file)) = project {
        let site = Site::new(file, environment);
        let mut built = build(&document, &site, connectors, environment, documents, &mut refused, &mut report);
        known_names(&document, &site, &subjects, &refused, &mut report);
        let workflows = choose(&document, draft, workflows, |workflow| &workflow.name);
        let parts = choose(&document, draft, parts, |workflow| &workflow.name);
        let syncs = choose(&document, draft, syncs, |sync| &sync.name);
        check::check(&mut built, (workflows, parts, syncs), &files, &refused, &mut report);
        plan = Some(built);
    }
    if let Some(read) = lock {
        match read {
            Ok(file) => {
                remembered::check(&file, plan.as_ref(), &shipped.left(), &mut report);
                files.push(file);
            }
            Err(found) => report.extend(found),
        }
    }
    let is_of_accounts = |found: &Diagnostic| found.severity != Severity::Error || OF_ACCOUNTS.contains(&found.code);
    let (plan, unconnected) = match (report.has_errors(), report.diagnostics.iter().all(is_of_accounts)) {
        (false, _) => (plan, None),
        (true, true) => (None, plan),
        (true, false) => (None, None),
    };
    files.extend(unread);
    files.extend(imports);
    Loaded { files, report: readable(report), plan, unconnected, tests }
}

/// As a person goes through them: file by file, from top to bottom, and of no file more than anyone reads.
fn readable(mut report: Report) -> Report {
    let path = |found: &Diagnostic| found.primary.as_ref().map(|place| place.path.clone());
    report
        .diagnostics
        .sort_by_cached_key(|found| found.primary.as_ref().map(|place| (place.path.clone(), place.span.start)));
    let mut counts = HashMap::new();
    let (told, left_out): (Vec<_>, Vec<_>) = report.diagnostics.into_iter().partition(|found| {
        // Warnings take no room from errors, which decide whether the project can run.
        let count = counts.entry((path(found), found.severity)).or_insert(0);
        *count += 1;
        *count <= FINDINGS_MAX
    });
    report.diagnostics = told;
    for path in left_out.iter().filter_map(path) {
        report.leave_out(&path, 1);
    }
    report
}

/// The kind that a document's first key says.
fn kind_of<'f>(file: &'f File, report: &mut Report) -> Option<&'f str> {
    let first = file.first_key();
    if let Some(kind) = first.filter(|first| KINDS.contains(first)) {
        return Some(kind);
    }
    let misplaced = KINDS.iter().find(|kind| file.value.get(**kind).is_some());
    let found =
        match (first, misplaced) {
            (Some(first), Some(kind)) => {
                Diagnostic::error("unknown-kind", format!("the first key is `{first}`, not `{kind}`"))
                    .at_key(file, &format!("/{first}"), "")
                    .help(format!("move `{kind}:` to the top: the first key says what the document is"))
            }
            (Some(first), None) => {
                let found = Diagnostic::error("unknown-kind", format!("no kind of document begins with `{first}`"))
                    .at_key(file, &format!("/{first}"), "");
                match nearest(first, KINDS) {
                    Some(near) => found.help(format!("did you mean `{near}`?")),
                    None => found.help("begin with `connector:`, `workflow:`, `sync:`, `test:` or `project:`"),
                }
            }
            (None, _) => Diagnostic::error("unknown-kind", "the document is no map of keys")
                .at(file, "", "")
                .help("begin with `connector:`, `workflow:`, `sync:`, `test:` or `project:`"),
        };
    report.push(found);
    None
}

/// Reads connectors by name; gives them, the paths of the files that were used, and what was imported.
pub(super) fn read_connectors(
    mut written: Vec<&File>,
    named: &[File],
    own: &[Text],
    report: &mut Report,
) -> (Vec<Connector>, Vec<String>, Vec<File>) {
    let imports = imports(&mut written, named, report);
    let files: Vec<&File> = written.into_iter().chain(&imports).collect();
    let own: Vec<&str> =
        own.iter().map(|text| text.path.as_str()).chain(imports.iter().map(|file| &*file.path)).collect();
    let name_of = |file: &File| file.value.get("connector").and_then(Value::as_str).map(String::from);
    let mut names: Vec<String> = files.iter().filter_map(|file| name_of(file)).collect();
    names.sort();
    names.dedup();
    let mut connectors = Vec::new();
    let mut used = Vec::new();
    for name in names {
        let all: Vec<&File> = files.iter().copied().filter(|file| name_of(file).as_deref() == Some(&name)).collect();
        let is_own = |file: &&&File| own.contains(&&*file.path);
        let is_override = |file: &&&File| file.path.ends_with(".override.yaml");
        // A file that does not say where the API lives adds to the one that does.
        let is_main = |file: &&&File| !is_override(file) && file.value.get("base_url").is_some();
        let replaced = all.iter().filter(is_own).any(|file| is_main(&file));
        let chosen: Vec<&File> = all.iter().filter(|file| !replaced || is_own(file)).copied().collect();
        if chosen.iter().all(|file| is_override(&file)) {
            let message = format!("this file refines the connector `{name}`, which is not there");
            let others = files.iter().filter_map(|file| (!is_override(&file)).then(|| name_of(file)).flatten());
            let others: Vec<String> = others.collect();
            for file in chosen {
                let found = Diagnostic::error("unknown-connector", message.clone()).at(file, "/connector", "");
                report.push(found.nearest(&name, others.iter().map(String::as_str)));
            }
            continue;
        }
        used.extend(chosen.iter().map(|file| file.path.to_string()));
        // Files that are not strings under `connector:` are found by the shape check of the reader.
        let together: Vec<&File> = chosen.into_iter().chain(named).collect();
        connectors.extend(Connector::read(&together, report));
    }
    for file in files.iter().filter(|file| name_of(file).is_none()) {
        Connector::read(&[file], report);
    }
    (connectors, used, imports)
}

/// The documents that `active:` and `test:` can name, also those with mistakes; no two may have one name.
fn subjects(workflows: &[&File], syncs: &[&File], report: &mut Report) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    let mut firsts: HashMap<&str, (&File, &str)> = HashMap::new();
    let all = workflows.iter().map(|file| (*file, "workflow")).chain(syncs.iter().map(|file| (*file, "sync")));
    for (file, kind) in all {
        let Some(name) = file.value.get(kind).and_then(Value::as_str) else { continue };
        if let Some(&(first, first_kind)) = firsts.get(name) {
            let message = match kind == first_kind {
                true => format!("two {kind}s are called `{name}`"),
                false => format!("a {first_kind} and a {kind} are called `{name}`"),
            };
            report.push(
                Diagnostic::error("duplicate-name", message)
                    .at(file, &format!("/{kind}"), "")
                    .also(first, &format!("/{first_kind}"), "the first")
                    .help("give one of them another name"),
            );
            continue;
        }
        let aliases = file.value.get("uses").and_then(Value::as_object).into_iter().flatten();
        subjects.push(Subject { name: name.into(), aliases: aliases.map(|(alias, _)| alias.clone()).collect() });
        firsts.insert(name, (file, kind));
    }
    subjects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::render_text;

    #[test]
    fn what_is_more_than_anyone_reads_is_counted() {
        let text = |path: &str, text: String| Text { path: path.into(), text };
        let lines = |count: usize, line: &str| format!("{line}\n").repeat(count);
        let own = [
            text("dovetail.yaml", "project: a\n".into()),
            // By shape, by the walk through a workflow, by YAML itself, by both ways of counting, and none.
            text(
                "workflows/a.yaml",
                format!("workflow: a\ntrigger: {{ manual: }}\nactions:\n{}", lines(130, "- wait: { for: 1s }\n  x: 1")),
            ),
            text(
                "workflows/b.yaml",
                format!("workflow: b\ntrigger: {{ manual: }}\nactions:\n{}", lines(130, "- wait: { until: $.nobody }")),
            ),
            text("workflows/c.yaml", lines(130, "<<: a")),
            text(
                "workflows/d.yaml",
                format!(
                    "workflow: d\ntrigger: {{ manual: }}\nactions:\n{}",
                    lines(101, "- wait: { until: { $script: a b } }")
                ),
            ),
            text(
                "workflows/e.yaml",
                format!(
                    "workflow: e\ntrigger: {{ manual: }}\nactions:\n{}",
                    lines(100, "- wait: { until: { $script: a b } }")
                ),
            ),
        ];
        let report = read(&own, &[], None).report;
        assert_eq!(report.count(Severity::Error), 500);
        let more = report.left_out().collect::<Vec<_>>();
        assert_eq!(
            more,
            [
                "workflows/a.yaml has 30 more findings, which are not shown",
                "workflows/b.yaml may have more findings: after 100 of one file no others are looked for",
                "workflows/c.yaml may have more findings: after 100 of one file no others are looked for",
                "workflows/d.yaml has 1 more finding, which is not shown",
            ]
        );
        let told = render_text(&report, &[], false);
        assert!(told.ends_with("\nnote: workflows/d.yaml has 1 more finding, which is not shown\n"), "{told}");
    }

    #[test]
    fn a_connector_is_read_only_if_a_document_names_it() {
        let text = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
        let shipped = ["crm", "shop"].map(|name| {
            let auth = "auth: { key: { bearer: $.secrets.key } }\n";
            text(
                &format!("shipped/connectors/{name}.yaml"),
                &format!("connector: {name}\nversion: 1.0.0\nbase_url: https://{name}.example.com\n{auth}"),
            )
        });
        let project = "project: a\nconnections: { a: { connector: crm, key: $.secrets.key } }\n";
        let lock = "connectors: { crm: 1, shop: 1 }\n";
        let plan = |own: &[Text]| {
            let loaded = read(own, &shipped, None);
            assert!(loaded.report.is_empty(), "{:?}", loaded.report);
            loaded.plan.expect("a plan")
        };
        let names = |plan: &Plan| plan.connectors.iter().map(|known| known.name.clone()).collect::<Vec<_>>();
        let mut own = vec![text("dovetail.yaml", project)];
        let first = plan(&own);
        assert_eq!((names(&first), first.documents.len()), (vec!["crm".to_owned()], 2));
        own.push(text(remembered::FILE, lock));
        assert_eq!(plan(&own).hash, first.hash, "what is remembered names nothing");
        own[1].text = "connectors: { crm: 1, shpo: 1 }\n".into();
        let loaded = read(&own, &shipped, None);
        let help = loaded.report.diagnostics.iter().map(|found| found.help.as_deref()).collect::<Vec<_>>();
        assert_eq!(help, [Some("did you mean `shop`?")]);
        assert_eq!(loaded.plan.expect("a warning only").hash, first.hash);
        own[1] = text("workflows/w.yaml", "workflow: w\nuses: { s: shop }\ntrigger: { manual: }\nactions: []\n");
        let read_too =
            read(&own, &shipped, None).files.iter().any(|file| &*file.path == "shipped/connectors/shop.yaml");
        assert!(read_too);
    }

    #[test]
    fn a_plan_is_the_same_again_from_what_is_kept() {
        let text = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
        let connector = "connector: crm\nbase_url: https://example.com\nauth: { key: { bearer: $.secrets.key } }\n\
                         objects: { contact: { schema: ./contact.json } }\n";
        let shipped = [text("shipped/connectors/crm.yaml", connector)];
        let mut own = vec![
            text("dovetail.yaml", "project: a\nconnections: { crm: { connector: crm, key: $.secrets.key } }\n"),
            text("connectors/crm.yaml", connector),
            text("connectors/contact.json", r#"{ "properties": { "id": { "type": "string" } } }"#),
        ];
        assert_eq!(named_files(&own[..2]), BTreeMap::from([("connectors/contact.json".to_owned(), TEXT_BYTES_MAX)]));
        let loaded = read(&own, &shipped, None);
        assert!(loaded.report.is_empty(), "{:?}", loaded.report);
        let plan = loaded.plan.expect("a plan");
        let again = read(&plan.documents, &[], None).plan.expect("no findings");
        assert_eq!(again.hash, plan.hash);
        assert_eq!(format!("{:?}", again.connectors), format!("{:?}", plan.connectors));
        own[2].text.push('\n');
        assert_ne!(read(&own, &shipped, None).plan.expect("no findings").hash, plan.hash);
        own.remove(2);
        assert!(read(&own, &shipped, None).plan.is_none(), "without its schema it is not read");
    }
}
