//! The least of HTTP/1.1: messages with a length, one after the other on one connection.

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Reads one message into `buffer`; gives where its head and its whole end. None: the other side is gone.
pub async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(usize, usize)> {
    buffer.clear();
    loop {
        if let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = head + 4;
            let end = head + length(buffer.get(..head)?);
            while buffer.len() < end {
                read_more(stream, buffer).await?;
            }
            return Some((head, end));
        }
        read_more(stream, buffer).await?;
    }
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(buffer).await.ok()? > 0).then_some(())
}

/// What `content-length` says; 0 without.
fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}
