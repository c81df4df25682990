//! What a sync would do is looked at by a person, and then done; another state than the one that was seen is not touched.

use dovetail::store::{Role, Store};
use serde_json::{Value, json};

use super::records::{hearing, made};
use super::visitor::{Visitor, code, plain, token};
use super::{asked, conflict, schema};
use crate::stage::{GHL, PEOPLE, Stage, until};

/// The plan, as soon as it is in this state.
async fn is(program: &Visitor, number: i64, state: &str) -> Value {
    until(&format!("plan {number} is {state}"), async || {
        let told = program.get(&format!("/api/v1/plans/{number}")).await.json();
        assert!(told["plan"]["state"] != "failed" || state == "failed", "{told}");
        (told["plan"]["state"] == state).then_some(told)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_looked_at_and_then_done_as_it_was_looked_at() {
    let (stage, serve) = hearing().await;
    let nobody = Visitor::of(&serve).await;
    let program = nobody.with_token(&token(&stage, Role::Operate));
    let (person, csrf) = nobody.signed_in("code", &code(&stage, Role::Operate)).await;
    let (reader, _) = nobody.signed_in("code", &code(&stage, Role::Read)).await;
    for (name, email) in [("<Ada>", "ada@example.com"), ("Bob", "bob@example.com")] {
        made(&stage, GHL, "contact", json!({ "firstName": name, "email": email })).await;
    }
    made(&stage, PEOPLE, "contact", json!({ "first_name": "Robert", "email": "bob@example.com" })).await;
    let described = async |path: &str, method: &str, answer: &Value| {
        let document = program.get("/api/v1/openapi.json").await.json();
        let response = &document["paths"][path][method]["responses"]["200"];
        let wrong = schema::wrong(answer, &response["content"]["application/json"]["schema"], &document);
        assert_eq!(wrong, Vec::<String>::new(), "{path}: {answer}");
    };

    let begun = program.post_json("/api/v1/plans", &json!({ "sync": "contacts" })).await;
    described("/api/v1/plans", "post", &begun.json()).await;
    assert_eq!((begun.status, &begun.json()["number"]), (200, &json!(1)), "{begun:?}");
    let told = is(&program, 1, "ready").await;
    described("/api/v1/plans/{plan}", "get", &told).await;
    assert_eq!((&told["plan"]["to_do"], &told["next"]), (&json!(2), &Value::Null), "{told}");
    assert_eq!(told["plan"]["read"], json!(3), "{told}");
    let signs: Vec<&str> =
        told["items"].as_array().expect("items").iter().filter_map(|item| item["sign"].as_str()).collect();
    assert_eq!(signs, ["+", "="], "{told}");
    let page = program.get("/api/v1/plans/1?limit=1").await.json();
    assert_eq!((page["items"].as_array().map(Vec::len), &page["next"]), (Some(1), &json!(1)), "{page}");
    let page = program.get("/api/v1/plans/1?cursor=1").await.json();
    assert_eq!((&page["items"][0]["sign"], &page["next"]), (&json!("="), &Value::Null), "{page}");
    let page = reader.get("/plans/1").await.text;
    for part in ["2 records to bring into line", "ada@example.com", "ghl.contact (example-ghl)", "Nothing was written"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("Apply it") && person.get("/plans/1").await.text.contains("Apply it"));
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 1, "nothing was written");

    // Somebody changes something meanwhile: what was seen is not what would be done.
    made(&stage, GHL, "contact", json!({ "firstName": "Cyd", "email": "cyd@example.com" })).await;
    let hash = told["plan"]["hash"].as_str().expect("a hash");
    assert!(person.get("/plans/1").await.text.contains(&format!("name=\"hash\" value=\"{hash}\"")));
    assert_eq!(person.submit("/plans/1/apply", &[("csrf", &csrf), ("hash", hash)]).await.status, 303);
    let told = is(&program, 1, "failed").await;
    assert!(told["plan"]["why"].as_str().is_some_and(|why| why.contains("have changed since plan")), "{told}");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 1);
    assert!(person.get("/plans/1").await.text.contains("have changed since plan"));

    let made = person.submit("/plans", &[("csrf", &csrf), ("sync", "contacts"), ("deep", "yes")]).await;
    assert_eq!(made.header("location"), "/plans/2", "{made:?}");
    let hash = is(&program, 2, "ready").await["plan"]["hash"].take();
    // Another one had this number when it was read.
    let other = program.post_json("/api/v1/plans/2/apply", &json!({ "hash": "000000000000" })).await;
    assert!(other.status == 409 && other.text.contains("not the one that you have read"), "{other:?}");
    assert_eq!(program.post_json("/api/v1/plans/2/apply", &json!({})).await.status, 400);
    assert_eq!(program.get("/api/v1/plans/2").await.json()["plan"]["state"], json!("ready"));
    let applied = program.post_json("/api/v1/plans/2/apply", &json!({ "hash": hash })).await;
    described("/api/v1/plans/{plan}/apply", "post", &applied.json()).await;
    let told = is(&program, 2, "applied").await;
    assert_eq!((&told["plan"]["runs"], &told["plan"]["hash"]), (&json!(3), &hash), "{told}");
    until("it is done", async || (stage.vendors[PEOPLE].records("contact").len() == 3).then_some(())).await;
    let again = program.post_json("/api/v1/plans/2/apply", &json!({ "hash": hash })).await;
    assert!(again.status == 409 && again.text.contains("only one that is ready"), "{again:?}");
    stage.over().await;

    let all = program.get("/api/v1/plans").await.json();
    described("/api/v1/plans", "get", &all).await;
    assert_eq!((&all["items"][0]["number"], &all["items"][1]["number"]), (&json!(2), &json!(1)), "{all}");
    for (body, status, why) in [
        (json!({ "sync": "contact" }), 404, "no active sync"),
        (json!({ "sync": "contacts", "deep": "maybe" }), 400, "one of yes, no"),
        (json!({}), 400, "`sync` is missing"),
    ] {
        let said = program.post_json("/api/v1/plans", &body).await;
        assert!(said.status == status && said.text.contains(why), "{body}: {said:?}");
    }
    let (_, said) = plain(&stage, &["token", "audit"]);
    assert!(said.contains(&format!("applies a plan: plan {} of contacts", hash.as_str().expect("a hash"))), "{said}");
    // The latest few are kept.
    for number in 3..=7 {
        assert_eq!(program.post_json("/api/v1/plans", &json!({ "sync": "contacts" })).await.status, 200);
        is(&program, number, "ready").await;
    }
    assert_eq!(program.get("/api/v1/plans/2").await.status, 404);
    assert_eq!(program.get("/api/v1/plans").await.json()["items"].as_array().map(Vec::len), Some(4));
    serve.term().await;
}

/// A vendor may hold what should be known to nobody. The beginning of it is a secret, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_a_question_and_a_story_show_no_part_of_a_secret() {
    let secret = "Jk4nQ7".repeat(10);
    let mut stage = Stage::set().await;
    stage.flags = ["--dashboard", "127.0.0.1:0"].map(String::from).into();
    stage.variables = vec![("DOVETAIL_SECRET_HELD", secret.clone())];
    stage.activate(&["contacts"]);
    let store = Store::open(&stage.data()).expect("a store");
    store.tell(asked("p1", conflict([&secret, "Lovelace"]))).await.expect("asked");
    store.close().await;
    let serve = stage.serve_hearing_both().await;
    let nobody = Visitor::of(&serve).await;
    let program = nobody.with_token(&token(&stage, Role::Operate));
    let (person, _) = nobody.signed_in("code", &code(&stage, Role::Operate)).await;
    let ada = json!({ "firstName": secret, "email": "ada@example.com", "city": "Paris" });
    let ada = made(&stage, GHL, "contact", ada).await;
    made(&stage, PEOPLE, "contact", json!({ "first_name": "Ada", "email": "ada@example.com" })).await;
    made(&stage, GHL, "contact", json!({ "email": format!("{secret}@example.com") })).await;
    assert_eq!(program.post_json("/api/v1/plans", &json!({ "sync": "contacts" })).await.status, 200);
    let told = is(&program, 1, "ready").await;
    let plan = [told.to_string(), person.get("/plans/1").await.text];
    let apply = json!({ "hash": told["plan"]["hash"] });
    assert_eq!(program.post_json("/api/v1/plans/1/apply", &apply).await.status, 200);
    is(&program, 1, "applied").await;
    stage.over().await;
    let record = format!("/records/example-ghl/contact/{ada}");
    let story = program.get(&format!("/api/v1{record}/story")).await.text;
    let record = [story, person.get(&record).await.text];
    let question = [program.get("/api/v1/questions").await.text, person.get("/questions").await.text];
    for (what, told) in [("a plan", plan), ("a record", record), ("a question", question)] {
        for told in told {
            assert!(told.contains("***"), "{what} tells of it: {told}");
            assert!(!told.contains(&secret[..12]), "{what} shows it: {told}");
        }
    }
    serve.term().await;
}
