//! The dashboard and its API at the door of the real program: who may what, and what is said to whoever may not.

mod connections;
mod drafts;
mod fuzz;
mod hostile;
pub mod payloads;
mod plans;
mod records;
mod schema;
pub mod visitor;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use dovetail::dashboard::routes::{Kind, Method, Place, Route, TABLE};
use dovetail::run::RecordRef;
use dovetail::store::{Asked, Deed, NewToken, Role, Status, Store};
use dovetail::sync::Question;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use visitor::{Said, Visitor, code, plain, token};

use crate::stage::{self, GHL, PEOPLE, Serve, Stage, until};

/// The shipped project with a dashboard, and the questions that somebody has left in its store.
async fn open(questions: Vec<Question>) -> (Stage, Serve, Visitor) {
    let mut stage = Stage::set().await;
    stage.flags = ["--dashboard", "127.0.0.1:0", "--allow-edits"].map(String::from).into();
    if !questions.is_empty() {
        let store = Store::open(&stage.data()).expect("a store");
        for (number, question) in questions.into_iter().enumerate() {
            store.tell(asked(&format!("p{number}"), question)).await.expect("asked");
        }
        store.close().await;
    }
    let serve = stage.serve().await;
    let nobody = Visitor::of(&serve).await;
    (stage, serve, nobody)
}

fn asked(id: &str, question: Question) -> Asked {
    let of = |connection: &str| RecordRef { connection: connection.into(), object: "contact".into(), id: id.into() };
    let (about, pair) = (of("example-ghl"), Some([of("example-ghl"), of("example-people")]));
    let (sync, tenant, parent) = ("contacts".into(), None, None);
    Asked { number: 0, sync, tenant, about, parent, pair, question, asked_ms: 1_795_000_000_000, choice: None }
}

fn conflict(values: [&str; 2]) -> Question {
    let sides = ["ghl".into(), "os".into()];
    Question::Conflict {
        sides,
        names: ["lastName".into(), "last_name".into()],
        values: values.map(|value| json!(value)),
    }
}

/// An address of the route, at which there need be nothing.
fn address(route: &Route) -> String {
    let path = route
        .path
        .replace("{run}", "999999")
        .replace("{workflow}", "no-such")
        .replace("{number}", "999999")
        .replace("{plan}", "999999");
    let path = path.replace("{connection}", "nobody").replace("{object}", "contact").replace("{id}", "999999");
    match route.takes.iter().find(|field| field.place == Place::Query && field.required) {
        Some(field) => format!("{path}?{}={}", field.name, something(field.name)),
        None => path,
    }
}

/// Well formed, and about nothing that there is.
fn something(name: &str) -> &'static str {
    match name {
        "path" => "workflows/no-such.yaml",
        "do" => "check",
        "questions" => "999999:x",
        _ => "1",
    }
}

/// Something for whatever it takes.
fn body(route: &Route) -> Vec<(&'static str, &'static str)> {
    let taken =
        route.takes.iter().filter(|field| field.place == Place::Body && (field.required || field.name == "runs"));
    taken.map(|field| (field.name, something(field.name))).collect()
}

