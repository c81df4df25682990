//! Who stands around the job: a vendor that takes POSTs, and senders of webhooks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::job::{self, SECRET};
use super::wire;

/// A vendor that answers each POST at once.
pub struct Vendor {
    pub address: SocketAddr,
    taken: Arc<Taken>,
}

#[derive(Default)]
struct Taken {
    count: AtomicUsize,
    /// Which came, and when.
    times: Mutex<Vec<(usize, Instant)>>,
    news: Notify,
}

const ANSWER: &[u8] =
    b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n{\"id\":\"s-1\",\"status\":\"booked\"}";

impl Vendor {
    pub async fn start() -> Vendor {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let taken = Arc::<Taken>::default();
        let shared = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_all(stream, Arc::clone(&shared)));
            }
        });
        Vendor { address, taken }
    }

    fn begin(&self) {
        self.taken.count.store(0, Ordering::SeqCst);
        self.taken.times.lock().clear();
    }

    /// Waits until so many have come.
    async fn has(&self, count: usize) {
        let end = Instant::now() + Duration::from_secs(120);
        while self.taken.count.load(Ordering::SeqCst) < count {
            assert!(Instant::now() < end, "only {} of {count} came", self.taken.count.load(Ordering::SeqCst));
            let _ = tokio::time::timeout(Duration::from_millis(50), self.taken.news.notified()).await;
        }
    }
}

async fn answer_all(mut stream: TcpStream, taken: Arc<Taken>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut request = Vec::new();
    loop {
        wire::read(&mut stream, &mut request).await?;
        taken.times.lock().push((number(&request)?, Instant::now()));
        taken.count.fetch_add(1, Ordering::SeqCst);
        taken.news.notify_one();
        stream.write_all(ANSWER).await.ok()?;
    }
}

/// Which event a request is about: the end of `"reference":"ROUND-NUMBER"`.
fn number(request: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(request).ok()?;
    let (_, rest) = text.split_once("\"reference\":\"")?;
    rest.split('"').next()?.rsplit('-').next()?.parse().ok()
}

fn letter(id: &str) -> Vec<u8> {
    let body = job::event(id).to_string();
    let head = format!(
        "POST /hooks/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-hook: {SECRET}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

async fn post(stream: &mut TcpStream, letter: &[u8], answer: &mut Vec<u8>) {
    stream.write_all(letter).await.expect("it takes a webhook");
    wire::read(stream, answer).await.expect("it answers");
    let line = String::from_utf8_lossy(answer.get(..12).unwrap_or_default()).into_owned();
    assert!(line.starts_with("HTTP/1.1 20"), "{}", String::from_utf8_lossy(answer));
}

async fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// Sends as fast as it is taken, over so many connections; gives how long it took until `posts` of each had come.
pub async fn flood(vendor: &Vendor, port: u16, round: &str, events: usize, posts: usize) -> Duration {
    const SENDERS: usize = 64;
    vendor.begin();
    let mut streams = Vec::new();
    for _ in 0..SENDERS {
        streams.push(connect(port).await);
    }
    let letters: Vec<Vec<u8>> = (0..events).map(|number| letter(&format!("{round}-{number}"))).collect();
    let (letters, next) = (Arc::new(letters), Arc::new(AtomicUsize::new(0)));
    let start = Instant::now();
    let senders: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            let (letters, next) = (Arc::clone(&letters), Arc::clone(&next));
            tokio::spawn(async move {
                let mut answer = Vec::new();
                while let Some(letter) = letters.get(next.fetch_add(1, Ordering::SeqCst)) {
                    post(&mut stream, letter, &mut answer).await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("a sender");
    }
    vendor.has(events * posts).await;
    start.elapsed()
}

/// Sends at a rate for some time, each when its time has come; gives how long each took from there until its POST came,
/// sorted.
pub async fn drip(vendor: &Vendor, port: u16, round: &str, per_second: f64, time: Duration) -> Vec<Duration> {
    const SENDERS: usize = 32;
    let events = (per_second * time.as_secs_f64()) as usize;
    vendor.begin();
    let mut streams = Vec::new();
    for _ in 0..SENDERS {
        streams.push(connect(port).await);
    }
    let start = Instant::now() + Duration::from_millis(20);
    let due = move |number: usize| start + Duration::from_secs_f64(number as f64 / per_second);
    let senders: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(first, mut stream)| {
            let round = round.to_owned();
            tokio::spawn(async move {
                let mut answer = Vec::new();
                for number in (first..events).step_by(SENDERS) {
                    let letter = letter(&format!("{round}-{number}"));
                    tokio::time::sleep_until(due(number).into()).await;
                    post(&mut stream, &letter, &mut answer).await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("a sender");
    }
    vendor.has(events).await;
    let times = vendor.taken.times.lock();
    let mut took: Vec<Duration> = times.iter().map(|(number, at)| at.saturating_duration_since(due(*number))).collect();
    took.sort_unstable();
    took
}
