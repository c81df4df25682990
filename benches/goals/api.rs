//! One list of contacts: as a connector says it, as an API on this computer answers it, and as a plain client reads it.

use std::net::SocketAddr;
use std::sync::Arc;

use dovetail::connector::{Connector, Names, Outcome, Page, Response};
use dovetail::http::{Client, Guard};
use dovetail::source::{File, Report};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const PAGES: usize = 100;
pub const PER_PAGE: usize = 100;

const TEXT: &str = r#"connector: crm
base_url: http://127.0.0.1:1
headers: { Version: "2021-07-28" }
connection: { account: { type: string } }
errors:
  - { status: 400, only_if: { $.meta.contactId: { exists: true } }, is: duplicate, existing_id: $.meta.contactId }
  - { status: 401, only_if: { $.message: { matches: "token is invalid" } }, is: auth }
objects:
  contact:
    schema: { type: object, properties: { id: { type: string }, email: { type: string }, tags: { type: array, items: { type: string } } } }
    id: id
    operations:
      list:
        request: GET /contacts
        query: { account: $.connection.account, limit: 100, after: $.page.next }
        items: $.contacts
        pages: { cursor: $.meta.next }
      create:
        request: POST /accounts/{account_id}/contacts
        body: $.input
        add: { locationId: $.connection.account }
        returns: $.contact
        if_unsure: ask
"#;

pub fn connector() -> Connector {
    let file = File::read("crm.yaml", TEXT).expect("YAML");
    Connector::read(&[&file], &mut Report::default()).expect("a connector")
}

pub fn contact(number: usize) -> Value {
    json!({
        "id": format!("c{number}"), "email": format!("ada{number}@example.com"), "firstName": "Ada", "lastName": "Byron",
        "phone": "+15550100001", "tags": ["quiz", "hot", "vip"], "country": "GB", "source": "quiz", "dnd": false,
        "dateAdded": "2026-03-01T10:00:00.000Z", "dateUpdated": "2026-03-02T10:00:00.000Z", "locationId": "Lo3CaT6iOn",
        "customFields": [{ "id": "f1", "value": "hot" }, { "id": "f2", "value": 42 }], "companyName": null,
        "address1": "1 Example Street", "city": "London", "postalCode": "N1", "score": 4.5,
    })
}

fn page(number: usize) -> Value {
    let contacts: Vec<Value> = (0..PER_PAGE).map(|at| contact(number * PER_PAGE + at)).collect();
    let next = if number + 1 < PAGES { json!((number + 1).to_string()) } else { Value::Null };
    json!({ "contacts": contacts, "meta": { "next": next, "total": PAGES * PER_PAGE } })
}

pub fn answer(body: Value) -> Response {
    Response { status: 200, headers: vec![("content-type".into(), "application/json".into())], body, not_kept: None }
}

pub fn answered_page() -> Response {
    answer(page(0))
}

/// An API that knows one list. Every answer is made beforehand.
pub async fn serve() -> SocketAddr {
    let answers: Arc<Vec<Vec<u8>>> = Arc::new((0..PAGES).map(|number| written(&page(number))).collect());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_all(stream, Arc::clone(&answers)));
        }
    });
    address
}

fn written(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    (head + &body).into_bytes()
}

async fn answer_all(mut stream: TcpStream, answers: Arc<Vec<Vec<u8>>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut request = Vec::new();
    loop {
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await.ok()? == 0 {
                return None;
            }
        }
        let line = String::from_utf8_lossy(&request);
        let line = line.lines().next()?;
        let after = line.split_once("after=").map_or("0", |(_, rest)| rest.split(['&', ' ']).next().unwrap_or("0"));
        stream.write_all(answers.get(after.parse::<usize>().ok()?)?).await.ok()?;
        request.clear();
    }
}

/// Reads the whole list as a connector's operation; gives how many records there were.
pub async fn read_all(client: &Client, connector: &Connector, connection: &Value) -> usize {
    let operation = connector.operation("contact.list").expect("an operation");
    let (mut page, mut count, input) = (Page::default(), 0, Value::Null);
    loop {
        let request = operation.request(connector, connection, &input, &page).expect("a request");
        let response = client.send(&request, None).await.expect("an answer");
        let outcome = connector.outcome(operation, &input, connection, &page, response);
        let Outcome::Done { value: Value::Array(items), next } = outcome else { panic!("{outcome:?}") };
        let shaped: Vec<Value> = items.iter().map(|item| operation.shape(connector, item, &Names::default())).collect();
        count += shaped.len();
        match next {
            Some(next) => page = next,
            None => return count,
        }
    }
}

/// The same list with the plain client, as one would write it by hand.
pub async fn read_plainly(client: &reqwest::Client, address: SocketAddr) -> usize {
    let (mut after, mut count) = (None::<String>, 0);
    loop {
        let mut request = client.get(format!("http://{address}/contacts")).header("Version", "2021-07-28");
        request = request.query(&[("account", "a"), ("limit", "100")]);
        if let Some(after) = &after {
            request = request.query(&[("after", after)]);
        }
        let body: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        count += body["contacts"].as_array().map_or(0, Vec::len);
        after = body["meta"]["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return count;
        }
    }
}

pub fn client(address: SocketAddr) -> Client {
    Client::new(Guard::new(&[address.to_string()]).expect("an address"))
}
