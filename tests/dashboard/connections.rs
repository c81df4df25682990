//! An account is connected from its page: there with a link, at the vendor, and back.

use dovetail::store::Role;
use serde_json::{Value, json};

use super::visitor::{Said, Visitor, code, plain, token};
use crate::stage::{GHL, PEOPLE, browser, until};

const CONNECTION: &str = "example-ghl";

async fn health(program: &Visitor) -> Value {
    let all = program.get("/api/v1/connections").await.json();
    let all = all["items"].as_array().expect("items").clone();
    all.into_iter().find(|one| one["name"] == CONNECTION).expect("the account")["health"].take()
}

/// Where the page sends a person.
fn link(page: &Said) -> String {
    assert_eq!(page.status, 200, "{page:?}");
    let (_, rest) = page.text.split_once("class=\"button\" href=\"").expect("a link");
    rest.split('"').next().expect("an address").replace("&amp;", "&")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_connected_from_its_page_and_goes_on() {
    let mut stage = browser::set().await;
    stage.flags = ["--dashboard", "127.0.0.1:0"].map(String::from).into();
    let serve = stage.serve().await;
    let nobody = Visitor::of(&serve).await;
    let program = nobody.with_token(&token(&stage, Role::Read));
    let (admin, csrf) = nobody.signed_in("code", &code(&stage, Role::Admin)).await;
    let (operator, other) = nobody.signed_in("code", &code(&stage, Role::Operate)).await;
    assert_eq!(health(&program).await, json!("not_connected"));
    let contact = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &contact).await;
    let path = format!("/connections/{CONNECTION}/connect");
    assert_eq!(operator.submit(&path, &[("csrf", &other)]).await.status, 403);
    assert!(!operator.get("/connections").await.text.contains(&path));
    assert!(admin.get("/connections").await.text.contains(&path));

    // A link is good once, the newest of an account only, and only with what it was given.
    let former = link(&admin.submit(&path, &[("csrf", &csrf)]).await);
    let page = admin.submit(&path, &[("csrf", &csrf)]).await;
    assert!(page.text.contains("/connected</code>"), "{page:?}");
    let link = link(&page);
    assert_eq!(browser::agree(&former).await.0, 400, "another link has taken its place");
    for back in ["/connected", "/connected?state=x&code=y", "/connected?code=y&iss=z"] {
        let said = nobody.get(back).await;
        assert!(said.status == 400 && said.text.contains("was not begun here"), "{back}: {said:?}");
    }
    assert_eq!(health(&program).await, json!("not_connected"));
    let (status, back) = browser::agree(&link).await;
    assert_eq!(status, 200);
    assert_eq!(health(&program).await, json!("good"));
    let (_, back) = back.split_once("/connected").expect("the way back");
    assert_eq!(nobody.get(&format!("/connected{back}")).await.status, 400, "it was used");
    until("what waited has gone on", async || (stage.vendors[PEOPLE].records("contact").len() == 1).then_some(()))
        .await;
    let page = admin.get("/connections").await.text;
    assert!(page.contains("Connected since") && page.contains("Connect again"), "{page}");

    // Who does not agree changes nothing; what the vendor says is text.
    let again = self::link(&admin.submit(&path, &[("csrf", &csrf)]).await);
    let (_, state) = again.split_once("state=").expect("a state");
    let state = state.split('&').next().expect("a state");
    let said = nobody.get(&format!("/connected?state={state}&error=access_denied&error_description=%3Cb%3Eno")).await;
    assert!(said.status == 200 && said.text.contains("access_denied &lt;b&gt;no"), "{said:?}");
    assert_eq!(health(&program).await, json!("good"));
    assert_eq!(admin.submit("/connections/example-people/connect", &[("csrf", &csrf)]).await.status, 409);
    assert_eq!(admin.submit("/connections/nobody/connect", &[("csrf", &csrf)]).await.status, 404);

    let (_, said) = plain(&stage, &["token", "audit"]);
    for what in ["begins to connect an account", "connects an account", "has not connected an account"] {
        assert!(said.contains(&format!("{what}: {CONNECTION}")), "{what}: {said}");
    }
    serve.term().await;
}
