//! Recipes as they are being written: checked, tried and saved, by people and by programs.

use dovetail::store::Role;
use serde_json::{Value, json};

use super::schema;
use super::visitor::{Visitor, code, plain, token};
use crate::stage::{Serve, Stage, until};

const PATH: &str = "workflows/greets.yaml";
const RIGHT: &str = "workflow: greets\ntrigger: { manual: { inputs: { name: { type: string } } } }\n\
                     actions:\n  - stop: \"Hello, {{inputs.name}}!\"\n";
const WRONG: &str = "workflow: greets\ntrigger: { manual: { inputs: { name: { type: string } } } }\n\
                     actions:\n  - stop: \"Hello, {{inputs.nam}}!\"\n";

/// A project with such a recipe, which is active.
async fn desk() -> (Stage, Serve, Visitor) {
    let mut stage = Stage::set().await;
    stage.flags = ["--dashboard", "127.0.0.1:0", "--allow-edits"].map(String::from).into();
    stage.write(PATH, &RIGHT.replace("Hello", "Good night"));
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - greets\n");
    let serve = stage.serve().await;
    let nobody = Visitor::of(&serve).await;
    (stage, serve, nobody)
}

fn draft(text: &str) -> Value {
    json!({ "path": PATH, "text": text })
}

fn saving(text: &str, version: &str) -> Value {
    json!({ "path": PATH, "text": text, "version": version })
}

