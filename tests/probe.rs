//! `connector probe` against pretend vendors that differ from what their connector says, on purpose.
//!
//! A case is a file of `tests/cases/probe/`: `vendor` is what the pretend vendor is played from (with `sandbox` and
//! `records`), `connector` what the project believes. `asked` is every request that the vendor got, `told` what the command
//! said, `check` what `dovetail check` says once the override is written. No value of a record may be told.
//! `DOVETAIL_ACCEPT=1 cargo test probe::` rewrites the expectations.

use std::path::{Path, PathBuf};

use dovetail::sandbox::{Settings, Vendor};
use serde_json::{Value, json};

use crate::stage::command;

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/probe");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the cases").flatten().map(|one| one.path()).collect();
    files.sort();
    let begun: Vec<_> = files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).expect("a case");
            let head = text.split("\nexpect:\n").next().expect("a text").trim_end().to_owned();
            let case: Value = serde_yaml::from_str(&head).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            (file, text, head, tokio::spawn(async move { came(&case).await }))
        })
        .collect();
    let mut wrong = Vec::new();
    for (file, text, head, came) in begun {
        let actual = format!("{head}\nexpect:\n{}", came.await.unwrap_or_else(|_| panic!("{}", file.display())));
        if std::env::var_os("DOVETAIL_ACCEPT").is_some() {
            std::fs::write(&file, actual).expect("rewritten");
        } else if actual != text {
            wrong.push(format!("{}:\n{}", file.display(), first_difference(&text, &actual)));
        }
    }
    assert!(wrong.is_empty(), "{}\nDOVETAIL_ACCEPT=1 rewrites the expectations", wrong.join("\n"));
}

/// What came of a case.
async fn came(case: &Value) -> String {
    let file = |name: &str, kind: &str, key: &str| {
        let text = case[key].as_str()?;
        Some((name.to_owned(), format!("{kind}: crm\n{text}")))
    };
    let mut settings = Settings { seed: 7, ..Settings::new("crm") };
    settings.data = case.get("records").cloned();
    let played = [file("crm.yaml", "connector", "vendor").expect("a vendor")];
    let vendor = Vendor::start(&played, file("crm.sandbox.yaml", "sandbox", "sandbox"), settings);
    let vendor = vendor.await.unwrap_or_else(|error| panic!("{error}"));
    let address = vendor.address().to_string();
    let folder = std::env::temp_dir().join(format!("dovetail-probe-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(folder.join("connectors")).expect("the project");
    let base = format!("base_url: http://{address}\n");
    let connector = case["connector"].as_str().expect("a connector");
    std::fs::write(folder.join("connectors/crm.yaml"), format!("connector: crm\n{base}{connector}")).expect("written");
    for (name, text) in case["files"].as_object().into_iter().flatten() {
        std::fs::write(folder.join(name), text.as_str().expect("a text")).expect("written");
    }
    let token = if connector.contains("$.secrets.token") { ", token: $.secrets.crm" } else { "" };
    let project = format!("project: shop\nconnections: {{ crm: {{ connector: crm{token} }} }}\n");
    std::fs::write(folder.join("dovetail.yaml"), project).expect("written");
    let run = async |words: &[&str]| {
        let mut command = command();
        command.current_dir(&folder).env("DOVETAIL_SECRET_CRM", case["token"].as_str().unwrap_or("token-sandbox"));
        command.args(words);
        // The vendor answers meanwhile.
        let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ends");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).replace(&address, "VENDOR");
        (said, output.status.code().unwrap_or_default())
    };
    let words = case["with"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let words: Vec<&str> = ["connector", "probe", "crm", "--allow-net", &address].into_iter().chain(words).collect();
    let (told, code) = run(&words).await;
    for value in values(&case["records"]) {
        assert!(!told.contains(&value), "`{value}` is a record's, and was told:\n{told}");
    }
    let requests = log(&address).await;
    assert!(requests.iter().all(|request| request.starts_with("GET ") || case["posts"] == json!(true)), "{requests:?}");
    let (_, _) = run(&[&words[..], &["--write"]].concat()).await;
    let (check, _) = run(&["check"]).await;
    let again = if folder.join("connectors/crm.override.yaml").exists() { Some(run(&words).await.0) } else { None };
    vendor.stop().await;
    std::fs::remove_dir_all(folder).expect("removed");
    let block = |text: &str| {
        text.trim_end().lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect::<String>()
    };
    let asked = requests.iter().map(|request| format!("    - {}\n", json!(request))).collect::<String>();
    let mut out = format!("  asked:\n{asked}  code: {code}\n  told: |\n{}  check: |\n{}", block(&told), block(&check));
    if let Some(again) = again {
        let looks: Vec<&str> = again.lines().filter(|line| line.starts_with("  look")).collect();
        out.push_str(&format!("  still_looks: |\n{}", block(&looks.join("\n"))));
    }
    out
}

/// The requests that the vendor got, without the tests' own.
async fn log(address: &str) -> Vec<String> {
    let url = format!("http://{address}/_sandbox/requests");
    let said: Value = reqwest::get(url).await.expect("an answer").json().await.expect("JSON");
    let line = |request: &Value| {
        let query =
            request["query"].as_object().filter(|query| !query.is_empty()).map(|query| json!(query).to_string());
        let body = Some(&request["body"]).filter(|body| !body.is_null()).map(Value::to_string);
        let rest: String = query.into_iter().chain(body).map(|part| format!(" {part}")).collect();
        format!(
            "{} {}{rest}",
            request["method"].as_str().unwrap_or_default(),
            request["path"].as_str().unwrap_or_default()
        )
    };
    said["requests"].as_array().expect("a list").iter().map(line).collect()
}

/// Every text of the records that is long enough to be told from a word of ours.
fn values(records: &Value) -> Vec<String> {
    match records {
        Value::String(text) if text.len() > 3 => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(values).collect(),
        Value::Object(map) => map.values().flat_map(values).collect(),
        _ => Vec::new(),
    }
}

fn first_difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let same = expected.iter().zip(&actual).take_while(|(one, other)| one == other).count();
    let shown = |lines: &[&str], mark: &str| {
        lines.iter().skip(same).take(12).map(|line| format!("{mark} {line}\n")).collect::<String>()
    };
    format!("  from line {}\n{}{}", same + 1, shown(&expected, "-"), shown(&actual, "+"))
}
