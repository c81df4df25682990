//! The ways of signing that a connector can ask for, at the door of the real program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dovetail::sandbox::{Proof, Settings, Vendor};
use dovetail::store::Counts;
use serde_json::{Value, json};

use crate::stage::{self, Stage};

/// Spellings of `verify:`, by the connector that has them.
const SPELLINGS: [(&str, &str); 5] = [
    (
        "in-a-header",
        r#"{ header: X-Signature, hmac_sha256: $.secrets.hook, prefix: v0=, signed: "v0:{timestamp}:{body}", timestamp: X-Time }"#,
    ),
    (
        "in-parts",
        r#"{ header: X-Signature, hmac_sha256: $.secrets.hook, signed: "{timestamp}.{body}", parts: { timestamp: t, signature: v1 } }"#,
    ),
    (
        "with-the-address",
        r#"{ header: X-Signature, hmac_sha256: [$.secrets.hook], encoding: base64, signed: "POSThttp://{host}{path}{body}{timestamp}{id}", timestamp: X-Time, id: X-Id }"#,
    ),
    ("standard", "{ standard_webhooks: $.secrets.hook }"),
    ("basic", "{ basic: { user: sandbox, password: $.secrets.hook } }"),
];

fn shop(name: &str, rule: &str) -> String {
    format!(
        "connector: {name}\nversion: 1.0.0\nbase_url: https://{name}.example.com\n\
         auth: {{ token: {{ bearer: $.secrets.token }} }}\n\
         objects: {{ order: {{ id: id, changes: {{ webhook: [order] }} }} }}\n\
         webhooks:\n  verify: [{rule}]\n  replay: {{ id: $.delivery }}\n  name: $.type\n  \
         events: {{ order: {{ object: order, change: created, whole: true }} }}\n"
    )
}

/// Adds the shops to the project, each with a secret of its own and a workflow that hears it.
fn open_shops(stage: &Stage, secrets: &[(&str, String)]) {
    use std::io::Write as _;
    let mut file =
        std::fs::OpenOptions::new().append(true).open(stage.folder.join("secrets.yaml")).expect("the secrets");
    for ((name, rule), (_, secret)) in SPELLINGS.iter().zip(secrets) {
        let key = name.replace('-', "_");
        writeln!(file, "{key}: {secret}").expect("a secret");
        let connection =
            format!("  my-{name}: {{ connector: {name}, token: $.secrets.ghl_token, hook: $.secrets.{key} }}");
        stage.edit("dovetail.yaml", "connections:\n", &format!("connections:\n{connection}\n"));
        stage.edit("dovetail.yaml", "active:\n", &format!("active:\n  - of-{name}\n"));
        let workflow =
            format!("workflow: of-{name}\nuses: {{ shop: {name} }}\ntrigger: {{ event: shop.order.created }}\n");
        stage.write(&format!("workflows/of-{name}.yaml"), &format!("{workflow}actions: [{{ stop: done }}]\n"));
        stage.write(&format!("connectors/{name}.yaml"), &shop(name, rule));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_is_played_from_its_file_alone_signs_as_the_file_says() {
    let mut stage = Stage::set().await;
    let mut secrets = Vec::new();
    for (name, rule) in SPELLINGS {
        let settings = Settings { webhook_secret: Some("shared".into()), ..Settings::new(name) };
        let files = [(format!("connectors/{name}.yaml"), shop(name, rule))];
        let vendor = Vendor::start(&files, None, settings).await.expect("it plays");
        let Some(Proof::Secret(secret)) = vendor.proof() else { panic!("{name} signs with a secret") };
        secrets.push((name, secret));
        stage.vendors.insert(name, vendor);
    }
    open_shops(&stage, &secrets);
    let serve = stage.serve().await;
    assert!(serve.said().contains("user and password in Authorization"), "{}", serve.said());
    for (name, _) in SPELLINGS {
        let url = format!("http://127.0.0.1:{}/hooks/{name}?from=vendor", serve.port);
        stage.control("POST", name, "/settings", json!({ "webhook_url": url })).await;
        let body = json!({ "type": "order", "delivery": name, "id": "o-1" });
        stage.control("POST", name, "/webhooks/send", body).await;
        let what = format!("{name} has an answer");
        let delivered = stage::until(&what, async || {
            let said = stage.control("GET", name, "/webhooks", Value::Null).await;
            said["webhooks"][0]["attempts"][0]["status"].as_u64()
        });
        assert_eq!(delivered.await, 200, "{name}");
    }
    let mut heard: Vec<String> = stage.over().await.into_iter().map(|run| run.start.workflow).collect();
    heard.sort();
    let mut all = SPELLINGS.map(|(name, _)| format!("of-{name}"));
    all.sort();
    assert_eq!(heard, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forged_old_or_signed_for_another_source_is_refused_in_each_spelling() {
    let mut stage = Stage::set().await;
    let standard = format!("whsec_{}", STANDARD.encode("standard"));
    open_shops(
        &stage,
        &SPELLINGS.map(|(name, _)| (name, if name == "standard" { standard.clone() } else { name.into() })),
    );
    let serve = stage.serve().await;
    let body = json!({ "type": "order", "delivery": "d-1", "id": "o-1" }).to_string();
    let code = |secret: &str, signed: &str| {
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
        mac.update(signed.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let slacks = |secret: &str, time: i64| {
        let signature = format!("v0={}", hex::encode(code(secret, &format!("v0:{time}:{body}"))));
        vec![("x-signature", signature), ("x-time", time.to_string())]
    };
    let standards = |secret: &str, time: i64| {
        let signature = format!("v1,{}", STANDARD.encode(code(secret, &format!("m-1.{time}.{body}"))));
        vec![("webhook-signature", signature), ("webhook-timestamp", time.to_string()), ("webhook-id", "m-1".into())]
    };
    let post = async |name: &str, headers: Vec<(&str, String)>, body: &str| {
        let url = format!("http://127.0.0.1:{}/hooks/{name}", serve.port);
        let request = stage.client.post(url).header("content-type", "application/json").body(body.to_owned());
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send().await.expect("it answers").status().as_u16()
    };
    let now = chrono::Utc::now().timestamp();
    let changed = body.replace("o-1", "o-2");
    type Sign<'a> = &'a dyn Fn(&str, i64) -> Vec<(&'static str, String)>;
    for (name, sign) in [("in-a-header", &slacks as Sign), ("standard", &standards as Sign)] {
        let without = |index: usize| {
            let mut headers = sign(name, now);
            headers.remove(index);
            headers
        };
        for (what, headers, body) in [
            ("not signed", Vec::new(), &body),
            ("no signature", without(0), &body),
            ("no time", without(1), &body),
            ("a changed body", sign(name, now), &changed),
            ("an old one", sign(name, now - 400), &body),
            ("one from the future", sign(name, now + 400), &body),
            ("by another secret", sign("basic", now), &body),
            ("by an empty secret", sign("", now), &body),
        ] {
            assert_eq!(post(name, headers, body).await, 401, "{name}: {what}");
        }
    }
    for (name, _) in SPELLINGS {
        assert_eq!(post(name, Vec::new(), &body).await, 401, "{name}: not signed");
    }
    assert_eq!(stage.counts().await, Counts::default(), "what is refused leaves no trace");
    assert_eq!(post("in-a-header", slacks("in-a-header", now), &body).await, 200);
    assert_eq!(post("standard", standards("standard", now), &body).await, 200);
    assert_eq!(stage.over().await.len(), 2);
}
