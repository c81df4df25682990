//! What a sync keeps alike, as people and programs see it: both sides as one.

use dovetail::store::Role;
use serde_json::{Value, json};

use super::visitor::{Visitor, code, token};
use super::{hostile, schema};
use crate::stage::{GHL, PEOPLE, Serve, Stage, until};

/// The shipped sync, of which both vendors tell a `serve` that has a dashboard.
pub async fn hearing() -> (Stage, Serve) {
    let mut stage = Stage::set().await;
    stage.flags = ["--dashboard", "127.0.0.1:0"].map(String::from).into();
    stage.activate(&["contacts"]);
    let serve = stage.serve_hearing_both().await;
    (stage, serve)
}

pub async fn made(stage: &Stage, vendor: &str, object: &str, record: Value) -> String {
    let said = stage.control("POST", vendor, &format!("/records/{object}"), record).await;
    said["records"][0]["id"].as_str().expect("an id").to_owned()
}

/// The pairs that are found, as soon as there are so many.
async fn found(program: &Visitor, query: &str, number: usize) -> Vec<Value> {
    until(&format!("{number} with {query}"), async || {
        let page = program.get(&format!("/api/v1/records?{query}")).await.json();
        page["items"].as_array().filter(|items| items.len() == number).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_and_its_note_are_seen_from_both_sides_and_so_is_what_they_differ_in() {
    let (mut stage, serve) = hearing().await;
    let nobody = Visitor::of(&serve).await;
    let secret = token(&stage, Role::Read);
    let program = nobody.with_token(&secret);
    let (person, _) = nobody.signed_in("code", &code(&stage, Role::Read)).await;
    let page = person.get("/records").await.text;
    assert!(page.contains("No records here") && page.contains("dovetail plan SYNC"), "{page}");

    let (exit, said) = stage.run(&["apply", "contacts", "--yes"]);
    assert_eq!(exit, Some(0), "{said}");
    let ada = json!({ "firstName": "Ada", "email": "ada@example.com", "phone": "+442079460018", "tags": ["vip"] });
    let ada = made(&stage, GHL, "contact", ada).await;
    made(&stage, GHL, "contact", json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    found(&program, "", 2).await;
    let note = made(&stage, GHL, "note", json!({ "contactId": ada, "body": "Prefers the morning" })).await;
    found(&program, &format!("search={note}"), 1).await;
    stage.over().await;

    // Found by address, by number, by either id; page by page, each once.
    let pair = found(&program, "search=ADA%40example.com", 1).await.remove(0);
    let there =
        pair["pair"][1].as_str().and_then(|record| record.rsplit('/').next()).expect("its other half").to_owned();
    assert_eq!((&pair["state"], &pair["questions"]), (&json!("in_step"), &json!([])), "{pair}");
    for search in ["%2B44+20+7946+0018", &ada, &there, "ada", &format!("example-ghl/contact/{ada}")] {
        assert_eq!(found(&program, &format!("search={search}"), 1).await[0]["pair"], pair["pair"], "{search}");
    }
    found(&program, "search=nobody%40example.com", 0).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = program.get(&format!("/api/v1/records?limit=1{cursor}")).await.json();
        seen.extend(page["items"].as_array().expect("items").iter().map(|pair| pair["pair"][0].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(seen.len() == 2 && seen[0] != seen[1], "{seen:?}");
    let page = person.get("/records?search=ada%40example.com").await.text;
    for part in ["ada@example.com · +442079460018", "in step", "<time "] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let bad = program.get("/api/v1/records?cursor=x").await;
    assert_eq!(bad.status, 400, "{bad:?}");

    // One of them, by its id on either side, with what lives under it.
    let addresses = [format!("/records/example-ghl/contact/{ada}"), format!("/records/example-people/contact/{there}")];
    for address in &addresses {
        let page = person.get(address).await.text;
        for part in
            ["<dd>Ada</dd>", "<dt>firstName</dt>", "<dd>vip</dd>", "Prefers the morning", &ada, &there, "href=\"/runs/"]
        {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
    let document = program.get("/api/v1/openapi.json").await.json();
    for (path, given) in [
        ("/api/v1/records", "/api/v1/records".to_owned()),
        ("/api/v1/records/{connection}/{object}/{id}", format!("/api/v1{}", addresses[0])),
    ] {
        let said = program.get(&given).await.json();
        let response = &document["paths"][path]["get"]["responses"]["200"];
        let wrong = schema::wrong(&said, &response["content"]["application/json"]["schema"], &document);
        assert_eq!(wrong, Vec::<String>::new(), "{path}: {said}");
    }

    // Why it is as it is: what each run did, newest first, page by page.
    let story = program.get(&format!("/api/v1{}/story?limit=1", addresses[0])).await.json();
    let response = &document["paths"]["/api/v1/records/{connection}/{object}/{id}/story"]["get"]["responses"]["200"];
    let wrong = schema::wrong(&story, &response["content"]["application/json"]["schema"], &document);
    assert_eq!(wrong, Vec::<String>::new(), "{story}");
    let mut told = Vec::new();
    let mut before = String::new();
    loop {
        let page = program.get(&format!("/api/v1{}/story?limit=2{before}", addresses[0])).await.json();
        told.extend(page["items"].as_array().expect("items").clone());
        let Some(next) = page["next"].as_i64() else { break };
        before = format!("&before={next}");
    }
    let numbers: Vec<i64> = told.iter().filter_map(|run| run["no"].as_i64()).collect();
    assert!(numbers.len() > 1 && numbers.is_sorted_by(|one, other| one > other), "{numbers:?}");
    assert!(told.iter().any(|run| run["journal"].to_string().contains("contact.create")), "{told:?}");
    let page = person.get(&addresses[0]).await.text;
    for part in ["Why it is as it is", "creates: contact.create at example-people", "<details class=\"happened\" open>"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }

    // Changed on both sides while nobody listened: both values, and the way to decide.
    serve.term().await;
    stage.change(GHL, "contact", &ada, json!({ "lastName": "Byron" })).await;
    stage.change(PEOPLE, "contact", &there, json!({ "last_name": "Lovelace" })).await;
    let serve = stage.serve_hearing(GHL).await;
    let nobody = Visitor::of(&serve).await;
    let program = nobody.with_token(&secret);
    let (person, _) = nobody.signed_in("code", &code(&stage, Role::Read)).await;
    stage.control("PATCH", GHL, &format!("/records/contact/{ada}"), json!({ "city": "Paris" })).await;
    let pair = until("it is asked", async || {
        let pair = found(&program, &format!("search={ada}"), 1).await.remove(0);
        (pair["state"] == "asked").then_some(pair)
    })
    .await;
    stage.over().await;
    assert_eq!(pair["questions"], json!([1]), "{pair}");
    let page = person.get(&addresses[0]).await.text;
    for part in [
        "<small>lastName</small><span>Byron</span>",
        "<small>last_name</small><span>Lovelace</span>",
        "a question waits",
        "href=\"/questions\">Decide",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(person.get("/records").await.text.contains("a question waits"));
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_write_into_records_is_text() {
    let (stage, serve) = hearing().await;
    let nobody = Visitor::of(&serve).await;
    let program = nobody.with_token(&token(&stage, Role::Read));
    let (exit, said) = stage.run(&["apply", "contacts", "--yes"]);
    assert_eq!(exit, Some(0), "{said}");
    let number = hostile::PAYLOADS.chunks(5).count();
    for (number, some) in hostile::PAYLOADS.chunks(5).enumerate() {
        let one = |at: usize| some.get(at).copied().unwrap_or_default();
        let fields = json!({
            "email": format!("a{number}@example.com"), "firstName": one(0), "lastName": one(1), "city": one(2), "companyName": one(3),
            "tags": [one(4)],
        });
        made(&stage, GHL, "contact", fields).await;
    }
    let pairs = found(&program, "", number).await;
    let (person, _) = nobody.signed_in("code", &code(&stage, Role::Read)).await;
    let mut paths = vec!["/records".to_owned()];
    paths.extend(pairs.iter().map(|pair| format!("/records/{}", pair["pair"][0].as_str().expect("a record"))));
    for payload in hostile::PAYLOADS {
        let asked: String = url::form_urlencoded::byte_serialize(payload.as_bytes()).collect();
        paths.push(format!("/records?search={asked}"));
        paths.push(format!("/records?cursor={asked}"));
        let part = asked.replace('+', "%20");
        paths.push(format!("/records/{part}/{part}/{part}"));
    }
    let shown = hostile::inert(&person, &paths).await;
    assert!(shown > 3, "the payloads are on the pages, as text: {shown}");
    serve.term().await;
}
