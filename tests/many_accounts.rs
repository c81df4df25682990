//! 300 accounts at one vendor, in 100 tenants of one to five: each with its own credential and its own limit, all at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use dovetail::sandbox::{Settings, Vendor};
use dovetail::store::{Filter, Run, Status, Store};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::stage::{self, Serve, until};

const ACCOUNTS: usize = 300;
const TENANTS: usize = 100;
/// Its limit is used up by somebody else.
const EXHAUSTED: usize = 17;
/// Its token is not the vendor's.
const REFUSED: usize = 205;
/// What a run asks for.
const REQUESTS: usize = 3;

const CONNECTOR: &str = "
connector: many
base_url: https://many.example.com
connection: { account: { type: string } }
auth: { token: { bearer: $.secrets.token } }
limits: [{ requests: 4, per: 1h, remaining_header: X-Left }]
objects:
  item:
    schema:
      type: object
      properties: { id: { type: string }, account: { type: string }, step: { type: integer }, by: { type: string } }
    id: id
    operations:
      create:
        request: POST /items
        add: { account: $.connection.account }
        returns: $
        if_unsure: send_again
  signal:
    schema: { type: object, properties: { id: { type: string } } }
    id: id
    changes: { webhook: [Signalled] }
webhooks:
  verify: [{ header: X-Hook, token: $.secrets.hook }]
  connection: { account: $.account }
  replay: { id: $.id }
  record: $.signal
  name: $.type
  events: { Signalled: { object: signal, change: created, whole: true } }
";

/// What the vendor refuses as crossed: an account's data with another's token.
const SANDBOX: &str = "
sandbox: many
limits: { by: $.token.account }
routes:
  POST /items:
    checks: [{ refuse_if: { $.body.account: { ne: $.token.account } }, status: 418, body: { message: crossed } }]
    set: { by: $.token.account }
tokens:
  known:
";

const WORKFLOW: &str = "
workflow: copies
uses: { m: many }
trigger: { event: m.signal.created }
actions:
  - { call: m.item.create, with: { step: 1 } }
  - { call: m.item.create, with: { step: 2 } }
  - { call: m.item.create, with: { step: 3 } }
";

struct House {
    folder: PathBuf,
    vendor: Vendor,
    client: reqwest::Client,
}

fn account(number: usize) -> String {
    format!("a{number}")
}

