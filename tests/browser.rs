//! The dashboard in a real browser: what a person does there, what strangers cannot do, and that everybody can use it.
//!
//! `.ci/run` installs Debian's Chromium and the packages of `tests/browser/package.json`, and says in DOVETAIL_BROWSER where these
//! are. Without them these tests are left out, and say so.

mod between;
mod chromium;

use std::path::{Path, PathBuf};

use chromium::Browser;
use dovetail::run::RecordRef;
use dovetail::store::{Asked, Role, Status, Store};
use dovetail::sync::Question;
use serde_json::{Value, json};

use crate::dashboard::payloads;
use crate::dashboard::visitor::{Visitor, code};
use crate::stage::{self, GHL, PEOPLE, Serve, Stage, until};

const GREETS: &str = "workflow: greets\ndescription: Says hello to somebody.\n\
                      trigger: { manual: { inputs: { name: { type: string, title: Whom } } } }\n\
                      actions:\n  - stop: \"Hello, {{inputs.name}}!\"\n";

/// The shipped project and a workflow that is started by hand; a question that waits; where the dashboard is.
async fn open(values: [&str; 2]) -> (Stage, Serve, String) {
    let mut stage = Stage::set().await;
    stage.flags = ["--dashboard", "127.0.0.1:0", "--allow-edits"].map(String::from).into();
    stage.write("workflows/greets.yaml", GREETS);
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - greets\n");
    let store = Store::open(&stage.data()).expect("a store");
    store.tell(conflict(values)).await.expect("asked");
    store.close().await;
    let serve = stage.serve().await;
    let base = Visitor::of(&serve).await.base;
    (stage, serve, base)
}

fn conflict(values: [&str; 2]) -> Asked {
    let of = |connection: &str| RecordRef { connection: connection.into(), object: "contact".into(), id: "p1".into() };
    let (about, pair) = (of("example-ghl"), Some([of("example-ghl"), of("example-people")]));
    let question = Question::Conflict {
        sides: ["ghl".into(), "os".into()],
        names: ["lastName".into(), "last_name".into()],
        values: values.map(|value| json!(value)),
    };
    let (sync, tenant, parent) = ("contacts".into(), None, None);
    Asked { number: 0, sync, tenant, about, parent, pair, question, asked_ms: 1_795_000_000_000, choice: None }
}

/// Signs in by a link.
fn come_in(browser: &mut Browser, stage: &Stage, role: Role) {
    let path = format!("/sign-in?code={}", code(stage, role));
    browser.go(&path);
    browser.click("Go in");
    browser.sees("Overview");
}

/// Gives its id.
async fn contact(stage: &Stage, fields: Value) -> String {
    let record = stage.make(GHL, "contact", fields).await;
    stage.tell("ContactCreate", &record).await;
    record["id"].as_str().expect("an id").to_owned()
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides/pictures")
}

