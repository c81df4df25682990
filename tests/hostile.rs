//! Documents that are meant to harm, at the program's door: `dovetail check` ends soon, within its memory, and tells.
//!
//! The bounds are those of a release build, one second and 64 MiB; unoptimised, it may take some times longer. Memory is
//! bounded by the system where it can be (`ulimit -d` of Linux): a program that asks for more is ended by a signal.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const TIME_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 });
const MEMORY_MAX_KIB: u32 = 64 * 1024;
/// What is told of one file.
const TOLD_BYTES_MAX: usize = 1024 * 1024;

const MIB: usize = 1024 * 1024;
const WORKFLOW: &str = "workflow: w\nuses: { ghl: gohighlevel }\ntrigger: { event: ghl.contact.created }\n";
const CONNECTOR: &str = "connector: crm\nversion: 1.0.0\nbase_url: https://api.example.com\nconnection: {}\nauth: { token: { bearer: $.secrets.token } }\n";

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Fine = 0,
    Findings = 3,
}
use Ends::{Findings, Fine};

/// A file of the project: what it is, its path, its bytes, and how the check of it ends.
type Hostile = (&'static str, &'static str, Vec<u8>, Ends);

/// A workflow with these actions.
fn actions(what: &'static str, ends: Ends, lines: String) -> Hostile {
    (what, "workflows/w.yaml", format!("{WORKFLOW}actions:\n{lines}").into_bytes(), ends)
}

/// A workflow file of any text.
fn text(what: &'static str, text: impl Into<Vec<u8>>) -> Hostile {
    (what, "workflows/w.yaml", text.into(), Findings)
}

/// Lines, each made from its number.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(|at| line(at) + "\n").collect()
}

/// `count` actions that stop with this text in quotes.
fn stops(count: usize, text: &str) -> String {
    lines(count, |_| format!("  - stop: \"{text}\""))
}

fn texts() -> Vec<Hostile> {
    let laughs = lines(9, |level| {
        let inner = if level == 0 { "x,".repeat(9) } else { format!("*a{},", level - 1).repeat(9) };
        format!("a{level}: &a{level} [{inner}]")
    });
    let utf16 = format!("\u{feff}{WORKFLOW}").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    vec![
        text("aliases of aliases", laughs),
        text("aliases of a long text", format!("a: &x {}\nb: [{}]\n", "y".repeat(MIB / 2), "*x,".repeat(100))),
        text("anchors", format!("a: [{}]", lines(60_000, |at| format!("&a{at} 1, ")))),
        text("open brackets", format!("a: {}", "[".repeat(500_000))),
        text("open braces", format!("a: {}", "{a: ".repeat(200_000))),
        text("lists of lists", "- ".repeat(500_000)),
        text("keys of keys", "? ".repeat(500_000)),
        text("deep maps", lines(1400, |depth| format!("{}a:", " ".repeat(depth)))),
        text("a million keys", format!("{WORKFLOW}{}", lines(1_000_000, |at| format!("k{at}: 1")))),
        text("as many keys as fit", format!("{WORKFLOW}{}", lines(70_000, |at| format!("k{at}: 1")))),
        text("unknown keys", format!("{WORKFLOW}{}", lines(19_000, |at| format!("k{at}: 1")))),
        text("one key, again and again", "a: 1\n".repeat(200_000)),
        text("many documents", "---\na: b\n".repeat(60_000)),
        text("tags", "!a ".repeat(300_000)),
        text("a comment", "#".repeat(1_000_000)),
        text("a text larger than a file may be", format!("{WORKFLOW}# {}", "x".repeat(20 * MIB))),
        text("byte order marks", "\u{feff}".repeat(300_000)),
        text("a byte order mark in the middle", format!("{WORKFLOW}\u{feff}actions: [{{ stop: 1 }}]\n")),
        text("control characters", "\u{1}".repeat(500_000)),
        text("NUL in a text", format!("{WORKFLOW}actions: [{{ stop: \"a\0b\" }}]\n")),
        text("a text that clears the screen", format!("{WORKFLOW}actions: [{{ stop: \"\u{1b}[2J\" }}]\n")),
        ("invalid UTF-8", "workflows/w.yaml", [WORKFLOW.as_bytes(), b"# \xff\xfe\n"].concat(), Findings),
        ("UTF-16", "workflows/w.yaml", utf16, Findings),
        text("an endless number", format!("{WORKFLOW}vars: {{ a: 1e999999999 }}\nactions: [{{ stop: 1 }}]\n")),
        text("endless numbers", format!("{WORKFLOW}vars:\n{}", lines(19_000, |at| format!("  k{at}: 1e{}", at + 400)))),
        actions("a long time", Findings, format!("  - wait: {{ for: {}d }}\n", "9".repeat(100_000))),
        ("a long number", "workflows/w.yaml", long_number(), Fine),
        actions("a long text", Fine, stops(1, &"x".repeat(MIB - 200))),
        actions("a text of escapes", Fine, stops(1, &"\\x41".repeat(MIB / 4 - 100))),
    ]
}