async fn described(program: &Visitor, path: &str, method: &str, answer: &Value) {
    let document = program.get("/api/v1/openapi.json").await.json();
    let responses = &document["paths"][path][method]["responses"];
    let wrong = schema::wrong(answer, &responses["200"]["content"]["application/json"]["schema"], &document);
    assert_eq!(wrong, Vec::<String>::new(), "{path}: {answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_checks_tries_and_saves_a_recipe_and_it_is_served() {
    let (stage, serve, nobody) = desk().await;
    let program = nobody.with_token(&token(&stage, Role::Admin));

    let found = program.post_json("/api/v1/checks", &draft(WRONG)).await;
    assert_eq!(found.status, 200, "{found:?}");
    described(&program, "/api/v1/checks", "post", &found.json()).await;
    let first = found.json()["diagnostics"][0].clone();
    assert_eq!(
        (&first["code"], &first["primary"]["path"], &first["primary"]["line"], &first["help"]),
        (&json!("unknown-field"), &json!(PATH), &json!(4), &json!("did you mean `name`?")),
    );
    assert_eq!(program.post_json("/api/v1/checks", &draft(RIGHT)).await.json()["errors"], json!(0));

    let tried = program.post_json("/api/v1/trials", &draft(WRONG)).await;
    assert!(tried.status == 422 && tried.text.contains("has no field `nam`"), "{tried:?}");
    let mut trial = draft(RIGHT);
    trial["sample"] = json!("name: Ada");
    let tried = program.post_json("/api/v1/trials", &trial).await;
    described(&program, "/api/v1/trials", "post", &tried.json()).await;
    assert_eq!(tried.json()["runs"][0]["ending"]["completed"]["value"], json!("Hello, Ada!"), "{tried:?}");
    assert_eq!(tried.json()["sample"], json!({ "name": "Ada" }));
    assert_eq!(stage.runs().await.len(), 0, "a trial leaves nothing behind");

    // What was seen is what is replaced.
    let known = program.get(&format!("/api/v1/document?path={PATH}")).await.json();
    described(&program, "/api/v1/document", "get", &known).await;
    for version in ["new", "0123456789abcdef"] {
        let late = program.post_json("/api/v1/document", &saving(RIGHT, version)).await;
        assert!(late.status == 409 && late.text.contains("was changed meanwhile"), "{late:?}");
    }
    let version = known["version"].as_str().expect("a version");
    let saved = program.post_json("/api/v1/document", &saving(WRONG, version)).await;
    assert!(saved.status == 422 && saved.text.contains("workflows/greets.yaml:4:"), "{saved:?}");
    assert_eq!(program.get(&format!("/api/v1/document?path={PATH}")).await.json(), known, "as it was");
    let saved = program.post_json("/api/v1/document", &saving(RIGHT, version)).await;
    assert_eq!((saved.status, &saved.json()["is_served"]), (200, &json!(true)), "{saved:?}");
    described(&program, "/api/v1/document", "post", &saved.json()).await;
    let (exit, said) = stage.run(&["run", "greets", "--input", r#"{ "name": "Ada" }"#]);
    assert!(exit == Some(0) && said.contains("Hello, Ada!"), "{said}");

    // How it was written before, and what is other now.
    let versions = program.get("/api/v1/workflows/greets/versions").await.json();
    described(&program, "/api/v1/workflows/{workflow}/versions", "get", &versions).await;
    let told: Vec<&Value> = versions["items"].as_array().expect("items").iter().map(|one| &one["version"]).collect();
    assert_eq!(told, [&saved.json()["version"], &known["version"]], "{versions}");
    let one = program.get("/api/v1/workflows/greets/versions?limit=1").await.json();
    let next = one["next"].as_i64().expect("there is more");
    let rest = program.get(&format!("/api/v1/workflows/greets/versions?cursor={next}")).await.json();
    assert_eq!((&rest["items"][0]["version"], &rest["next"]), (&known["version"], &Value::Null), "{rest}");
    let (reader, _) = person(&stage, &nobody, Role::Read).await;
    let page = reader.get("/workflows/greets/history").await.text;
    for part in
        ["<del>-   - stop: &quot;Good night,", "<ins>+   - stop: &quot;Hello,", "1 line added, 1 line taken away"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }

    // A new one waits until it is said that it is to run, and is judged as if it were.
    let mut new = saving(&WRONG.replace("greets", "greets-too"), "new");
    new["path"] = json!("workflows/more/greets-too.yaml");
    let saved = program.post_json("/api/v1/document", &new).await;
    assert_eq!((saved.status, &saved.json()["is_served"]), (200, &json!(true)), "{saved:?}");
    assert!(stage.project().join("workflows/more/greets-too.yaml").is_file());
    new.as_object_mut().expect("an object").remove("version");
    let found = program.post_json("/api/v1/checks", &new).await.json();
    assert_eq!((&found["errors"], &found["diagnostics"][0]["code"]), (&json!(1), &json!("unknown-field")), "{found}");

    let (_, said) = plain(&stage, &["token", "audit"]);
    for path in ["workflows/greets.yaml", "workflows/more/greets-too.yaml"] {
        assert_eq!(said.matches(&format!("edit: {path}")).count(), 1, "{said}");
    }
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_recipes_is_written_and_only_where_it_is_allowed() {
    let (mut stage, serve, nobody) = desk().await;
    let program = nobody.with_token(&token(&stage, Role::Admin));
    let elsewhere = [
        "dovetail.yaml",
        "connectors/x.yaml",
        "workflows/../dovetail.yaml",
        "workflows/x.txt",
        "workflows/.x.yaml",
        "workflows/x.sandbox.yaml",
        "/etc/x.yaml",
        "workflows//x.yaml",
        "workflows/a b.yaml",
    ];
    for path in elsewhere {
        let mut saving = saving(RIGHT, "new");
        saving["path"] = json!(path);
        let said = program.post_json("/api/v1/document", &saving).await;
        assert!(said.status == 400 && said.text.contains("that of a recipe"), "{path}: {said:?}");
        assert_eq!(program.get(&format!("/api/v1/document?path={path}")).await.status, 404, "{path}");
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(std::env::temp_dir(), stage.project().join("workflows/away")).expect("a link");
    let mut saving_away = saving(RIGHT, "new");
    saving_away["path"] = json!("workflows/away/greets.yaml");
    let said = program.post_json("/api/v1/document", &saving_away).await;
    assert!(said.status == 409 && said.text.contains("out of the project's folder"), "{said:?}");
    #[cfg(unix)]
    std::fs::remove_file(stage.project().join("workflows/away")).expect("removed");
    let long = "#".repeat(200_001);
    assert_eq!(program.post_json("/api/v1/checks", &draft(&long)).await.status, 400);
    assert_eq!(program.post_json("/api/v1/checks", &draft(&"#".repeat(2_000_000))).await.status, 413);
    serve.term().await;

    stage.flags.retain(|flag| flag != "--allow-edits");
    let serve = stage.serve().await;
    let program = Visitor::of(&serve).await.with_token(&token(&stage, Role::Admin));
    let said = program.post_json("/api/v1/document", &saving(RIGHT, "new")).await;
    assert!(said.status == 403 && said.text.contains("--allow-edits"), "{said:?}");
    let kept = std::fs::read_to_string(stage.project().join(PATH)).expect("it is there");
    assert!(kept.contains("Good night"), "{kept}");
    serve.term().await;
}

/// Somebody who may do this, at a page, and the proof that their forms need.
async fn person(stage: &Stage, nobody: &Visitor, role: Role) -> (Visitor, String) {
    nobody.signed_in("code", &code(stage, role)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_writes_a_recipe_wrongly_and_rightly_and_nothing_typed_is_lost() {
    let (stage, serve, nobody) = desk().await;
    let (admin, csrf) = person(&stage, &nobody, Role::Admin).await;
    let known = std::fs::read_to_string(stage.project().join(PATH)).expect("it is there");
    let page = admin.get(&format!("/edit?path={PATH}")).await.text;
    let (_, rest) = page.split_once("name=\"version\" value=\"").expect("a version");
    let version = rest.split('"').next().expect("a value");
    assert!(page.contains("Good night, {{inputs.name}}!&quot;\n</textarea>"), "{page}");
    let form = async |address: &str, text: &str, version: &str, wanted: &[(&str, &str)]| {
        let fields = [&[("csrf", &*csrf), ("path", PATH), ("text", text), ("version", version)], wanted].concat();
        let said = admin.submit(address, &fields).await;
        assert_eq!(said.status, 200, "{said:?}");
        said.text
    };
    let page = form("/edit", WRONG, version, &[("do", "check")]).await;
    assert!(page.contains("1 error, 0 warnings") && page.contains("did you mean `name`?"), "{page}");
    assert!(page.contains("Hello, {{inputs.nam}}!&quot;\n</textarea>"), "{page}");
    let page = form("/edit/save", WRONG, version, &[]).await;
    assert!(page.contains("Not saved") && page.contains("inputs.nam}}!&quot;\n</textarea>"), "{page}");
    let page = form("/edit", RIGHT, version, &[("do", "try"), ("sample", "{")]).await;
    assert!(page.contains("neither JSON nor YAML") && page.contains("inputs.name}}!&quot;\n</textarea>"), "{page}");
    let page = form("/edit", RIGHT, version, &[("do", "try"), ("sample", "name: <Ada>")]).await;
    assert!(page.contains("Hello, &lt;Ada&gt;!") && page.contains("nothing has left this computer"), "{page}");
    assert_eq!(std::fs::read_to_string(stage.project().join(PATH)).expect("it is there"), known);
    // Forms end lines as mail does; files do not.
    let page = form("/edit/save", &RIGHT.replace('\n', "\r\n"), version, &[]).await;
    assert!(page.contains("Saved, and served from now on."), "{page}");
    assert_eq!(std::fs::read_to_string(stage.project().join(PATH)).expect("it is there"), RIGHT);
    let page = form("/edit/save", RIGHT, "new", &[]).await;
    assert!(page.contains("was changed meanwhile"), "{page}");

    let page = admin.get(&format!("/edit?path={PATH}")).await;
    assert!(page.status == 200 && page.text.contains("inputs.name") && page.text.contains("Save"), "{page:?}");
    assert_eq!(admin.get("/edit?path=dovetail.yaml").await.status, 404);
    let (operator, _) = person(&stage, &nobody, Role::Operate).await;
    let page = operator.get(&format!("/edit?path={PATH}")).await;
    assert!(page.text.contains("Try it") && !page.text.contains("formaction"), "{page:?}");
    let (reader, _) = person(&stage, &nobody, Role::Read).await;
    assert_eq!(reader.get("/edit").await.status, 403);
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_is_started_by_hand_with_what_it_takes() {
    let (stage, serve, nobody) = desk().await;
    let program = nobody.with_token(&token(&stage, Role::Operate));
    let start = async |workflow: &str, body: Value| {
        program.post_json(&format!("/api/v1/workflows/{workflow}/run"), &body).await
    };
    let run = start("greets", json!({ "inputs": { "name": "Ada" } })).await;
    described(&program, "/api/v1/workflows/{workflow}/run", "post", &run.json()).await;
    assert_eq!((run.status, &run.json()["workflow"]), (200, &json!("greets")), "{run:?}");
    for (body, why) in [
        (json!({ "inputs": { "nam": "Ada" } }), "did you mean `name`?"),
        (json!({}), "the input `name` is missing"),
        (json!({ "inputs": "name" }), "`inputs` must be an object"),
        (json!({ "inputs": { "name": "Ada" }, "tenant": "north" }), "leave `north` out"),
        (json!({ "inputs": { "name": "Ada" }, "connection": "x" }), "about no record"),
        (json!({ "input": "x" }), "is not known here"),
    ] {
        let said = start("greets", body.clone()).await;
        assert!(said.status == 400 && said.text.contains(why), "{body}: {said:?}");
    }
    assert_eq!(start("nobody", json!({})).await.status, 404);
    // No event of an account: there is nothing to start it from once more.
    let again = program.post_json("/api/v1/runs/1/replay", &json!({})).await;
    assert!(again.status == 409 && again.text.contains("start others by hand"), "{again:?}");

    let (person, csrf) = person(&stage, &nobody, Role::Operate).await;
    let page = person.get("/workflows/greets").await.text;
    assert!(page.contains("Run it by hand") && page.contains("name=\"inputs.name\""), "{page}");
    let form = [("csrf", csrf.as_str()), ("inputs.name", "<Bob>")];
    let said = person.submit("/workflows/greets/run", &form).await;
    assert_eq!((said.status, said.header("location")), (303, "/runs/2"), "{said:?}");
    let greeted = async || person.get("/runs/2").await.text.contains("Good night, &lt;Bob&gt;!").then_some(());
    until("it has run", greeted).await;
    // What was typed stands there again.
    let said =
        person.submit("/workflows/greets/run", &[("csrf", &csrf), ("inputs.name", ""), ("tenant", "north")]).await;
    assert!(said.status == 200 && said.text.contains("the input `name` is missing"), "{said:?}");
    // About a record: its id is asked for.
    let page = person.get("/workflows/contact-to-opinion-stage").await.text;
    assert!(page.contains("name=\"inputs.id\"") && page.contains("of the contact"), "{page}");
    let (reader, _) = self::person(&stage, &nobody, Role::Read).await;
    assert!(!reader.get("/workflows/greets").await.text.contains("Run it by hand"));
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipe_is_switched_on_and_off_and_the_rest_of_the_project_stays_as_it_is_written() {
    let (stage, serve, nobody) = desk().await;
    let program = nobody.with_token(&token(&stage, Role::Admin));
    let (admin, csrf) = person(&stage, &nobody, Role::Admin).await;
    let (operator, other) = person(&stage, &nobody, Role::Operate).await;
    stage.write("workflows/later.yaml", &RIGHT.replace("greets", "later"));
    let written = || std::fs::read_to_string(stage.project().join("dovetail.yaml")).expect("the project");
    let before = written();
    let start = async |name: &str| {
        let body = json!({ "inputs": { "name": "Ada" } });
        program.post_json(&format!("/api/v1/workflows/{name}/run"), &body).await.status
    };
    let page = admin.get("/workflows").await.text;
    assert!(page.contains("Not active") && page.contains("action=\"/workflows/later/on\""), "{page}");
    assert!(!operator.get("/workflows").await.text.contains("Switch on"));
    assert_eq!(operator.submit("/workflows/later/on", &[("csrf", &other)]).await.status, 403);
    assert_eq!(start("later").await, 404);

    assert_eq!(admin.submit("/workflows/later/on", &[("csrf", &csrf)]).await.status, 303);
    assert_eq!(start("later").await, 200);
    assert!(written().contains("  - later\n") && written().replace("  - later\n", "") == before, "{}", written());
    let off = program.post_json("/api/v1/workflows/later/off", &json!({})).await;
    described(&program, "/api/v1/workflows/{workflow}/off", "post", &off.json()).await;
    assert_eq!((off.status, &off.json()["is_served"]), (200, &json!(true)), "{off:?}");
    assert_eq!(written(), before);
    assert_eq!((start("later").await, start("greets").await), (404, 200));

    // One that cannot run beside the others stays off.
    let clash = program.post_json("/api/v1/workflows/contacts/on", &json!({})).await;
    assert!(clash.status == 422 && clash.text.contains("both serve"), "{clash:?}");
    assert_eq!(program.post_json("/api/v1/workflows/nobody/on", &json!({})).await.status, 404);
    assert_eq!(written(), before);
    let (_, said) = plain(&stage, &["token", "audit"]);
    assert!(said.contains("switches on: later") && said.contains("switches off: later"), "{said}");
    serve.term().await;
}

/// A page as it is read.
fn words(page: &str) -> String {
    let tags = regex::Regex::new("<[^>]*>").expect("a pattern");
    tags.replace_all(page, "").replace("&quot;", "\"").replace("&lt;", "<").replace("&amp;", "&")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_in_the_folder_and_cannot_be_served_is_seen_with_what_is_wrong() {
    let (stage, serve, nobody) = desk().await;
    let program = nobody.with_token(&token(&stage, Role::Read));
    let (operator, _) = person(&stage, &nobody, Role::Operate).await;
    let (reader, _) = person(&stage, &nobody, Role::Read).await;
    let is_refused = async || program.get("/api/v1/summary").await.json()["has_refused_changes"].as_bool();
    assert_eq!(is_refused().await, Some(false));
    let page = operator.get("/workflows/greets").await.text;
    assert!(page.contains("As it is written") && !page.contains("As it is in the folder"), "{page}");

    // What is warned of is said where it stands, of what is served too.
    let warned = format!("{RIGHT}  - stop: twice\n");
    stage.write(PATH, &warned);
    until("it is served", async || {
        let page = words(&reader.get("/workflows/greets").await.text);
        (page.contains("1 warning") && page.contains("nothing is done after")).then_some(())
    })
    .await;

    stage.write(PATH, WRONG);
    until("it is refused", async || (is_refused().await == Some(true)).then_some(())).await;
    let page = words(&operator.get("/").await.text);
    assert!(page.contains("is not served") && page.contains("has no field `nam`"), "{page}");
    let page = words(&reader.get("/").await.text);
    assert!(page.contains("is not served") && !page.contains("has no field"), "{page}");
    let page = words(&operator.get("/workflows/greets").await.text);
    for part in [
        "As it is in the folder",
        "is not taken up",
        "1 error",
        "did you mean `name`?",
        "As it is served",
        "stop: twice",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let page = words(&reader.get("/workflows/greets").await.text);
    assert!(page.contains("is not taken up") && !page.contains("did you mean"), "{page}");

    stage.write(PATH, RIGHT);
    until("it is well again", async || (is_refused().await == Some(false)).then_some(())).await;
    assert!(!operator.get("/").await.text.contains("is not served"));

    // Where there is nothing to compare it with, what is served is seen all the same.
    let folder = stage.project();
    std::fs::rename(&folder, folder.with_extension("gone")).expect("it moves");
    let page = words(&operator.get("/workflows/greets").await.text);
    assert!(
        page.contains("cannot be read") && page.contains("As it is served") && page.contains("inputs.name"),
        "{page}"
    );
    std::fs::rename(folder.with_extension("gone"), &folder).expect("it comes back");
    serve.term().await;
}
