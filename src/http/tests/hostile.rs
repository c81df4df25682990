//! 500 URLs that lead inside: none of them opens a connection, whichever way it comes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::client::Bounds;
use super::super::resolve::Names;
use super::super::{Client, Error, Guard};
use super::server::get;
use crate::connector::{Connector, Page, Request};
use crate::source::{File, Report};

/// `tests/hostile/urls.yaml`.
#[derive(Deserialize)]
struct Urls {
    names: HashMap<String, Vec<IpAddr>>,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    about: String,
    urls: Vec<String>,
}

/// A listener that counts who comes; nobody may.
#[derive(Default)]
struct Trap {
    came: Arc<AtomicUsize>,
    port: u16,
}

impl Trap {
    /// At 127.0.0.1, and at ::1 where this computer has it.
    async fn set() -> Trap {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let trap = Trap { port: listener.local_addr().unwrap().port(), ..Trap::default() };
        let other = TcpListener::bind(("::1", trap.port)).await.ok();
        for listener in [Some(listener), other].into_iter().flatten() {
            let came = trap.came.clone();
            tokio::spawn(async move {
                while listener.accept().await.is_ok() {
                    came.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        trap
    }

    /// How many have come, besides this one who asks: connections are accepted in the order in which they came.
    async fn came(&self) -> usize {
        let before = self.came.load(Ordering::SeqCst);
        let _own = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        while self.came.load(Ordering::SeqCst) == before {
            tokio::task::yield_now().await;
        }
        self.came.load(Ordering::SeqCst) - 1
    }
}

/// The one address that is allowed. It sends whoever asks for `/N` on to the URL of that number.
async fn vendor(urls: Arc<parking_lot::Mutex<Vec<String>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let length = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let number = head.split(['/', ' ']).nth(2).and_then(|number| number.parse::<usize>().ok());
            let url = number.and_then(|number| urls.lock().get(number).cloned()).unwrap_or_default();
            let url: String = url.chars().filter(|letter| !letter.is_control()).collect();
            let answer =
                format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // Who does not listen any more need not hear it.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

const CONNECTOR: &str = "
connector: crm
base_url: https://crm.example.com
operations:
  get:
    request: GET /records/{id}
    query: { about: $.input.about }
    headers: { X-About: $.input.header }
    returns: $
  list: { request: GET /records, items: $.items, pages: { link: $.next } }
";

fn connector() -> Connector {
    let file = File::read("crm.yaml", CONNECTOR).unwrap();
    Connector::read(&[&file], &mut Report::default()).unwrap()
}

#[tokio::test]
async fn no_hostile_url_opens_a_connection() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/urls.yaml")).unwrap();
    let Urls { names, groups } = serde_yaml::from_str(&text).unwrap();
    let (trap, redirects) = (Trap::set().await, Arc::default());
    let allowed = vendor(Arc::clone(&redirects)).await;
    let fill = |url: &str| url.replace("{port}", &trap.port.to_string()).replace("{vendor}", &allowed.to_string());
    let urls: Vec<(&str, String)> =
        groups.iter().flat_map(|group| group.urls.iter().map(|url| (group.about.as_str(), fill(url)))).collect();
    assert!(urls.len() >= 500, "there are only {}", urls.len());
    redirects.lock().extend(urls.iter().map(|(_, url)| url.clone()));

    let guard = Guard::new(&[format!("127.0.0.1:{allowed}")]).unwrap();
    let client = Client::with(guard, Bounds::default(), Names::Told(Arc::new(names)));
    let connector = connector();
    let mut wrong = Vec::new();
    for (number, (about, url)) in urls.iter().enumerate() {
        let ways = [
            as_it_stands(&client, url).await,
            as_a_base_url(&client, &connector, url).await,
            as_a_redirect(&client, allowed, number).await,
            as_the_next_page(&connector, url),
            as_data(&connector, url),
        ];
        wrong.extend(ways.into_iter().filter_map(Result::err).map(|why| format!("{about}: {url:?}: {why}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(trap.came().await, 0);
    assert_eq!(trap.came().await, 1, "the trap counts");
}

/// What is refused was never connected.
fn refused(answer: Result<crate::connector::Response, Error>) -> Result<(), String> {
    match answer {
        Err(Error::Refused(_)) => Ok(()),
        other => Err(format!("was not refused: {other:?}")),
    }
}

async fn as_it_stands(client: &Client, url: &str) -> Result<(), String> {
    refused(client.send(&get(url.to_owned()), None).await)
}

async fn as_a_base_url(client: &Client, connector: &Connector, url: &str) -> Result<(), String> {
    let list = connector.operation("list").unwrap();
    match list.request(connector, &json!({ "base_url": url }), &Value::Null, &Page::default()) {
        Err(_) => Ok(()),
        // An empty one is none: the connector's own stands.
        Ok(request) if stays(&request) => Ok(()),
        Ok(request) => refused(client.send(&request, None).await).map_err(|why| format!("as a base URL it {why}")),
    }
}

async fn as_a_redirect(client: &Client, allowed: u16, number: usize) -> Result<(), String> {
    match client.send(&get(format!("http://127.0.0.1:{allowed}/{number}")), None).await {
        Ok(response) if response.status == 302 => Ok(()),
        other => Err(format!("as a redirect it gave {other:?}")),
    }
}

fn as_the_next_page(connector: &Connector, url: &str) -> Result<(), String> {
    let list = connector.operation("list").unwrap();
    let page = Page { next: Some(url.into()), ..Page::default() };
    match list.request(connector, &json!({}), &Value::Null, &page) {
        Ok(request) if !stays(&request) => Err(format!("as a next page it leads to {}", request.url)),
        _ => Ok(()),
    }
}

fn as_data(connector: &Connector, url: &str) -> Result<(), String> {
    let operation = connector.operation("get").unwrap();
    for field in ["id", "about", "header"] {
        let mut input = json!({ "id": "7" });
        input[field] = url.into();
        match operation.request(connector, &json!({}), &input, &Page::default()) {
            Ok(request) if !stays(&request) => return Err(format!("as `{field}` it leads to {}", request.url)),
            Ok(request) if request.headers.iter().any(|(_, value)| value.contains(['\r', '\n', '\0'])) => {
                return Err("a header holds a line's end".into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Is it still a request to the API's own origin?
fn stays(request: &Request) -> bool {
    let url = url::Url::parse(&request.url).unwrap();
    url.origin().ascii_serialization() == "https://crm.example.com" && url.username().is_empty()
}