fn long_number() -> Vec<u8> {
    format!("{WORKFLOW}vars: {{ a: {} }}\nactions: [{{ stop: 1 }}]\n", "9".repeat(1_000_000)).into_bytes()
}

fn expressions() -> Vec<Hostile> {
    let every = |count, test: &str| {
        let test = test.to_owned();
        lines(count, move |at| {
            format!("  - {{ if: {{ $.contact.email: {{ matches: \"{test}{at}\" }} }}, then: [{{ stop: 1 }}] }}")
        })
    };
    let nested = |open: &str, inner: &str, close: &str, depth| open.repeat(depth) + inner + &close.repeat(depth);
    let filter = |test: &str| format!("$.contact[?{test}]");
    vec![
        actions("a long path", Findings, stops(1, &format!("${}", ".a".repeat(400_000)))),
        actions("as many filters as fit", Fine, stops(12, &filter(&["@.a"; 800].join("||")))),
        actions("too many filters", Findings, stops(240, &filter(&["@.a"; 800].join("||")))),
        actions("filters in brackets", Fine, stops(900, &filter(&nested("(", "@.a", ")", 7)))),
        actions("filters in filters", Findings, stops(900, &format!("$.contact{}", nested("[?@", ".a", "]", 8)))),
        actions("filters that never close", Findings, stops(900, &format!("$.contact{}", "[?@.a".repeat(8)))),
        actions("paths that look everywhere", Fine, stops(240, &format!("$.contact{}", "..*".repeat(1300)))),
        actions("huge regular expressions", Findings, every(90, "((a{100}){100}){100}")),
        actions("as many regular expressions as fit", Fine, every(48, r"\\w\\w\\w\\w\\w")),
        actions("too many regular expressions", Findings, every(5_000, r"\\w\\w\\w\\w\\w\\w\\w\\w")),
        actions("regular expressions in paths", Findings, stops(900, &filter(r"match(@.a, '\\w{90}')"))),
        actions("brackets of regular expressions", Findings, every(90, &nested("(", "", ")", 2000))),
        actions("braces of templates", Findings, stops(1, &"{{".repeat(500_000))),
        actions("as many templates as fit", Fine, stops(16, &"{{contact.email}}".repeat(600))),
        actions("too many templates", Findings, stops(16, &"{{contact.email}}".repeat(3700))),
        actions("blocks in blocks", Fine, stops(160, &nested("{{#if contact.email}}", "", "{{/if}}", 30))),
        actions("deeper blocks in blocks", Findings, stops(16, &nested("{{#if contact.email}}", "", "{{/if}}", 300))),
        actions("calls in calls", Findings, stops(240, &format!("{{{{{}}}}}", nested("default (", "a", ") 1", 300)))),
        actions("scripts without end", Fine, lines(900, |_| "  - stop: { $script: \"loop { let a = 1; }\" }".into())),
        actions("brackets of scripts", Findings, script(&"(".repeat(4000))),
        actions("blocks of scripts", Findings, script(&nested("if true {", "", "}", 400))),
        actions("sums of scripts", Findings, script(&"1+".repeat(2000))),
        ("a schedule that says each hour again and again", "workflows/w.yaml", schedule(), Fine),
    ]
}

fn script(text: &str) -> String {
    lines(240, |_| format!("  - stop: {{ $script: \"{text}\" }}"))
}

fn schedule() -> Vec<u8> {
    let hours = "0-23,".repeat(100_000);
    format!("workflow: w\ntrigger: {{ schedule: \"0 {hours}0 * * *\" }}\nactions: [{{ stop: 1 }}]\n").into_bytes()
}

