//! A pretend API: answers each connection with the bytes that a test gives, and tells what it was sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::client::Bounds;
use super::super::{Client, Guard};
use crate::connector::Request;

/// What happens after the bytes were sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Close,
    /// Says nothing more, but stays.
    Hang,
}

pub struct Server {
    pub address: SocketAddr,
    /// Every request as it came, head and body.
    pub heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers every request with these bytes.
    pub async fn raw(answer: impl Into<Vec<u8>>, then: Then) -> Server {
        let answer: Arc<[u8]> = answer.into().into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let heard = server.heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), then, heard.clone()));
            }
        });
        server
    }

    /// Answers 200 with headers and a body.
    pub async fn ok(headers: &str, body: &[u8]) -> Server {
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        Server::raw(answer, Then::Close).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }

    /// A client that may talk to this server and to nothing else inside.
    pub fn client(&self) -> Client {
        Client::new(self.guard())
    }

    /// The same, with little patience.
    pub fn hasty_client(&self) -> Client {
        let bounds = Bounds { total: Duration::from_millis(300), ..Bounds::default() };
        Client::bounded(self.guard(), bounds)
    }

    pub fn guard(&self) -> Guard {
        Guard::new(&[self.address.to_string()]).unwrap()
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<[u8]>, then: Then, heard: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_complete(&request) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&buffer[..length]),
        }
    }
    heard.lock().push(String::from_utf8(request).unwrap());
    let _ = stream.write_all(&answer).await;
    let _ = stream.flush().await;
    if then == Then::Hang {
        std::future::pending::<()>().await;
    }
}

/// The head, and as many bytes as its Content-Length says.
fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head
        .to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length:").and_then(|length| length.trim().parse::<usize>().ok()));
    body.len() >= length.unwrap_or(0)
}

pub fn get(url: impl Into<String>) -> Request {
    Request { method: "GET".into(), url: url.into(), headers: Vec::new(), body: None }
}
