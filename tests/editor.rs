//! Editors: the real YAML language server reads our schemas, completes from them and marks by them.
//!
//! `.ci/run` installs the server (`tests/editor/package.json`) and says in DOVETAIL_LANGUAGE_SERVER where its program is.
//! Without that variable these tests are left out, and say so.

mod server;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use dovetail::project::editor::{self, Known};
use dovetail::source::File;
use serde_json::Value;
use server::{Finding, Server};

use crate::cases::project_files;
use crate::docs::errors::{self, Right};

const VARIABLE: &str = "DOVETAIL_LANGUAGE_SERVER";

/// The server, or None where there is none to test with.
fn server(test: &str) -> Option<Server> {
    let Some(program) = std::env::var_os(VARIABLE) else {
        // Not `eprintln`, which a test that passes does not show.
        let why = format!("left out: {test}: {VARIABLE} names no YAML language server; `.ci/run` installs one");
        let _ = writeln!(std::io::stderr(), "{why}");
        return None;
    };
    let program = PathBuf::from(program);
    assert!(program.is_file(), "{VARIABLE}: there is no {}", program.display());
    Some(Server::start(&program))
}

/// A new project with all shipped recipes and connectors; gone at the end of its test.
struct Project {
    folder: PathBuf,
}

impl Project {
    fn new(name: &str) -> Project {
        let folder = std::env::temp_dir().join(format!("dovetail-editor-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let project = Project { folder: folder.canonicalize().expect("it is there") };
        project.dovetail(&["init", "--name", "shop", "--with", "all"]);
        project
    }

    fn dovetail(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dovetail"));
        let done = command.args(arguments).current_dir(&self.folder).output().expect("the program starts");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    /// Where a further recipe would be. It is only in the editor: nothing has it on disk.
    fn recipe(&self) -> PathBuf {
        self.folder.join("workflows/new.yaml")
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A workflow that is started by hand, up to its actions: five lines.
const BY_HAND: &str = "\
# yaml-language-server: $schema=../schemas/workflow.schema.json
workflow: new
uses: { ghl: gohighlevel, crm: gohighlevel }
trigger: { manual: }
actions:
";

/// All YAML files in a folder and its `connectors/` and `workflows/` that are bound to a schema.
fn bound(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut all = vec![folder.join("dovetail.yaml")];
    for folder in ["connectors", "workflows"].map(|name| folder.join(name)).iter().filter(|folder| folder.is_dir()) {
        let entries = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
        all.extend(entries.filter(|path| path.is_file()));
    }
    all.sort();
    let all = all.into_iter().map(|path| (path.clone(), text(&path)));
    all.filter(|(_, text)| text.starts_with("# yaml-language-server: ")).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a text")
}

fn nothing_is_marked(server: &mut Server, documents: &[(PathBuf, String)]) {
    let found = server.open_all(documents);
    let told = |((path, _), found): (&(PathBuf, String), Vec<Finding>)| {
        let tell = |found: Finding| format!("{}:{}: {}", path.display(), found.line, found.message);
        found.into_iter().map(tell).collect::<Vec<_>>()
    };
    let wrong: Vec<String> = documents.iter().zip(found).flat_map(told).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The only finding, as `line: message`.
#[track_caller]
fn only(found: &[Finding]) -> String {
    match found {
        [found] => format!("{}: {}", found.line, found.message),
        _ => panic!("one finding was expected: {found:#?}"),
    }
}

#[test]
fn nothing_is_marked_in_what_we_ship() {
    let Some(mut server) = server("nothing_is_marked_in_what_we_ship") else { return };
    let all = bound(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(all.len() > 10, "{all:?}");
    nothing_is_marked(&mut server, &all);
}

#[test]
fn the_plain_schemas_mark_what_is_wrong() {
    let Some(mut server) = server("the_plain_schemas_mark_what_is_wrong") else { return };
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows/new.yaml");
    for (wrong, expected) in [
        ("  - call: a.b.c\n    wiht: {}\n", "7: Property wiht is not allowed."),
        ("  - stop: a\n    on_error: contineu\n", "7: Value is not accepted. Valid values: \"continue\"."),
        ("  - fail: 5\n", "6: Incorrect type. Expected \"string\"."),
    ] {
        assert_eq!(only(&server.open(&recipe, &format!("{BY_HAND}{wrong}"))), expected);
    }
}

#[test]
fn nothing_is_marked_in_a_new_project() {
    let Some(mut server) = server("nothing_is_marked_in_a_new_project") else { return };
    let project = Project::new("new");
    let vendors = ["gohighlevel", "opinion-stage", "opinion-stage-contacts"];
    for vendor in vendors {
        project.dovetail(&["init", "--connector", vendor]);
    }
    let all = bound(&project.folder);
    // Each recipe has its test.
    assert_eq!(all.len(), 1 + 2 * 8 + vendors.len(), "{all:?}");
    nothing_is_marked(&mut server, &all);
}

/// What `check` accepts, an editor does not mark: the catalog has an example of every action and trigger.
#[test]
fn nothing_is_marked_in_the_catalog() {
    let Some(mut server) = server("nothing_is_marked_in_the_catalog") else { return };
    let project = Project::new("catalog");
    let catalog: Vec<Value> = serde_json::from_str(&project.dovetail(&["catalog", "--json"])).expect("JSON");
    let of = |kind: &str| {
        let items = catalog.iter().filter(|item| item["kind"] == kind);
        items.map(|item| item["example"].as_str().expect("an example").to_string()).collect::<Vec<_>>()
    };
    let (actions, triggers) = (of("action"), of("trigger"));
    assert!(actions.len() > 50 && triggers.len() > 30, "{} and {}", actions.len(), triggers.len());
    let indented = actions.join("").lines().map(|line| format!("  {line}\n")).collect::<String>();
    let mut documents = vec![(project.recipe(), format!("{BY_HAND}{indented}"))];
    for (number, trigger) in triggers.iter().enumerate() {
        let text = BY_HAND.replace("trigger: { manual: }\n", trigger) + "  - stop: done\n";
        documents.push((project.folder.join(format!("workflows/{number}.yaml")), text));
    }
    nothing_is_marked(&mut server, &documents);
}

/// The same for the right example of each page of `docs/errors/`, in the project in which it stands.
#[test]
fn nothing_is_marked_in_right_examples() {
    let Some(mut server) = server("nothing_is_marked_in_right_examples") else { return };
    let project = Project::new("right");
    let shipped = project_files::shipped();
    let mut documents = Vec::new();
    for Right { code, texts, .. } in errors::right_examples() {
        let folder = project.folder.join(&code);
        std::fs::create_dir_all(&folder).expect("a folder");
        let known = Known::read(&texts, &shipped).expect("no connector of a right example has errors");
        for (kind, schema) in editor::schemas(&known) {
            std::fs::write(folder.join(format!("{kind}.schema.json")), schema.to_string()).expect("written");
        }
        for text in texts {
            let first = File::read(&text.path, &text.text).expect("YAML").first_key().expect("a kind").to_string();
            let schema = folder.join(format!("{first}.schema.json"));
            // Schemas that a connector names are no documents.
            if schema.is_file() {
                let bound = format!("# yaml-language-server: $schema={}\n{}", schema.display(), text.text);
                documents.push((folder.join(text.path), bound));
            }
        }
    }
    assert!(documents.len() > 100, "{}", documents.len());
    nothing_is_marked(&mut server, &documents);
}

#[test]
fn names_of_the_project_are_completed() {
    let Some(mut server) = server("names_of_the_project_are_completed") else { return };
    let project = Project::new("complete");
    let trigger = |trigger: &str| BY_HAND.replace("trigger: { manual: }", trigger) + "  - stop: done\n";
    let action = |action: &str| format!("{BY_HAND}{action}");
    let table: [(String, &[&str], &[&str]); 14] = [
        (action("  - call: ghl.contact.|\n"), &["ghl.contact.create", "ghl.contact.add_tags"], &["ghl.contact"]),
        (action("  - upsert: |\n"), &["ghl.contact", "os.task"], &["ghl.campaign"]),
        (action("  - for_each: |\n"), &["ghl.task.search", "quiz.item.list"], &["ghl.contact.create"]),
        (action("  - call: ghl.note.create\n    with:\n      |\n"), &["contactId", "body"], &["email"]),
        (
            action("  - upsert: ghl.contact\n    with:\n      email: a\n      |\n"),
            &["phone", "firstName", "custom"],
            &["email", "dateAdded"],
        ),
        (action("  - upsert: ghl.contact\n    match: [|]\n    with: { email: a }\n"), &["email", "phone"], &["emial"]),
        (action("  - upsert: ghl.contact\n    with:\n      dnd: |\n"), &["true", "false"], &["email"]),
        (trigger("trigger:\n  event: |"), &["ghl.contact.changed", "quiz.response.created"], &["ghl.contact.get"]),
        (trigger("trigger:\n  event: ghl.task.changed\n  include: [|]"), &["contact"], &["task"]),
        (
            action("  - wait:\n      event: |\n      timeout: 7d\n"),
            &["ghl.contact.changed", "quiz.response.created"],
            &["ghl.contact.get"],
        ),
        (
            action("  - wait:\n      event: ghl.contact.changed\n      timeout: 7d\n      match:\n        |\n"),
            &["email", "phone", "id"],
            &["contactId"],
        ),
        (action("  - run: |\n"), &["hello"], &["contact-to-opinion-stage"]),
        (action("  - run: hello\n    with:\n      |\n"), &["first_name"], &["email"]),
        (trigger("trigger:\n  poll: |\n  every: 5m"), &["ghl.task.search"], &["ghl.contact.create"]),
    ];
    for (marked, some, none) in table {
        let items = server.complete(&project.recipe(), &marked);
        let labels: Vec<&str> = items.iter().filter_map(|item| item["label"].as_str()).collect();
        let missing: Vec<_> = some.iter().filter(|label| !labels.contains(label)).collect();
        let too_many: Vec<_> = none.iter().filter(|label| labels.contains(label)).collect();
        assert!(
            missing.is_empty() && too_many.is_empty(),
            "{marked}\nwithout {missing:?}, with {too_many:?}: {labels:?}"
        );
    }
    let items = server.complete(&project.recipe(), &action("  - call: ghl.contact.cr|\n"));
    let create = items.iter().find(|item| item["label"] == "ghl.contact.create").expect("the operation");
    let about = create["documentation"].as_str().expect("what it is about");
    assert!(about.starts_with("Creates a contact.") && about.contains("`POST /contacts/`"), "{about}");
    // The word that is begun is replaced as a whole.
    assert_eq!(create["textEdit"]["range"]["start"]["character"], "  - call: ".len());
}

#[test]
fn names_of_nothing_are_marked_at_their_line() {
    let Some(mut server) = server("names_of_nothing_are_marked_at_their_line") else { return };
    let project = Project::new("mark");
    for (wrong, expected) in [
        ("  - upsert: ghl.contact\n    with:\n      phone: 1\n      emial: a\n", "9: Property emial is not allowed."),
        (
            "  - upsert: ghl.contact\n    match: [emial]\n    with: { email: a }\n",
            "7: `contact` has no field of this name",
        ),
        (
            "  - upsert: ghl.campaign\n",
            "6: `gohighlevel` has no object to upsert of this name; it has `contact`, `task`, `note`, `custom_field`, `tag`, \
             `location`, `user`, `studio_agent`, `association`, `brand_board`, `business`, `appointment` and 30 more",
        ),
        (
            "  - call: ghl.note.crate\n",
            "6: `gohighlevel` has no operation of this name; `note` has `list`, `get`, `create`, `update`, `delete`",
        ),
        (
            "  - call: ghl.contct.get\n",
            "6: `gohighlevel` has no operation of this name; it has `affiliate`, `agency_plan`, \
             `appointment`, `appointment_note`, `association`, `availability_schedule`, `blocked_slot`, `blog`, \
             `blog_author`, `blog_category`, `blog_post`, `brand_board` and 166 more",
        ),
        ("  - call: ghl.note.create\n    with: { body: a }\n", "7: Missing property \"contactId\"."),
        (
            "  - wait:\n      event: ghl.contact.changed\n      timeout: 7d\n      match: { emial: a, email.x: b }\n",
            "9: Property emial is not allowed.",
        ),
        ("  - run: helo\n", "6: no workflow with a `manual` trigger has this name"),
        ("  - run: hello\n    with: { name: a }\n", "7: Property name is not allowed."),
        ("  - call: ghl.note.create\n", "6: Missing property \"with\"."),
        (
            "  - for_each: ghl.tag.get\n    actions: [{ stop: a }]\n",
            "6: `gohighlevel` has no list operation of this name; `tag` has `list`",
        ),
        (
            "  - call: ghl.task.create\n    with:\n      contactId: a\n      title: b\n      dueDate: c\n      completed: maybe\n",
            "11: Incorrect type. Expected \"boolean | null | an instruction\".",
        ),
    ] {
        assert_eq!(only(&server.open(&project.recipe(), &format!("{BY_HAND}{wrong}"))), expected);
    }
    let event = BY_HAND.replace("{ manual: }", "{ event: ghl.contact.chagned }") + "  - stop: done\n";
    let expected =
        "4: `gohighlevel` has no event of this name; `contact` has `changed`, `created`, `updated`, `deleted`";
    assert_eq!(only(&server.open(&project.recipe(), &event)), expected);
    let uses = BY_HAND.replace("crm: gohighlevel", "crm: gohihglevel") + "  - stop: done\n";
    assert_eq!(only(&server.open(&project.recipe(), &uses)), "3: no connector or connection has this name");
}

/// What only a run can know is not marked, and neither is what began after the schemas were written.
#[test]
fn what_cannot_be_known_passes() {
    let Some(mut server) = server("what_cannot_be_known_passes") else { return };
    let project = Project::new("pass");
    for right in [
        "  - call: crm.contact.create\n    with: { anything: 1 }\n",
        "  - call: ghl.contact.get\n    with: $.inputs\n",
        "  - call: ghl.contact.get\n    with: { $from: $.inputs, $otherwise: { id: 1 } }\n",
        "  - upsert: ghl.contact\n    with: { email: null, phone: 15550100001, tags: $.vars.tags, dnd: \"{{inputs.dnd}}\" }\n",
        "  - upsert: ghl.contact\n    with:\n      email: { $first: [$.a, $.b] }\n      custom.quiz_band: hot\n      custom['a b']: 1\n",
        "  - upsert: ghl.contact\n    with: { email: a, dnd: \"true\", dndSettings: { Email: { status: active } } }\n",
        "  - for_each: $.inputs.all\n    actions: [{ stop: $.item }]\n",
        "  - for_each: [a, b]\n    actions: [{ stop: $.item }]\n",
    ] {
        assert_eq!(server.open(&project.recipe(), &format!("{BY_HAND}{right}")), [], "{right}");
    }
}

#[test]
fn an_operation_and_a_field_are_explained() {
    let Some(mut server) = server("an_operation_and_a_field_are_explained") else { return };
    let project = Project::new("hover");
    for (marked, told) in [
        (
            "  - call: ghl.task.cr|eate\n    with: { contactId: a }\n",
            "`POST /contacts/{contactId}/tasks`, scope `contacts.write`",
        ),
        ("  - upsert: ghl.con|tact\n    with: { email: a }\n", "found by email, else by phone"),
        ("  - upsert: ghl.contact\n    with: { ema|il: a }\n", "Main e-mail address. Takes text."),
    ] {
        let hover = server.hover(&project.recipe(), &format!("{BY_HAND}{marked}"));
        assert!(hover.contains(told) && !hover.contains("Allowed Values"), "{marked}: {hover}");
    }
}

#[test]
fn a_sync_knows_objects_and_fields_of_both_sides() {
    let Some(mut server) = server("a_sync_knows_objects_and_fields_of_both_sides") else { return };
    let project = Project::new("sync");
    let path = project.folder.join("workflows/new.yaml");
    let sync = |rest: &str| {
        format!(
            "# yaml-language-server: $schema=../schemas/sync.schema.json\nsync: new\n\
             uses: {{ ghl: gohighlevel, os: opinion-stage-contacts }}\n{rest}"
        )
    };
    let both = "between: { ghl: contact, os: contact }\n";
    let children = |rest: &str| format!("{both}fields: [{{ ghl: email, os: email }}]\nchildren:\n  - {rest}");
    for (rest, some, none) in [
        ("between:\n  |\n".into(), ["ghl", "os"], "create"),
        ("between:\n  ghl: |\n".into(), ["contact", "note"], "ghl.contact"),
        (format!("{both}fields:\n  - |\n"), ["ghl", "os"], "email"),
        (format!("{both}fields:\n  - ghl: |\n"), ["email", "firstName"], "first_name"),
        (format!("{both}fields:\n  - ghl: email\n    os: |\n"), ["email", "first_name"], "firstName"),
        (format!("{both}fields: [{{ ghl: email, os: email }}]\nmatch:\n  by: [|]\n"), ["email", "phone"], "emial"),
        (format!("{both}fields: [{{ ghl: email, os: email }}]\ndeletes:\n  |\n"), ["ghl", "os"], "contact"),
        (
            format!("{both}fields: [{{ ghl: email, os: email }}]\ndeletes:\n  ghl: |\n"),
            ["archive", "unlink"],
            "contact",
        ),
        (
            format!("{both}fields: [{{ ghl: email, os: email }}]\non_create:\n  ghl:\n    |\n"),
            ["source", "tags"],
            "first_name",
        ),
        (
            children("between: { ghl: task, os: task }\n    fields:\n      - ghl: |\n"),
            ["title", "dueDate"],
            "firstName",
        ),
    ] {
        let items = server.complete(&path, &sync(&rest));
        let labels: Vec<&str> = items.iter().filter_map(|item| item["label"].as_str()).collect();
        let good = some.iter().all(|label| labels.contains(label)) && !labels.contains(&none);
        assert!(good, "{rest}\nwith {some:?} and without {none}: {labels:?}");
    }
    for (rest, expected) in [
        (
            "between: { ghl: contct, os: contact }\nfields: [{ ghl: email, os: email }]\n".into(),
            "4: `gohighlevel` has no object of this name; it has `contact`, `task`, `note`, `custom_field`, `tag`, `location`, `user`, `facebook_campaign_report`, `facebook_page`, `facebook_ad_account`, `facebook_campaign`, `facebook_audience` and 114 more",
        ),
        (format!("{both}fields: [{{ ghl: emial, os: email }}]\n"), "5: `contact` has no field of this name"),
        (
            format!("{both}fields: [{{ ghl: email, os: email }}]\non_create: {{ ghl: {{ surce: quiz }} }}\n"),
            "6: Property surce is not allowed.",
        ),
        (
            children("between: { ghl: task, os: task }\n    fields: [{ ghl: titel, os: title }]\n"),
            "8: `task` has no field of this name",
        ),
    ] {
        assert_eq!(only(&server.open(&path, &sync(&rest))), expected);
    }
    let right = "only_if: { ghl: { $.tags: { contains: quiz } } }\n\
                 match: { by: [email, phone], none_found: { os: create, ghl: skip } }\n\
                 fields:\n  - { ghl: email, os: email, as: lowercase }\n  - { ghl: phone, os: phone, as: e164 }\n\
                 \x20 - { ghl: custom.stage, os: status, as: { map: { Lead: prospect } } }\n\
                 conflicts: { default: ask, fields: { email: ghl } }\n\
                 on_create: { ghl: { source: quiz, custom.stage: { $from: $.a } }, os: { $from: $.b } }\n\
                 deletes: { ghl: archive, os: unlink }\n";
    assert_eq!(server.open(&path, &sync(&format!("{both}{right}"))), []);
    // An alias that no document had when the schemas were written passes.
    let other = sync("between: { crm: contact, os: contact }\nfields: [{ crm: anything, os: email }]\n");
    assert_eq!(server.open(&path, &other), []);
}

#[test]
fn the_project_file_knows_connectors_and_documents() {
    let Some(mut server) = server("the_project_file_knows_connectors_and_documents") else { return };
    let project = Project::new("project");
    let path = project.folder.join("dovetail.yaml");
    let written = text(&path);
    let labels = |server: &mut Server, more: &str| {
        let items = server.complete(&path, &format!("{written}{more}"));
        items.iter().filter_map(|item| item["label"].as_str().map(String::from)).collect::<Vec<_>>()
    };
    let active = labels(&mut server, "active:\n  - |\n");
    assert!(active.contains(&"overdue-tasks".to_string()) && active.contains(&"hello".to_string()), "{active:?}");
    let line = written.lines().count() + 1;
    let found = server.open(&path, &format!("{written}active: [hello, helo]\n"));
    assert_eq!(only(&found), format!("{line}: no workflow or sync has this name"));
    let location = written.lines().position(|line| line.contains("location_id:")).expect("a setting") + 1;
    let found = server.open(&path, &written.replace("location_id:", "locaton_id:"));
    assert_eq!(only(&found), format!("{location}: Property locaton_id is not allowed."));
    let found = server.open(&path, &written.replace("connector: opinion-stage\n", "connector: opinion-stag\n"));
    assert!(found.iter().any(|found| found.message == "no connector has this name"), "{found:?}");
}