/// Takes a picture for the guides, if they are to be written anew.
fn picture(browser: &mut Browser, name: &str) {
    if std::env::var_os("DOVETAIL_ACCEPT").is_some() {
        browser.does("shot", json!({ "path": pictures().join(format!("{name}.png")) }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_what_happens_decides_and_writes_a_recipe() {
    let (stage, serve, base) = open(["Byron", "Lovelace"]).await;
    let Some(mut browser) = Browser::start("a_person_sees", &base) else { return };
    assert_eq!(browser.go("/runs"), 200);
    browser.sees("Sign in");
    come_in(&mut browser, &stage, Role::Admin);

    // What comes is seen without asking anew.
    browser.go("/runs");
    browser.sees("No runs here");
    contact(&stage, json!({ "firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com" })).await;
    browser.sees("completed");
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 1 })).await;
    contact(&stage, json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    browser.sees("failed");
    stage.over().await;
    browser.go("/");
    picture(&mut browser, "overview");

    // What failed tells why, and is tried again by a button.
    browser.go("/runs?status=failed");
    browser.click("2");
    browser.sees("422");
    picture(&mut browser, "run");
    browser.click("Try again");
    browser.misses("Try again");
    browser.sees("completed");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 2);

    browser.go("/questions");
    browser.sees("Byron");
    picture(&mut browser, "question");
    browser.click("Take that of ghl");
    browser.misses("Take that of ghl");

    browser.go("/workflows/contact-to-opinion-stage");
    browser.sees("2 runs");
    picture(&mut browser, "workflow");

    // A recipe is written wrongly, which is told while one writes, and then rightly.
    browser.go("/workflows/greets");
    browser.click("Edit or try");
    let wrong = GREETS.replace("{{inputs.name}}", "dear {{inputs.nam}}");
    browser.fill("The recipe", &wrong);
    browser.sees("did you mean `name`?");
    picture(&mut browser, "recipe");
    browser.click("Save");
    browser.sees("Not saved");
    browser.fill("The recipe", &wrong.replace("inputs.nam}", "inputs.name}"));
    browser.sees("Nothing is wrong with it.");
    browser.click("Try it");
    browser.sees("nothing has left this computer");
    browser.click("Save");
    browser.sees("Saved, and served from now on.");
    browser.click("To greets");
    browser.click("How it was written before");
    browser.sees("1 line added, 1 line taken away");
    picture(&mut browser, "history");
    browser.go("/workflows/greets");
    browser.fill("Whom", "Cleo");
    browser.click("Run");
    browser.sees("Hello, dear Cleo!");
    browser.click("Sign out");
    browser.go("/runs");
    browser.sees("Sign in");
    browser.is_calm();
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_connects_an_account_at_the_vendor_and_comes_back() {
    let mut stage = stage::browser::set().await;
    stage.flags = ["--dashboard", "127.0.0.1:0"].map(String::from).into();
    let serve = stage.serve().await;
    let base = Visitor::of(&serve).await.base;
    let Some(mut browser) = Browser::start("a_person_connects", &base) else { return };
    come_in(&mut browser, &stage, Role::Admin);
    browser.sees("not connected");
    browser.go("/connections");
    picture(&mut browser, "connections");
    browser.click("Connect");
    // The vendor is somebody else, and leads back.
    browser.does("at", json!({ "to": null }));
    browser.click("Go on to the vendor");
    browser.sees("example-ghl is connected");
    browser.does("at", json!({ "to": base }));
    browser.click("To the connections");
    browser.sees("Connect again");
    browser.is_calm();
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_plans_a_first_run_looks_at_it_and_has_it_done() {
    let mut stage = Stage::set().await;
    stage.flags = ["--dashboard", "127.0.0.1:0"].map(String::from).into();
    stage.activate(&["contacts"]);
    let serve = stage.serve_hearing_both().await;
    let base = Visitor::of(&serve).await.base;
    let Some(mut browser) = Browser::start("a_person_plans", &base) else { return };
    for (name, city) in [("Ada", "London"), ("Grace", "New York"), ("Hedy", "Vienna")] {
        let email = format!("{}@example.com", name.to_lowercase());
        stage.make(GHL, "contact", json!({ "firstName": name, "email": email, "city": city, "tags": ["vip"] })).await;
    }
    let there = json!({ "first_name": "Ada", "email": "ada@example.com", "city": "Paris" });
    stage.make(PEOPLE, "contact", there).await;
    come_in(&mut browser, &stage, Role::Operate);
    browser.click("Plans");
    browser.click("Make a plan");
    // It is seen when it is ready, by itself.
    browser.sees("3 records to bring into line");
    picture(&mut browser, "plan");
    browser.click("Apply it");
    browser.sees("3 runs begun");
    until("it is done", async || (stage.vendors[PEOPLE].records("contact").len() == 3).then_some(())).await;
    stage.over().await;
    browser.go("/records?search=ada%40example.com");
    browser.click("Ada");
    browser.sees("Why it is as it is");
    picture(&mut browser, "record");
    browser.is_calm();
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_ways_to_say_more_are_inert() {
    let (stage, serve, base) = open([payloads::PAYLOADS[0], payloads::PAYLOADS[1]]).await;
    let Some(mut browser) = Browser::start("a_hundred_ways", &base) else { return };
    let mut ids = Vec::new();
    for (number, some) in payloads::PAYLOADS.chunks(AT_ONCE).enumerate() {
        ids.push(contact(&stage, filled(number, some)).await);
    }
    let runs = stage.over().await;
    come_in(&mut browser, &stage, Role::Admin);
    let mut missing: Vec<&str> = Vec::new();
    for (some, id) in payloads::PAYLOADS.chunks(AT_ONCE).zip(&ids) {
        let run = runs.iter().find(|run| run.start.event.record_id.as_ref() == Some(id)).expect("its run");
        browser.go(&format!("/runs/{}", run.seq));
        browser.does(
            "eval",
            json!({ "script": "document.querySelectorAll('details').forEach((one) => (one.open = true))" }),
        );
        let text = browser.text();
        missing.extend(some.iter().copied().filter(|payload| !text.contains(&plain(payload))));
        browser.is_calm();
    }
    for some in payloads::PAYLOADS.chunks(3) {
        let mut address = url::form_urlencoded::Serializer::new("/runs?".to_owned());
        address.extend_pairs(["record", "workflow", "connection"].iter().zip(some));
        browser.go(&address.finish());
        browser.is_calm();
    }
    assert_eq!(missing, Vec::<&str>::new(), "each is on its run's page, as text");
    for path in [
        "/",
        "/runs",
        "/questions",
        "/workflows/contact-to-opinion-stage",
        "/connections",
        "/catalogue?search=<script>",
    ] {
        browser.go(path);
        browser.is_calm();
    }
    // In what somebody writes, and in what is tried with it.
    browser.go("/edit?path=workflows/contact-to-opinion-stage.yaml");
    browser.click("Try it");
    browser.sees("nothing has left this computer");
    for some in payloads::PAYLOADS.chunks(AT_ONCE) {
        let texts: Vec<String> = some.iter().map(|payload| json!(payload).to_string()).collect();
        let stops: Vec<String> = texts.iter().map(|text| format!("{{ stop: {text} }}")).collect();
        let unknown: String = texts.iter().map(|text| format!("? {text}\n: 1\n")).collect();
        let (name, all) = (&texts[0], json!(some.join("\n")));
        browser.fill(
            "The recipe",
            &format!(
                "workflow: {name}\ndescription: {all}\ntrigger: {{ manual: }}\nactions: [{}]\n{unknown}",
                stops.join(", ")
            ),
        );
        browser.click("Check");
        browser.is_calm();
    }
    serve.term().await;
}

/// As many stand on one page.
const AT_ONCE: usize = 4;

/// Where a contact says something.
const FIELDS: [&str; 7] = ["firstName", "lastName", "city", "companyName", "source", "address1", "tags"];

/// A contact that says these in turn.
fn filled(number: usize, some: &[&str]) -> Value {
    let mut fields = json!({ "email": format!("a{number}@example.com") });
    for (name, text) in FIELDS.iter().zip(some.iter().cycle()) {
        fields[name] = if *name == "tags" { json!([text]) } else { json!(text) };
    }
    fields
}

/// How it begins as text: what cannot be seen is told by its number, and quotes are those of JSON.
fn plain(payload: &str) -> String {
    let is_plain = |letter: &char| letter.is_ascii() && !letter.is_control() && !"\"\\".contains(*letter);
    payload.chars().take_while(is_plain).take(30).collect::<String>().trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_ways_to_say_more_are_inert_in_what_is_kept_alike_and_in_what_is_asked() {
    let mut stage = Stage::set().await;
    stage.flags = ["--dashboard", "127.0.0.1:0"].map(String::from).into();
    stage.activate(&["contacts"]);
    let store = Store::open(&stage.data()).expect("a store");
    for (number, payload) in payloads::PAYLOADS.iter().enumerate() {
        let mut asked = conflict([payload, payload]);
        asked.about.id = format!("p{number}");
        store.tell(asked).await.expect("asked");
    }
    store.close().await;
    let serve = stage.serve_hearing_both().await;
    let base = Visitor::of(&serve).await.base;
    let Some(mut browser) = Browser::start("a_hundred_ways_kept_alike", &base) else { return };
    let (exit, said) = stage.run(&["apply", "contacts", "--yes"]);
    assert_eq!(exit, Some(0), "{said}");
    let mut ids = Vec::new();
    for (number, some) in payloads::PAYLOADS.chunks(2).enumerate() {
        let contact = stage.control("POST", GHL, "/records/contact", filled(number, some)).await;
        ids.push(contact["records"][0]["id"].as_str().expect("an id").to_owned());
    }
    let there = |object: &str| stage.vendors[PEOPLE].records(object).len();
    let all = payloads::PAYLOADS.len();
    until("all contacts are there", async || (there("contact") == ids.len()).then_some(())).await;
    stage.over().await;
    for (number, payload) in payloads::PAYLOADS.iter().enumerate() {
        let contact = &ids[number / 2];
        let note = json!({ "contactId": contact, "body": payload });
        stage.control("POST", GHL, "/records/note", note).await;
        let due = "2027-01-01T09:00:00.000Z";
        let task =
            json!({ "contactId": contact, "title": payload, "body": payload, "dueDate": due, "completed": false });
        stage.control("POST", GHL, "/records/task", task).await;
    }
    until("all notes are there", async || (there("note") == all && there("task") == all).then_some(())).await;
    stage.over().await;
    come_in(&mut browser, &stage, Role::Admin);
    let mut missing = Vec::new();
    for (some, id) in payloads::PAYLOADS.chunks(2).zip(&ids) {
        browser.go(&format!("/records/example-ghl/contact/{id}"));
        let text = browser.text();
        // Of its own fields, its note and its task.
        let is_missing = |payload: &&&str| text.matches(&plain(payload)).count() < 3;
        missing.extend(some.iter().filter(is_missing).map(|payload| format!("{payload}: {text}")));
        browser.is_calm();
    }
    assert_eq!(missing, Vec::<String>::new(), "each is on its contact's page, as text");
    for (path, more) in
        [("/records?limit=5", "More records"), ("/questions", "More questions"), ("/runs", "Older runs")]
    {
        let mut pages = 1;
        browser.go(path);
        while browser.offers(more) {
            browser.is_calm();
            browser.click(more);
            pages += 1;
        }
        browser.is_calm();
        assert!(pages > 1, "{path}");
    }
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_each_page() {
    let (stage, serve, base) = open(["Byron", "Lovelace"]).await;
    let Some(mut browser) = Browser::start("everybody_can_use", &base) else { return };
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 1 })).await;
    contact(&stage, json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    contact(&stage, json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    stage.over().await;
    come_in(&mut browser, &stage, Role::Admin);
    let pages = [
        "/",
        "/runs",
        "/runs/1",
        "/workflows",
        "/workflows/contact-to-opinion-stage",
        "/workflows/greets",
        "/edit?path=workflows/greets.yaml",
        "/workflows/greets/history",
        "/questions",
        "/records",
        "/connections",
        "/catalogue",
        "/runs/4711",
    ];
    for (width, dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
        browser.does("open", json!({ "width": width, "dark": dark }));
        for page in pages {
            browser.go(page);
            let called = format!("{page} at {width}, dark: {dark}");
            assert_eq!(browser.does("axe", json!({})), json!([]), "{called}");
            let size = browser.does("size", json!({}));
            assert!(size["bytes"].as_u64() < Some(100_000), "{called}: {size}");
            assert!(size["wide"].as_i64() <= Some(0), "{called}: {size}");
        }
    }
    // By keyboard: first the way past the top, then the places.
    browser.go("/runs");
    browser.does("press", json!({ "key": "Tab" }));
    assert_eq!(browser.does("focused", json!({})), "To the content");
    browser.does("press", json!({ "key": "Enter" }));
    browser.does("press", json!({ "key": "Tab" }));
    let url = browser.does("url", json!({}));
    assert!(url.as_str().is_some_and(|url| url.ends_with("/runs#content")), "{url}");
    // And without a script.
    browser.does("open", json!({ "script": false }));
    browser.go("/edit?path=workflows/greets.yaml");
    browser.fill("The recipe", &GREETS.replace("inputs.name", "inputs.nam"));
    browser.click("Check");
    browser.sees("did you mean `name`?");
    browser.is_calm();
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_change_nothing_and_who_looks_is_offered_nothing() {
    let (stage, serve, base) = open(["Byron", "Lovelace"]).await;
    let Some(mut browser) = Browser::start("strangers_change_nothing", &base) else { return };
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 1 })).await;
    contact(&stage, json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.over().await;
    come_in(&mut browser, &stage, Role::Admin);
    // A page of somebody else posts a form, with the session of whoever looks at it: of another site, and of another port of ours.
    let form = format!(
        "<!doctype html><form method=post action={base}/runs/1/drop></form><script>document.forms[0].submit()</script>"
    );
    let other = between::page(form).await;
    for (name, told) in [("localhost", "Sign in"), ("127.0.0.1", "this did not come from a page of the dashboard")] {
        browser.does("at", json!({ "to": null }));
        browser.does("go", json!({ "to": format!("http://{name}:{}/", other.port()) }));
        browser.sees(told);
        browser.does("at", json!({ "to": base }));
        assert_eq!(stage.runs().await[0].status, Status::Failed, "{name}");
    }
    browser.go("/runs/1");
    assert!(browser.offers("Try again") && browser.offers("Give up"));
    browser.click("Sign out");

    come_in(&mut browser, &stage, Role::Read);
    browser.go("/runs/1");
    browser.sees("422");
    assert!(!browser.offers("Try again") && !browser.offers("Give up"));
    browser.go("/questions");
    browser.sees("To answer needs the role operate.");
    assert!(!browser.offers("Take that of ghl"));
    browser.go("/workflows/greets");
    assert!(!browser.offers("Run") && !browser.offers("Edit or try"));
    assert_eq!(browser.go("/edit"), 403);
    browser.is_calm();
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_is_taken_up_again() {
    let (stage, serve, base) = open(["Byron", "Lovelace"]).await;
    let way = between::way(&base).await;
    let Some(mut browser) = Browser::start("a_stream_that_breaks_off", &way.base) else { return };
    come_in(&mut browser, &stage, Role::Read);
    browser.go("/runs");
    browser.sees("No runs here");
    until("it listens", async || (way.open() > 0).then_some(())).await;
    way.close();
    contact(&stage, json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.over().await;
    way.reopen();
    browser.sees("completed");
    browser.is_calm();
    serve.term().await;
}

#[test]
fn each_picture_of_the_guides_is_there_and_each_is_looked_at() {
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides");
    let texts = std::fs::read_dir(&guides).expect("the guides").flatten();
    let texts = texts.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).collect::<String>();
    let named: Vec<&str> = texts.split("](pictures/").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let mut there: Vec<String> = std::fs::read_dir(pictures())
        .expect("the pictures")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    there.sort();
    let mut sorted = named.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(there, sorted);
    for name in there {
        let bytes = std::fs::metadata(pictures().join(&name)).expect("it is there").len();
        assert!(bytes < 200_000, "{name} has {bytes} bytes");
    }
}
