//! Answers that are too big, too slow, broken or packed to harm.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::super::Error;
use super::server::{Server, Then, get};

const MEBIBYTE: usize = 1024 * 1024;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn fetch(server: &Server) -> Result<crate::connector::Response, Error> {
    server.client().send(&get(server.url("/path?who=ada")), None).await
}

#[tokio::test]
async fn a_body_may_have_ten_mebibytes_and_no_byte_more() {
    let server = Server::ok("", &vec![b'a'; 10 * MEBIBYTE]).await;
    assert_eq!(fetch(&server).await.unwrap().body.as_str().map(str::len), Some(10 * MEBIBYTE));
    let server = Server::ok("", &vec![b'a'; 10 * MEBIBYTE + 1]).await;
    assert!(matches!(fetch(&server).await, Err(Error::TooBig(_))));
}

#[tokio::test]
async fn a_packed_answer_is_unpacked() {
    let body = gzip(br#"{"id":7}"#);
    let response = fetch(&Server::ok("Content-Encoding: gzip\r\n", &body).await).await.unwrap();
    assert_eq!(response.body, json!({ "id": 7 }));
    assert_eq!((response.header("content-encoding"), response.header("content-length")), (None, None));
    let nothing = fetch(&Server::ok("Content-Encoding: gzip\r\n", b"").await).await.unwrap();
    assert_eq!(nothing.body, json!(null));
}

#[tokio::test]
async fn a_packed_answer_is_counted_unpacked() {
    let noise: Vec<u8> =
        (0..11 * MEBIBYTE as u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let table = [
        ("above the size, by little packing", gzip(&noise)),
        ("above the size, by much packing", gzip(&vec![0; 100 * MEBIBYTE])),
        ("below the size, above the ratio", gzip(&vec![0; 2 * MEBIBYTE])),
    ];
    for (what, body) in table {
        let server = Server::ok("Content-Encoding: gzip\r\n", &body).await;
        assert!(matches!(fetch(&server).await, Err(Error::TooBig(_))), "{what}");
    }
    let small = Server::ok("Content-Encoding: gzip\r\n", &gzip(&[b' '; 100_000])).await;
    assert!(fetch(&small).await.is_ok(), "short repetitive bodies do no harm");
}

#[tokio::test]
async fn a_json_body_may_not_hold_a_million_values() {
    let server = Server::ok("", format!("[{}0]", "0,".repeat(1_000_000)).as_bytes()).await;
    assert!(matches!(fetch(&server).await, Err(Error::TooBig(_))));
    let text = json!([",[{".repeat(1_000_000)]).to_string();
    assert!(fetch(&Server::ok("", text.as_bytes()).await).await.is_ok(), "what stands in a text does not count");
}

#[tokio::test]
async fn headers_have_a_bound() {
    for length in [70_000, 1_000_000] {
        let server = Server::ok(&format!("X-Long: {}\r\n", "a".repeat(length)), b"").await;
        let result = fetch(&server).await;
        assert!(matches!(result, Err(Error::TooBig(_))), "{length}: {result:?}");
    }
    assert!(fetch(&Server::ok(&format!("X-Long: {}\r\n", "a".repeat(60_000)), b"").await).await.is_ok());
}

#[tokio::test]
async fn after_sending_a_missing_answer_leaves_it_open_what_happened() {
    let mut cut = gzip(b"hello, hello, hello");
    cut.truncate(cut.len() - 9);
    let mut packed =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", cut.len()).into_bytes();
    packed.extend_from_slice(&cut);
    let table: [(&str, &[u8], Then); 8] = [
        ("closed at once", b"", Then::Close),
        ("silence", b"", Then::Hang),
        ("half a head", b"HTTP/1.1 200 OK\r\nContent-", Then::Hang),
        ("half a body", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Then::Hang),
        ("a body cut short", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Then::Close),
        ("no HTTP", b"220 smtp.example.com ESMTP\r\n\r\n", Then::Close),
        ("a packed body cut short", &packed, Then::Close),
        (
            "an encoding not asked for",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\na",
            Then::Close,
        ),
    ];
    for (what, answer, then) in table {
        let server = Server::raw(answer, then).await;
        let error = server.hasty_client().send(&get(server.url("/path?who=ada")), None).await.unwrap_err();
        assert!(matches!(error, Error::NoAnswer(_)), "{what}: {error:?}");
        assert!(!error.to_string().contains("ada"), "{error}");
        assert_eq!(server.heard().len(), 1, "{what}: it is sent once");
    }
}