impl House {
    async fn set() -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = std::env::temp_dir().join(format!("dovetail-many-{}", uuid::Uuid::now_v7()));
        let mut sandbox = SANDBOX.to_owned();
        for number in 0..ACCOUNTS {
            writeln!(sandbox, "    token-{number}: {{ account: {} }}", account(number)).expect("a text");
        }
        let files = [("connectors/many.yaml".to_owned(), CONNECTOR.to_owned())];
        let file = Some(("connectors/many.sandbox.yaml".to_owned(), sandbox));
        let vendor = Vendor::start(&files, file, Settings::new("many")).await.expect("the vendor");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let house = House { folder, vendor, client };
        house.fill();
        house
    }

    fn fill(&self) {
        let place = self.vendor.address();
        let mut project = format!(
            "project: many\napps: {{ many: {{ base_url: \"http://{place}\", hook: $.secrets.hook }} }}\ntenants:\n"
        );
        let mut secrets = "hook: the-hook\n".to_owned();
        let mut numbers = 0..ACCOUNTS;
        for tenant in 0..TENANTS {
            writeln!(project, "  t{tenant}:\n    connections:").expect("a text");
            for number in numbers.by_ref().take(tenant % 5 + 1) {
                let account = account(number);
                writeln!(
                    project,
                    "      {account}: {{ connector: many, account: {account}, token: $.secrets.token_{number} }}"
                )
                .expect("a text");
                let token = if number == REFUSED { "nobody's".to_owned() } else { format!("token-{number}") };
                writeln!(secrets, "token_{number}: {token}").expect("a text");
            }
        }
        for (path, text) in [
            ("project/dovetail.yaml", project.as_str()),
            ("project/connectors/many.yaml", CONNECTOR),
            ("project/workflows/copies.yaml", WORKFLOW),
            ("secrets.yaml", &secrets),
        ] {
            let path = self.folder.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
            std::fs::write(&path, text).expect("a file");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        }
    }

    async fn serve(&self) -> Serve {
        let mut command = stage::command();
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.arg("--project").arg(self.folder.join("project")).arg("--data").arg(self.folder.join("data"));
        command.arg("--secrets").arg(self.folder.join("secrets.yaml"));
        command.args(["--allow-net", &self.vendor.address().to_string()]);
        Serve::start(command, &self.client).await
    }

    /// The vendor tells of something at an account.
    async fn tell(&self, port: u16, number: usize) -> u16 {
        let body = json!({
            "type": "Signalled", "id": format!("d{number}"), "account": account(number),
            "signal": { "id": format!("s{number}") },
        });
        let request = self.client.post(format!("http://127.0.0.1:{port}/hooks/many")).header("x-hook", "the-hook");
        request.json(&body).send().await.expect("serve answers").status().as_u16()
    }

    async fn runs(&self) -> Vec<Run> {
        let store = Store::open_read_only(&self.folder.join("data")).expect("the store");
        let runs = store.runs(Filter { limit: usize::MAX, ..Filter::default() }).await.expect("the runs");
        store.close().await;
        runs
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_300_accounts_uses_its_own_credential_and_waits_for_none_of_the_others() {
    let house = House::set().await;
    // Another program uses up what one of them may ask for.
    for _ in 0..4 {
        let request = house.client.post(format!("http://{}/items", house.vendor.address()));
        let request = request.bearer_auth(format!("token-{EXHAUSTED}"));
        request.json(&json!({ "account": account(EXHAUSTED), "step": 0 })).send().await.expect("the vendor answers");
    }
    let serve = house.serve().await;
    let told = join_all((0..ACCOUNTS).map(|number| house.tell(serve.port, number))).await;
    assert!(told.iter().all(|status| *status == 200), "{told:?}");

    let runs = until("all but two are over", async || {
        let runs = house.runs().await;
        let over = runs.iter().filter(|run| run.status != Status::Pending).count();
        (over >= ACCOUNTS - 2).then_some(runs)
    })
    .await;
    let waiting: Vec<&str> = runs
        .iter()
        .filter(|run| run.status == Status::Pending)
        .filter_map(|run| run.start.connections.get("m").map(String::as_str))
        .collect();
    let mut expected = [account(EXHAUSTED), account(REFUSED)];
    expected.sort();
    let mut waiting = waiting;
    waiting.sort_unstable();
    assert_eq!(waiting, expected, "{}", serve.said());
    assert!(runs.iter().all(|run| matches!(run.status, Status::Pending | Status::Completed)));
    assert!(runs.iter().all(|run| run.start.tenant.is_some()));

    let mut made: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for item in house.vendor.records("item").into_iter().filter(|item| item["step"] != 0) {
        assert_eq!(item["account"], item["by"], "another account's token: {item}");
        made.entry(item["account"].as_str().expect("an account").to_owned()).or_default().push(item["step"].clone());
    }
    assert_eq!(made.len(), ACCOUNTS - 2);
    for (account, steps) in &made {
        assert_eq!(*steps, [1, 2, 3], "{account}");
    }
    let asked = house.client.get(format!("http://{}/_sandbox/requests", house.vendor.address()));
    let asked: Value = asked.send().await.expect("an answer").json().await.expect("JSON");
    let statuses = asked["requests"].as_array().expect("a list").iter().filter_map(|one| one["status"].as_u64());
    let mut count: BTreeMap<u64, usize> = BTreeMap::new();
    statuses.for_each(|status| *count.entry(status).or_default() += 1);
    let granted = (ACCOUNTS - 2) * REQUESTS + 4;
    assert_eq!(count.remove(&201), Some(granted));
    assert_eq!(count.remove(&429), Some(1), "the exhausted one asks once, and waits");
    // A refusal is tried once more before its run waits.
    assert!(count.remove(&401).is_some_and(|times| times <= 2), "the refused one does not go on asking");
    assert_eq!(count, BTreeMap::new(), "nothing was crossed");
}