fn documents() -> Vec<Hostile> {
    let project = |lines: String| format!("project: p\n{lines}").into_bytes();
    let connector = |lines: String| format!("{CONNECTOR}{lines}").into_bytes();
    let account =
        |at| format!("g{at}: {{ connector: gohighlevel, auth: token, location_id: a{at}, token: $.secrets.a }}");
    let unread = |at| format!("  - {{ id: name{at}, set: {{ a: $.nama{at}.b }} }}");
    vec![
        actions("actions that are none", Findings, lines(19_000, |_| "  - 1".into())),
        actions("actions without a verb", Findings, lines(19_000, |_| "  - {}".into())),
        actions("too many actions", Findings, lines(4_000, unread)),
        actions("actions that read what is not there", Findings, lines(900, unread)),
        actions("operations that are not there", Findings, lines(900, |_| "  - call: ghl.contact.nope".into())),
        actions(
            "fields that are not there",
            Findings,
            lines(900, |_| "  - upsert: ghl.contact\n    with: { emial: a }".into()),
        ),
        actions(
            "actions that see all others",
            Fine,
            lines(450, |at| {
                format!("  - {{ id: i{at}, for_each: $.contact.tags, actions: [{{ id: s{at}, set: {{ a: 1 }} }}] }}")
            }),
        ),
        (
            "tenants",
            "dovetail.yaml",
            project(format!(
                "tenants:\n{}",
                lines(2_000, |at| format!("  t{at}: {{ connections: {{ {} }} }}", account(at)))
            )),
            Fine,
        ),
        (
            "connections",
            "dovetail.yaml",
            project(format!("connections:\n{}", lines(3_000, |at| format!("  {}", account(at))))),
            Fine,
        ),
        (
            "connections to what is not there",
            "dovetail.yaml",
            project(format!(
                "connections:\n{}",
                lines(6_000, |at| format!("  g{at}: {{ connector: gohighlevl{at} }}"))
            )),
            Findings,
        ),
        (
            "documents that are not there",
            "dovetail.yaml",
            project(format!("active:\n{}", lines(19_000, |at| format!("  - w{at}")))),
            Findings,
        ),
        (
            "environments",
            "dovetail.yaml",
            project(format!("environments:\n{}", lines(4_000, |at| format!("  e{at}: {{ active: [x{at}] }}")))),
            Findings,
        ),
        (
            "fields",
            "connectors/c.yaml",
            connector(format!(
                "objects:\n  a:\n    operations: {{ list: {{ request: GET /a }} }}\n    schema:\n      type: object\n      properties:\n{}",
                lines(9_000, |at| format!("        f{at}: {{ type: string }}"))
            )),
            Fine,
        ),
        (
            "objects",
            "connectors/c.yaml",
            connector(format!(
                "objects:\n{}",
                lines(1_900, |at| format!(
                    "  o{at}: {{ schema: {{ type: object }}, operations: {{ list: {{ request: GET /o{at} }} }} }}"
                ))
            )),
            Fine,
        ),
        (
            "too many operations",
            "connectors/c.yaml",
            connector(format!(
                "objects:\n  a:\n    operations:\n{}",
                lines(9_000, |at| format!("      o{at}: {{ request: \"GET /a/{{id}}/{at}\" }}"))
            )),
            Findings,
        ),
        (
            "objects that are none",
            "connectors/c.yaml",
            connector(format!("objects:\n{}", lines(19_000, |at| format!("  o{at}: 5")))),
            Findings,
        ),
    ]
}

/// A project with one workflow, in a folder of its own.
fn project() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("dovetail-hostile-{}", uuid::Uuid::now_v7()));
    for name in ["workflows", "connectors"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    let standard = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/projects/standard/dovetail.yaml");
    std::fs::copy(standard, folder.join("dovetail.yaml")).expect("the project");
    std::fs::write(folder.join("workflows/w.yaml"), format!("{WORKFLOW}actions: [{{ stop: 1 }}]\n"))
        .expect("a workflow");
    folder
}

/// `dovetail check`, which may not take more memory.
fn check(folder: &Path, memory_kib: u32) -> Output {
    let mut command = Command::new("sh");
    let script = format!("ulimit -c 0; ulimit -d {memory_kib}; exec \"$0\" check \"$1\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_dovetail")]).arg(folder);
    command.env_remove("DOVETAIL_ENV").stdin(Stdio::null()).output().expect("it runs")
}