async fn ask(visitor: &Visitor, route: &Route, fields: &[(&str, &str)]) -> Said {
    match (route.method, route.kind()) {
        (Method::Get, _) => visitor.get(&address(route)).await,
        (Method::Post, Kind::Api) => {
            let said: BTreeMap<&str, &str> = body(route).into_iter().collect();
            visitor.post_json(&address(route), &json!(said)).await
        }
        (Method::Post, _) => visitor.submit(&address(route), fields).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_denies_whoever_may_not() {
    let (stage, serve, nobody) = open(Vec::new()).await;
    let mut visitors = BTreeMap::new();
    for role in Role::ALL {
        let (session, csrf) = nobody.signed_in("code", &code(&stage, role)).await;
        visitors.insert(role, (nobody.with_token(&token(&stage, role)), session, csrf));
    }
    let guarded = TABLE.iter().filter(|route| route.path != "/sign-out" && route.path != "/api/v1/events");
    for route in guarded {
        let called = format!("{:?} {}", route.method, route.path);
        let Some(right) = route.right else {
            let said = ask(&nobody, route, &[("token", "x")]).await;
            assert!(![401, 500].contains(&said.status), "{called}: {said:?}");
            continue;
        };
        let is_api = route.kind() == Kind::Api;
        let said = ask(&nobody, route, &[]).await;
        match is_api {
            true => assert_eq!((said.status, said.json()["status"].clone()), (401, json!(401)), "{called}"),
            false => assert_eq!((said.status, &said.header("location")[..8]), (303, "/sign-in"), "{called}: {said:?}"),
        }
        for (role, (program, person, csrf)) in &visitors {
            let mut fields = body(route);
            fields.push(("csrf", csrf.as_str()));
            let said = ask(if is_api { program } else { person }, route, &fields).await;
            let expected: &[u16] = if *role < right { &[403] } else { &[200, 303, 404, 409, 422] };
            assert!(expected.contains(&said.status), "{called} as {role:?}: {said:?}");
            // A session looks by the API, and changes nothing there; a token opens no page.
            let said = ask(if is_api { person } else { program }, route, &fields).await;
            let expected = match (is_api, route.method) {
                (false, _) => 303,
                (true, Method::Post) => 403,
                (true, Method::Get) if *role < right => 403,
                (true, Method::Get) => said.status,
            };
            assert_eq!(said.status, expected, "{called} as {role:?}: {said:?}");
        }
    }
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_was_let_in_is_in_and_no_longer_than_that() {
    let (mut stage, serve, nobody) = open(Vec::new()).await;
    // A link leads in once: to look at it does nothing yet.
    let link = code(&stage, Role::Operate);
    for _ in 0..2 {
        let page = nobody.get(&format!("/sign-in?code={link}")).await;
        assert!(page.status == 200 && page.text.contains("Go in") && page.header("set-cookie").is_empty(), "{page:?}");
    }
    let (person, csrf) = nobody.signed_in("code", &link).await;
    let again = nobody.submit("/sign-in", &[("code", &link)]).await;
    assert_eq!((again.status, again.header("set-cookie")), (403, ""));
    assert!(again.text.contains("was used, or is too old"), "{again:?}");
    let page = person.get("/").await;
    let cookie =
        nobody.submit("/sign-in", &[("code", &code(&stage, Role::Read))]).await.header("set-cookie").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict; Max-Age=43200"), "{cookie}");
    for (name, value) in
        [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")]
    {
        assert_eq!(page.header(name), value);
    }
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    );
    // Whoever wanted to go elsewhere goes on there, and nowhere outside.
    assert_eq!(nobody.get("/runs?status=failed").await.header("location"), "/sign-in?to=%2Fruns%3Fstatus%3Dfailed");
    let fields = [("code", &*code(&stage, Role::Read)), ("to", "/runs?status=failed")];
    assert_eq!(nobody.submit("/sign-in", &fields).await.header("location"), "/runs?status=failed");
    let fields = [("code", &*code(&stage, Role::Read)), ("to", "//evil.example")];
    assert_eq!(nobody.submit("/sign-in", &fields).await.header("location"), "/");
    // Whoever is in and follows another link goes on as whom that one lets in; the cookie from before is over.
    let (before, proof) = nobody.signed_in("code", &code(&stage, Role::Read)).await;
    let other = code(&stage, Role::Operate);
    assert_eq!(before.submit("/sign-in", &[("code", &other)]).await.status, 403);
    assert!(before.get(&format!("/sign-in?code={other}")).await.text.contains(&format!("value=\"{proof}\"")));
    let anew = before.submit("/sign-in", &[("code", &other), ("csrf", &proof)]).await;
    assert_eq!((anew.status, before.get("/").await.status), (303, 303));
    // Out is out, also with the same cookie.
    let out = person.submit("/sign-out", &[("csrf", &csrf)]).await;
    assert!(out.status == 303 && out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    assert_eq!(person.get("/").await.status, 303);

    // A token that is revoked is over at once, and so is who came in with it.
    let key = token(&stage, Role::Read);
    let (program, (person, _)) = (nobody.with_token(&key), nobody.signed_in("token", &key).await);
    assert_eq!((program.get("/api/v1/runs").await.status, person.get("/api/v1/runs").await.status), (200, 200));
    let (exit, said) = plain(&stage, &["token", "revoke", "1"]);
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!((program.get("/api/v1/runs").await.status, person.get("/").await.status), (401, 303));
    let (exit, said) = plain(&stage, &["token", "revoke", "1"]);
    assert!(exit == Some(2) && said.contains("there is no token 1 in force"), "{said}");
    // What only looks like a token.
    for wrong in [&*key, &key[..key.len() - 1], "dovetail_1_", "dovetail_77_x", "x", ""] {
        let said = nobody.with_token(wrong).get("/api/v1/runs").await;
        assert_eq!((said.status, said.header("www-authenticate")), (401, "Bearer"), "{wrong}");
    }
    let said = nobody.with("authorization", &format!("Basic {key}")).get("/api/v1/runs").await;
    assert_eq!(said.status, 401);
    serve.term().await;

    // One that has expired, though nobody revoked it.
    let store = Store::open(&stage.data()).expect("a store");
    let secret = "a".repeat(43);
    let hash = dovetail::server::secret::hash(&secret);
    let token = NewToken { name: "old".into(), role: Role::Admin, hash, expires_ms: 1_000 };
    let text = || String::from("x");
    let deed = Deed { number: 0, at_ms: 1, who: text(), origin: text(), what: text(), about: text() };
    let number = store.keep_token(token, deed).await.expect("kept");
    store.close().await;
    let serve = stage.serve().await;
    let nobody = Visitor::of(&serve).await;
    let old = nobody.with_token(&dovetail::server::secret::token(number, &secret));
    assert_eq!(old.get("/api/v1/runs").await.status, 401);
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_signed_in_stays_so_while_the_program_is_started_again() {
    let mut stage = Stage::set().await;
    let place = format!("127.0.0.1:{}", stage::cluster::port());
    stage.flags = ["--dashboard", &place].map(String::from).into();
    let serve = stage.serve().await;
    let nobody = Visitor::of(&serve).await;
    let (person, csrf) = nobody.signed_in("code", &code(&stage, Role::Read)).await;
    serve.term().await;
    let serve = stage.serve().await;
    let page = person.get("/runs").await;
    assert!(page.status == 200 && page.text.contains(&csrf), "{page:?}");
    assert_eq!(person.submit("/sign-out", &[("csrf", &csrf)]).await.status, 303);
    serve.kill();
    let serve = stage.serve().await;
    assert_eq!(person.get("/runs").await.status, 303, "out is out");
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_somebody_else_changes_nothing() {
    let (stage, serve, nobody) = open(vec![conflict(["Byron", "Lovelace"])]).await;
    let (person, csrf) = nobody.signed_in("code", &code(&stage, Role::Admin)).await;
    let (other, _) = nobody.signed_in("code", &code(&stage, Role::Admin)).await;
    let seen = person.get("/api/v1/questions/1").await.json()["seen"].as_str().expect("it").to_owned();
    let path = "/questions/1/answer";
    let fields = [("csrf", csrf.as_str()), ("seen", seen.as_str()), ("picked", "2")];
    let body =
        serde_json::to_value(fields).map(|_| format!("csrf={csrf}&seen={seen}&picked=2").into_bytes()).expect("a form");
    let form = "application/x-www-form-urlencoded";
    let mut refused = vec![
        person.submit(path, &fields[1..]).await,
        person.submit(path, &[("csrf", "x"), fields[1], fields[2]]).await,
        person.submit(path, &[fields[0], fields[0], fields[1], fields[2]]).await,
        other.submit(path, &fields).await,
        person.post(path, form, body.clone()).await,
    ];
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "null"),
        ("origin", "https://evil.example"),
        ("origin", "http://127.0.0.1:1"),
    ] {
        refused.push(person.with(name, value).post(path, form, body.clone()).await);
    }
    for said in refused {
        assert_eq!(said.status, 403, "{said:?}");
    }
    let own = person.with("sec-fetch-site", "same-origin");
    assert_eq!(own.post(path, "text/plain", body.clone()).await.status, 415);
    assert_eq!(own.post(path, form, vec![b'x'; 70_000]).await.status, 413);
    // To look changes nothing.
    assert_eq!(person.get(path).await.status, 405);
    let question = person.get("/api/v1/questions/1").await.json();
    assert_eq!(question["is_answered"], json!(false), "{question}");
    let deeds = person.get("/api/v1/audit").await.json();
    assert_eq!(deeds["items"], json!([]), "{deeds}");

    // Under a name that is not ours, nobody is let in.
    for host in ["evil.example", "evil.example:4001", "127.0.0.1.evil.example", "10.0.0.1"] {
        for path in ["/", "/api/v1/runs", "/sign-in", "/assets/style.css", "/nothing", "/api/nothing"] {
            assert_eq!(person.with("host", host).get(path).await.status, 421, "{host} {path}");
        }
    }
    for host in ["localhost", "localhost:1", "[::1]:4001", "127.0.0.1"] {
        assert_eq!(person.with("host", host).get("/").await.status, 200, "{host}");
    }
    let answer = person.get("/").await;
    assert!(answer.headers.keys().all(|name| !name.starts_with("access-control")), "{answer:?}");

    // With all that belongs to it, it is done; by the origin alone as well.
    let said = person.with("origin", &person.base).post(path, form, body).await;
    assert_eq!((said.status, said.header("location")), (303, "/questions"), "{said:?}");
    let deeds = person.get("/api/v1/audit").await.json();
    let deed = &deeds["items"][0];
    assert_eq!(
        (deed["what"].as_str(), deed["about"].as_str(), deed["from"].as_str()),
        (Some("answers a question"), Some("question 1 of contacts: os"), Some("127.0.0.1"))
    );
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_decides_and_it_is_done_and_in_the_audit() {
    let alone = Question::Alone { other: "contact of os".into(), missing: None };
    let (mut stage, serve, _) = open(vec![conflict(["Byron", "Lovelace"]), alone]).await;
    serve.term().await;
    stage.write("workflows/fails.yaml", "workflow: fails\ntrigger: { manual: }\nactions: [{ fail: it does }]\n");
    stage.activate(&["contacts", "fails"]);
    let serve = stage.serve().await;
    let nobody = Visitor::of(&serve).await;
    let program = nobody.with_token(&token(&stage, Role::Admin));
    let (person, csrf) = nobody.signed_in("code", &code(&stage, Role::Operate)).await;

    // A question, with both values, by a button.
    let page = person.get("/questions").await.text;
    for part in ["<pre>Byron</pre>", "<pre>Lovelace</pre>", "Take that of ghl", "Create it", "It is this one"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let all = program.get("/api/v1/questions").await.json();
    let seen = |number: usize| all["items"][number]["seen"].as_str().expect("it").to_owned();
    assert_eq!(
        (&all["items"][0]["answers"], &all["items"][1]["words"]),
        (&json!(["ghl", "os"]), &json!("there is no such contact of os: create it?"))
    );
    let refuse = async |body: Value, status: u16| {
        let said = program.post_json("/api/v1/questions/1/answer", &body).await;
        assert_eq!((said.status, said.header("content-type")), (status, "application/problem+json"), "{said:?}");
    };
    refuse(json!({ "answer": "crm", "seen": seen(0) }), 400).await;
    refuse(json!({ "answer": "os" }), 400).await;
    refuse(json!({ "answer": "os", "seen": seen(1) }), 409).await;
    refuse(json!({ "answer": "os", "seen": seen(0), "by": "me" }), 400).await;
    let done = person.submit("/questions/1/answer", &[("csrf", &csrf), ("seen", &seen(0)), ("picked", "2")]).await;
    assert_eq!(done.status, 303, "{done:?}");
    refuse(json!({ "answer": "ghl", "seen": seen(0) }), 409).await;
    let fields = [("csrf", &*csrf), ("seen", &*seen(1)), ("picked", "2"), ("id", "77")];
    assert_eq!(person.submit("/questions/2/answer", &fields).await.status, 303);
    // Each answer is acted on: a run of the sync.
    let runs = stage.over().await;
    let of_answers = runs.iter().filter(|run| run.start.event.id.starts_with("answer/"));
    assert_eq!(of_answers.map(|run| run.start.event.source.as_str()).collect::<Vec<_>>(), ["sync contacts"; 2]);

    // A run that fails: tried again by a button, then given up by a program.
    assert_eq!(stage.run(&["run", "fails"]).0, Some(1));
    let runs = stage.over().await;
    let failed = runs.iter().find(|run| run.status == Status::Failed).expect("one fails").seq;
    let page = person.get(&format!("/runs/{failed}")).await.text;
    assert!(page.contains("Try again") && page.contains("it does"), "{page}");
    assert!(person.get("/runs?status=failed").await.text.contains(&format!("href=\"/runs/{failed}\"")));
    let cancel = program.post_json(&format!("/api/v1/runs/{failed}/cancel"), &json!({})).await;
    assert_eq!(cancel.status, 409, "{cancel:?}");
    let again = person.submit(&format!("/runs/{failed}/retry"), &[("csrf", &csrf)]).await;
    assert_eq!(again.header("location"), format!("/runs/{failed}"), "{again:?}");
    stage.over().await;
    let dead = program.get("/api/v1/dead-letters").await.json();
    assert_eq!(dead["items"][0]["no"], json!(failed), "{dead}");
    let dropped = program.post_json(&format!("/api/v1/runs/{failed}/drop"), &json!({})).await;
    assert_eq!((dropped.status, &dropped.json()["status"]), (200, &json!("dropped")));
    let journal = stage.journal(dropped.json()["id"].as_str().expect("an id")).await;
    let told = serde_json::to_string(&journal).expect("JSON");
    assert!(told.contains("ada (token 1), at the dashboard"), "{told}");

    let (exit, said) = plain(&stage, &["token", "audit"]);
    assert_eq!(exit, Some(0), "{said}");
    let whats = [
        "gives a run up: run ",
        "tries a run again: run ",
        "question 2 of contacts: link 77",
        "question 1 of contacts: os",
        "makes a token: token 1 (ada)",
    ];
    let places: Vec<_> = whats.iter().map(|what| said.find(what).unwrap_or_else(|| panic!("{what}: {said}"))).collect();
    assert!(places.is_sorted(), "{said}");
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_questions_are_answered_at_once_and_what_has_changed_is_left() {
    let alone = Question::Alone { other: "contact of os".into(), missing: None };
    let conflicts = ["Byron", "Turing", "Hopper"].map(|name| conflict([name, "Lovelace"]));
    let (stage, serve, nobody) = open(conflicts.into_iter().chain([alone]).collect()).await;
    let program = nobody.with_token(&token(&stage, Role::Admin));
    let (person, csrf) = nobody.signed_in("code", &code(&stage, Role::Operate)).await;
    let page = person.get("/questions").await.text;
    assert!(page.contains("Take those of ghl for all 3") && page.contains("Take those of os for all 3"), "{page}");
    let all = program.get("/api/v1/questions").await.json();
    let seen = |number: usize| all["items"][number - 1]["seen"].as_str().expect("it").to_owned();
    let answer = async |questions: &str, answer: &str| {
        program.post_json("/api/v1/questions/answer", &json!({ "questions": questions, "answer": answer })).await
    };
    // The second has changed since it was read; there is no fifth.
    let done = answer(&format!("1:{}, 2:{}, 5:{}", seen(1), seen(1), seen(1)), "ghl").await;
    assert_eq!((done.status, &done.json()["done"]), (200, &json!([1])), "{done:?}");
    let form = [("csrf", csrf.as_str()), ("answer", "os"), ("questions", &format!("2:{},3:{}", seen(2), seen(3)))];
    assert_eq!(person.submit("/questions/answer", &form).await.header("location"), "/questions");
    for (questions, why) in [("x", "must be numbers"), (&*format!("4:{}", seen(4)), "no answer to question 4")] {
        let said = answer(questions, "ghl").await;
        assert!(said.status == 400 && said.text.contains(why), "{said:?}");
    }
    let deeds = program.get("/api/v1/audit").await.json();
    let told: Vec<&str> =
        deeds["items"].as_array().expect("items").iter().filter_map(|one| one["about"].as_str()).collect();
    for what in ["question 1 of contacts: ghl", "question 2 of contacts: os", "question 3 of contacts: os"] {
        assert!(told.contains(&what), "{what}: {told:?}");
    }
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_dead_letters_are_decided_at_once_and_who_is_silent_is_seen() {
    let (mut stage, serve, _) = open(Vec::new()).await;
    serve.term().await;
    stage.write("workflows/fails.yaml", "workflow: fails\ntrigger: { manual: }\nactions: [{ fail: it does }]\n");
    let quiet = "workflow: quiet\ntrigger: { webhook: /quiet, verify: none }\nalert_if_silent: 1s\n\
                 actions: [{ stop: heard }]\non_error: [{ stop: told }]\n";
    stage.write("workflows/quiet.yaml", quiet);
    stage.activate(&["fails", "quiet"]);
    let serve = stage.serve().await;
    let nobody = Visitor::of(&serve).await;
    let program = nobody.with_token(&token(&stage, Role::Admin));
    let (person, csrf) = nobody.signed_in("code", &code(&stage, Role::Admin)).await;
    for _ in 0..3 {
        assert_eq!(stage.run(&["run", "fails"]).0, Some(1));
    }
    let dead = async || {
        let page = program.get("/api/v1/dead-letters").await.json();
        let mut numbers: Vec<i64> =
            page["items"].as_array().expect("items").iter().filter_map(|run| run["no"].as_i64()).collect();
        numbers.sort_unstable();
        numbers
    };
    let [first, second, third] = dead().await[..] else { panic!("three have failed") };
    let page = person.get("/runs?status=failed").await.text;
    assert!(page.contains(&format!("name=\"runs\" value=\"{third},{second},{first}\"")), "{page}");
    assert!(page.contains("Try these 3 again") && page.contains("Give these 3 up"), "{page}");

    let runs = format!("{first}, {second}, 4711");
    let done = program.post_json("/api/v1/dead-letters/retry", &json!({ "runs": runs })).await;
    assert_eq!((done.status, &done.json()["done"]), (200, &json!([first, second])), "{done:?}");
    until("they have failed once more", async || (dead().await.len() == 3).then_some(())).await;
    let form = [("csrf", csrf.as_str()), ("runs", &format!("{third},{first}"))];
    assert_eq!(person.submit("/dead-letters/drop", &form).await.status, 303);
    assert_eq!(dead().await, [second]);
    for (runs, why) in [("x", "must be numbers"), ("", "say `runs`, or `up_to`")] {
        let said = program.post_json("/api/v1/dead-letters/drop", &json!({ "runs": runs })).await;
        assert!(said.status == 400 && said.text.contains(why), "{said:?}");
    }
    let both = program.post_json("/api/v1/dead-letters/drop", &json!({ "runs": "1", "up_to": 9 })).await;
    assert!(both.status == 400 && both.text.contains("say `runs`, or `up_to`"), "{both:?}");

    // All that have something in common, and none that nobody has seen.
    for _ in 0..2 {
        assert_eq!(stage.run(&["run", "fails"]).0, Some(1));
    }
    let [_, newer, newest] = dead().await[..] else { panic!("three have failed") };
    let page = person.get("/runs?status=failed&limit=2").await.text;
    assert!(page.contains("Try all of these again") && page.contains(&format!("name=\"up_to\" value=\"{newest}\"")));
    for (with, gone) in [
        (json!({ "up_to": newer, "workflow": "greets" }), json!([])),
        (json!({ "up_to": newer, "error": "timed_out" }), json!([])),
        (json!({ "up_to": newer, "workflow": "fails", "since": "1h" }), json!([newer, second])),
    ] {
        let said = program.post_json("/api/v1/dead-letters/drop", &with).await;
        assert_eq!((said.status, &said.json()["done"]), (200, &gone), "{with}: {said:?}");
    }
    assert_eq!(dead().await, [newest]);

    let many = (1..=201).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(program.post_json("/api/v1/dead-letters/drop", &json!({ "runs": many })).await.status, 400);

    // Whom nobody has heard for too long.
    let silent = until("it is silent", async || {
        let summary = program.get("/api/v1/summary").await.json();
        let watched = summary["watched"][0].clone();
        (watched["is_silent"] == true).then_some(watched)
    })
    .await;
    assert_eq!((&silent["workflow"], &silent["may_be_silent_seconds"]), (&json!("quiet"), &json!(1)));
    let page = person.get("/").await.text;
    assert!(page.contains("Watched for silence") && page.contains(">silent<"), "{page}");

    // All of it is in the audit, which admins see.
    let page = person.get("/audit").await.text;
    for part in ["tries runs again", "gives runs up", &format!("runs {third}, {first}"), "ada (token 1)"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let (operator, _) = nobody.signed_in("code", &code(&stage, Role::Operate)).await;
    assert_eq!(operator.get("/audit").await.status, 403);
    assert!(!operator.get("/").await.text.contains("Audit") && page.contains("Audit"));
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_answers_as_its_description_says_and_refuses_the_rest() {
    let several =
        Question::Several { other: "contact of os".into(), ids: vec!["1".into(), "2".into()], taken: Vec::new() };
    let (stage, serve, nobody) = open(vec![several]).await;
    let program = nobody.with_token(&token(&stage, Role::Admin));
    for name in ["Ada", "Bob", "Cyd"] {
        let record =
            stage.make(GHL, "contact", json!({ "firstName": name, "email": format!("{name}@example.com") })).await;
        stage.tell("ContactCreate", &record).await;
    }
    stage.over().await;
    let document = program.get("/api/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], json!("3.1.0"));
    for route in TABLE.iter().filter(|route| route.kind() == Kind::Api) {
        let method = if route.method == Method::Get { "get" } else { "post" };
        let operation = &document["paths"][route.path][method];
        assert!(operation.is_object(), "{} is not described", route.path);
        if route.method == Method::Post
            || ["Happenings", "Description", "Record", "Stories", "Document", "PlanFound"].contains(&route.gives)
        {
            continue;
        }
        let path = route.path.replace("{run}", "1").replace("{number}", "1");
        let said = program.get(&path.replace("{workflow}", "contact-to-opinion-stage")).await;
        assert_eq!((said.status, said.header("content-type")), (200, "application/json"), "{}", route.path);
        let wrong = schema::wrong(
            &said.json(),
            &operation["responses"]["200"]["content"]["application/json"]["schema"],
            &document,
        );
        assert_eq!(wrong, Vec::<String>::new(), "{}: {}", route.path, said.text);
    }

    // Page by page, each once.
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let page = program.get(&format!("/api/v1/runs?limit=1{next}")).await.json();
        found.extend(page["items"].as_array().expect("items").iter().map(|run| run["no"].as_i64().expect("a number")));
        let Some(cursor) = page["next"].as_i64() else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!(found, [3, 2, 1]);
    let of = async |query: &str| {
        program.get(&format!("/api/v1/runs?{query}")).await.json()["items"].as_array().map(Vec::len)
    };
    assert_eq!((of("status=completed").await, of("status=failed").await), (Some(3), Some(0)));
    assert_eq!(
        (of("since=1h").await, of("until=1h").await, of("connection=nobody").await),
        (Some(3), Some(0), Some(0))
    );

    let bad = [
        "runs?status=gone",
        "runs?limit=0",
        "runs?limit=201",
        "runs?limit=x",
        "runs?cursor=-1",
        "runs?since=soon",
        "runs?colour=red",
        "runs?status=failed&status=failed",
        "runs?workflow=%FF&colour",
        "questions/x",
        "questions/0",
        "workflows?limit=1",
    ];
    for path in bad {
        let said = program.get(&format!("/api/v1/{path}")).await;
        assert_eq!((said.status, said.header("content-type")), (400, "application/problem+json"), "{path}: {said:?}");
        let problem = said.json();
        let wrong = schema::wrong(&problem, &document["components"]["schemas"]["Problem"], &document);
        assert_eq!(wrong, Vec::<String>::new(), "{path}: {problem}");
    }
    for path in [
        "runs/4711",
        "runs/0000-none",
        "runs/%2e%2e",
        "questions/4711",
        "nothing",
        "runs/1/nothing",
        "runs/4711/journal",
    ] {
        let said = program.get(&format!("/api/v1/{path}")).await;
        assert_eq!((said.status, said.header("content-type")), (404, "application/problem+json"), "{path}: {said:?}");
    }
    for (path, allowed) in [("runs", "GET, HEAD"), ("runs/1/retry", "POST"), ("document", "GET, HEAD, POST")] {
        let said = program.delete(&format!("/api/v1/{path}")).await;
        assert_eq!((said.status, said.header("allow")), (405, allowed), "{path}");
    }
    assert_eq!(nobody.get("/api/v1/runs").await.header("www-authenticate"), "Bearer");
    let answer = "/api/v1/questions/1/answer";
    for body in [&b"{"[..], b"[]", b"\xff", b"{\"answer\": [], \"seen\": \"x\"}", b"{\"answer\": 1, \"answer\": 2}"] {
        let said = program.post(answer, "application/json", body.to_vec()).await;
        assert_eq!(said.status, 400, "{said:?}");
    }
    assert_eq!(program.post(answer, "text/plain", b"{}".to_vec()).await.status, 415);
    assert_eq!(program.post(answer, "application/json", vec![b' '; 70_000]).await.status, 413);
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_write_is_text_on_every_page() {
    let mut questions: Vec<Question> = hostile::PAYLOADS.iter().map(|payload| conflict([payload, payload])).collect();
    questions.push(Question::Several {
        other: hostile::PAYLOADS[0].into(),
        ids: hostile::PAYLOADS.iter().map(ToString::to_string).collect(),
        taken: Vec::new(),
    });
    let (stage, serve, nobody) = open(questions).await;
    for some in hostile::PAYLOADS.chunks(5) {
        let one = |at: usize| some.get(at).copied().unwrap_or_default();
        let email = format!("{}@example.com", uuid::Uuid::now_v7());
        let fields = json!({
            "email": email, "firstName": one(0), "lastName": one(1), "city": one(2), "companyName": one(3), "tags": [one(4)],
        });
        let record = stage.make(GHL, "contact", fields).await;
        stage.tell("ContactCreate", &record).await;
    }
    let runs = stage.over().await;
    let (person, _) = nobody.signed_in("code", &code(&stage, Role::Admin)).await;
    let mut paths: Vec<String> = ["/", "/runs", "/connections", "/catalogue"].map(String::from).into();
    paths.extend(runs.iter().map(|run| format!("/runs/{}", run.seq)));
    paths.extend((0..hostile::PAYLOADS.len()).step_by(20).map(|cursor| format!("/questions?cursor={}", cursor.max(1))));
    for payload in hostile::PAYLOADS {
        let asked: String = url::form_urlencoded::byte_serialize(payload.as_bytes()).collect();
        paths.extend(["workflow", "record", "connection"].map(|name| format!("/runs?{name}={asked}")));
        paths.push(format!("/runs?{asked}={asked}"));
        paths.push(format!("/runs/{}", asked.replace('+', "%20")));
        paths.push(format!("/sign-in?code={asked}&to={asked}"));
        paths.push(format!("/catalogue?search={asked}"));
    }
    let shown = hostile::inert(&person, &paths).await;
    assert!(shown > 5, "the payloads are on the pages, as text: {shown}");
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_told_as_it_happens() {
    let (stage, serve, nobody) = open(Vec::new()).await;
    let program = nobody.with_token(&token(&stage, Role::Read));
    let answer = program.request("/api/v1/events?connection=example-ghl").send().await.expect("it answers");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut told = answer.bytes_stream();
    let mut heard = String::new();
    let mut has_told = false;
    while !heard.contains("\"what\":\"ended\"") {
        let chunk = told.next().await.expect("it goes on").expect("it is whole");
        heard.push_str(std::str::from_utf8(&chunk).expect("text"));
        if heard.contains("\"what\":\"listening\"") && !has_told {
            has_told = true;
            let record = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
            stage.tell("ContactCreate", &record).await;
        }
    }
    assert!(heard.contains("\"what\":\"request\"") && !heard.contains("ada@example.com"), "{heard}");
    // Whoever listens does not hold up the end.
    let (status, said) = serve.term().await;
    assert!(status.success(), "{said}");
    assert!(told.next().await.is_none_or(|rest| rest.is_err() || rest.is_ok_and(|rest| !rest.is_empty())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipes_are_seen_as_they_are_written() {
    let (stage, serve, nobody) = open(Vec::new()).await;
    let (person, _) = nobody.signed_in("code", &code(&stage, Role::Read)).await;
    let all = person.get("/workflows").await.text;
    assert!(
        all.contains("href=\"/workflows/contact-to-opinion-stage\"") && all.contains("when ghl.contact.changed"),
        "{all}"
    );
    let one = person.get("/workflows/contact-to-opinion-stage").await.text;
    for part in ["upsert: os.contact", "workflows/contact-to-opinion-stage.yaml", "No runs here"] {
        assert!(one.contains(part), "{part}: {one}");
    }
    assert_eq!(person.get("/workflows/no-such").await.status, 404);
    // What no recipe uses yet is offered too: other connectors, and all of those in use.
    let offered = person.get("/catalogue?search=invoice_template").await.text;
    for part in ["<option value=\"hubspot\">", "call: ghl.invoice_template.create"] {
        assert!(offered.contains(part), "{part}: {offered}");
    }
    let contact = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &contact).await;
    stage.over().await;
    let one = person.get("/workflows/contact-to-opinion-stage").await.text;
    assert!(one.contains("href=\"/runs/1\""), "{one}");
    // Drawn, with how often each step was done.
    for part in ["<strong>when ghl.contact.changed</strong>", "1 run<", "<strong>upsert os.contact</strong>", "1 done"]
    {
        assert!(one.contains(part), "{part}: {one}");
    }
    stage.fault(PEOPLE, json!({ "at": "contact.update", "status": 422, "times": 1 })).await;
    let id = contact["id"].as_str().expect("an id");
    let contact = stage.change(GHL, "contact", id, json!({ "firstName": "Augusta" })).await;
    stage.tell("ContactUpdate", &contact).await;
    stage.over().await;
    let one = person.get("/workflows/contact-to-opinion-stage").await.text;
    for part in ["2 runs", "1 failed", "1 done"] {
        assert!(one.contains(part), "{part}: {one}");
    }
    // Each request as it was sent, without what proves who we are.
    let page = person.get("/runs/1").await.text;
    assert!(!page.to_lowercase().contains("authorization"), "{page}");
    assert!(
        page.contains("<code>POST http://127.0.0.1:") && page.contains("&quot;first_name&quot;: &quot;Ada&quot;"),
        "{page}"
    );
    let journal = nobody.with_token(&token(&stage, Role::Read)).get("/api/v1/runs/1/journal").await.json();
    let items = journal["items"].as_array().expect("items");
    let sent: Vec<&Value> =
        items.iter().map(|entry| &entry["request"]).filter(|request| request["method"] == "POST").collect();
    assert!(sent.len() == 1 && sent[0]["body"]["first_name"] == "Ada", "{journal}");
    let statuses: Vec<&Value> =
        items.iter().map(|entry| &entry["answered"]["status"]).filter(|status| !status.is_null()).collect();
    assert!(statuses.contains(&&json!(201)) && page.contains("answered 201: "), "{journal}");

    // From the same event once more, by the recipe as it is now.
    let (operator, csrf) = nobody.signed_in("code", &code(&stage, Role::Operate)).await;
    assert!(operator.get("/runs/1").await.text.contains("Run it anew"));
    assert!(!person.get("/runs/1").await.text.contains("Run it anew"));
    let again = operator.submit("/runs/1/replay", &[("csrf", &csrf)]).await;
    assert_eq!((again.status, again.header("location")), (303, "/runs/3"), "{again:?}");
    let runs = stage.over().await;
    let (first, third) = (&runs[0].start, &runs[2].start);
    assert_eq!((&third.event.replay_of, &third.workflow), (&Some(first.event.id.clone()), &first.workflow));
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_of_the_demo_lead_in() {
    let folder = std::env::temp_dir().join(format!("dovetail-demo-{}", uuid::Uuid::now_v7()));
    let mut demo = stage::command();
    let demo = demo.args(["demo", "--data"]).arg(&folder).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut demo = demo.spawn().expect("it starts");
    let said = BufReader::new(demo.stderr.take().expect("its stderr"));
    let mut lines = said.lines().map_while(Result::ok);
    let link = lines
        .find_map(|line| line.trim().split_once("/sign-in?code=").map(|(at, code)| (at.to_owned(), code.to_owned())));
    let (at, code) = link.expect("a link");
    let nobody = Visitor::at(at);
    let (visitor, _) = nobody.signed_in("code", &code).await;
    let runs = visitor.get("/runs").await;
    assert!(runs.text.contains("contacts/ghl.contact"), "{runs:?}");
    let sync = visitor.get("/workflows/contacts").await.text;
    for part in ["keeps ghl.contact and os.contact alike", "on_difference", "href=\"/runs/"] {
        assert!(sync.contains(part), "{part}: {sync}");
    }
    let another = stage::command().args(["dashboard", "--data"]).arg(folder.join("data")).output().expect("it runs");
    let another = String::from_utf8(another.stdout).expect("a text");
    let (_, code) = another.trim().split_once("/sign-in?code=").expect("another link");
    nobody.signed_in("code", code).await;
    demo.kill().expect("it is killed");
    demo.wait().expect("it is gone");
    std::fs::remove_dir_all(folder).expect("removed");
}
