//! What stands between a browser and the dashboard: a way that can be closed, and pages of somebody else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes on what comes, while it is open.
pub struct Way {
    pub base: String,
    is_open: watch::Sender<bool>,
    connections: Arc<AtomicUsize>,
}

impl Way {
    /// How many connections lead through it.
    pub fn open(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Breaks off all that lead through it, and takes no other.
    pub fn close(&self) {
        self.is_open.send_replace(false);
    }

    pub fn reopen(&self) {
        self.is_open.send_replace(true);
    }
}

/// A way to a dashboard.
pub async fn way(base: &str) -> Way {
    let to: SocketAddr = base.trim_start_matches("http://").parse().expect("an address");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (is_open, seen) = watch::channel(true);
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let (mut seen, count) = (seen.clone(), count.clone());
            tokio::spawn(async move {
                if !*seen.borrow() {
                    return;
                }
                let Ok(mut on) = TcpStream::connect(to).await else { return };
                count.fetch_add(1, Ordering::SeqCst);
                tokio::select! {
                    _ = copy_bidirectional(&mut from, &mut on) => {}
                    _ = seen.wait_for(|is_open| !is_open) => {}
                }
                count.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    Way { base: format!("http://{address}"), is_open, connections }
}

/// A page of somebody else, at an address of its own.
pub async fn page(html: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let html = html.clone();
            tokio::spawn(async move {
                let mut asked = [0; 8_192];
                let _ = from.read(&mut asked).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    html.len()
                );
                let _ = from.write_all(format!("{head}{html}").as_bytes()).await;
            });
        }
    });
    address
}