fn end_soon_and_are_told(documents: Vec<Hostile>) {
    let mut wrong = Vec::new();
    for (what, path, bytes, ends) in documents {
        let folder = project();
        std::fs::write(folder.join(path), bytes).expect("the document");
        let start = Instant::now();
        let output = check(&folder, MEMORY_MAX_KIB);
        let took = start.elapsed();
        let told = String::from_utf8_lossy(&output.stderr);
        let (code, length) = (output.status.code(), output.stderr.len());
        if code != Some(ends as i32) || took > TIME_MAX || length > TOLD_BYTES_MAX || told.contains("panicked") {
            let first: String = told.chars().take(300).collect();
            wrong.push(format!("{what}: {}, not {ends:?}, {took:?}, {length} bytes: {first}", output.status));
        }
        std::fs::remove_dir_all(folder).expect("the folder goes");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn hostile_texts_end_soon_and_are_told() {
    end_soon_and_are_told(texts());
}

#[test]
fn hostile_expressions_end_soon_and_are_told() {
    end_soon_and_are_told(expressions());
}

#[test]
fn hostile_documents_end_soon_and_are_told() {
    end_soon_and_are_told(documents());
}

/// Else the tests above would say nothing.
#[cfg(target_os = "linux")]
#[test]
fn the_bound_of_memory_is_felt() {
    let folder = project();
    assert_eq!(check(&folder, MEMORY_MAX_KIB).status.code(), Some(0));
    assert_ne!(check(&folder, 2 * 1024).status.code(), Some(0));
    std::fs::remove_dir_all(folder).expect("the folder goes");
}

/// None is read to its end, since some have none.
#[cfg(unix)]
#[test]
fn what_is_no_document_is_not_read() {
    let endless = project();
    let file = std::fs::File::create(endless.join("workflows/endless.yaml")).expect("a file");
    file.set_len(1 << 40).expect("a file of a terabyte, none of it written");
    let pipe = project();
    let made = Command::new("mkfifo").arg(pipe.join("workflows/pipe.yaml")).status().expect("mkfifo runs");
    assert!(made.success());
    let outside = project();
    std::os::unix::fs::symlink("/", outside.join("workflows/all")).expect("a link");
    let naming = |length: u64| {
        let folder = project();
        let connector = format!("{CONNECTOR}objects: {{ a: {{ schema: ./s.json }}, b: {{ schema: ./s.json }} }}\n");
        std::fs::write(folder.join("connectors/c.yaml"), connector).expect("a connector");
        let file = std::fs::File::create(folder.join("connectors/s.json")).expect("a file");
        file.set_len(length).expect("none of it written");
        folder
    };
    let schema = naming(1 << 40);
    let linked = naming(0);
    std::fs::remove_file(linked.join("connectors/s.json")).expect("it goes");
    std::os::unix::fs::symlink("/etc/hostname", linked.join("connectors/s.json")).expect("a link");
    let twice = naming(0);
    let long = format!("{{ \"title\": \"{}\" }}", "x".repeat(MIB * 2 / 3));
    std::fs::write(twice.join("connectors/s.json"), long).expect("a schema");
    let many = naming(0);
    std::fs::write(many.join("connectors/s.json"), format!("{{ \"a\": [{}1] }}", "1,".repeat(20_000)))
        .expect("a schema");
    let deep = naming(0);
    std::fs::write(deep.join("connectors/s.json"), "[".repeat(500_000)).expect("a schema");
    let imports = |document: String| {
        let folder = project();
        std::fs::write(folder.join("connectors/c.yaml"), "connector: c\nimport: ./c.json\n").expect("the connector");
        std::fs::write(folder.join("connectors/c.json"), document).expect("the document");
        folder
    };
    let values = imports(format!("{{ \"openapi\": \"3.0.0\", \"a\": [{}1] }}", "1,".repeat(MIB * 9 / 10)));
    let nested = imports(format!("{{ \"openapi\": {}", "[".repeat(MIB)));
    let larger = imports(" ".repeat(3 * MIB));
    let table = [
        (
            values,
            3,
            "error[bad-import]: `connectors/c.json`: the document cannot be read: it says more than 200000 values",
        ),
        (nested, 3, "error[bad-import]: `connectors/c.json`: the document cannot be read"),
        (larger, 3, "error[bad-import]: `connectors/c.json` is larger than 2 MiB"),
        (schema, 3, "the connector's schema files hold more than 1 MiB or 20000 values"),
        (linked, 1, "connectors/s.json leads out of the project's folder"),
        (twice, 3, "the connector's schema files hold more than 1 MiB or 20000 values"),
        (many, 3, "the connector's schema files hold more than 1 MiB or 20000 values"),
        (deep, 3, "`connectors/s.json` is no JSON, line 1 column 128: recursion limit exceeded"),
        (endless, 3, "error[too-big]: the file is larger than 1 MiB\n--> workflows/endless.yaml:1"),
        (pipe, 1, "workflows/pipe.yaml is no file"),
        (outside, 1, "leads out of the project's folder"),
    ];
    for (folder, code, words) in table {
        let start = Instant::now();
        let output = check(&folder, MEMORY_MAX_KIB);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && told.contains(words), "{}: {told}", output.status);
        assert!(start.elapsed() < TIME_MAX, "{words}: {:?}", start.elapsed());
        std::fs::remove_dir_all(folder).expect("the folder goes");
    }
}
