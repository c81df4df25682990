//! The real program as a process: started, watched, told to end, killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::until;

/// The program under test, without what the environment would tell it.
pub fn command() -> Command {
    command_of(Path::new(env!("CARGO_BIN_EXE_dovetail")))
}

/// Another build of it.
pub fn command_of(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOVETAIL_") || name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    // Several run at once, and would all listen at one address.
    command.env("DOVETAIL_DASHBOARD", "off");
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// A running `dovetail serve`; killed when dropped.
pub struct Serve {
    child: Child,
    pub port: u16,
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
    /// Another one of the same cluster, which ends with it.
    pub companion: Option<Box<Serve>>,
}

impl Serve {
    pub async fn start(mut command: Command, client: &reqwest::Client) -> Serve {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("its stderr");
        let said = Arc::new(Mutex::new(String::new()));
        let (tell, told) = mpsc::channel();
        let kept = Arc::clone(&said);
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let port = line.split_once("http://127.0.0.1:").and_then(|(_, rest)| rest.parse::<u16>().ok());
                if let (true, Some(port)) = (line.starts_with("dovetail serves"), port) {
                    // Nobody listens any more after the first.
                    let _ = tell.send(port);
                }
                let mut said = kept.lock();
                said.push_str(&line);
                said.push('\n');
            }
        });
        // The channel closes when the program ends without having listened.
        let port = tokio::task::spawn_blocking(move || told.recv_timeout(Duration::from_secs(60)));
        let Ok(port) = port.await.expect("the wait ends") else { panic!("serve does not start:\n{}", said.lock()) };
        let url = format!("http://127.0.0.1:{port}/readyz");
        let ready = async || client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200);
        let process = Mutex::new(&mut child);
        let has_ended = || process.lock().try_wait().expect("its status").is_some();
        until("serve is ready", async || (ready().await || has_ended()).then_some(())).await;
        assert!(!has_ended(), "serve has ended:\n{}", said.lock());
        Serve { child, port, said, listener: Some(listener), companion: None }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on stderr so far, and then what the other one of its cluster has.
    pub fn said(&self) -> String {
        let other = self.companion.as_ref().map(|companion| companion.said());
        self.said.lock().clone() + &other.unwrap_or_default()
    }

    /// The time that it has worked: of a processor, in all its threads. 0 where nobody says.
    pub fn worked(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// The memory that it has taken, in MiB: without the pages of the program itself, of which a build without optimisation has
    /// many. 0 where nobody says.
    pub fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes.unwrap_or(0.0) / 1_024.0
    }

    /// `kill -9`: nothing is written, closed or told any more.
    pub fn kill(mut self) {
        drop(self.companion.take());
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// `kill`, and no more.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name]).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill is there").success());
    }

    /// `kill`: it ends by itself.
    pub async fn term(mut self) -> (ExitStatus, String) {
        let companion = self.companion.take();
        companion.iter().for_each(|companion| companion.signal("TERM"));
        self.signal("TERM");
        let ended = self.ended().await;
        if let Some(companion) = companion {
            companion.ended().await;
        }
        ended
    }

    /// How it ends, and what it has said.
    async fn ended(mut self) -> (ExitStatus, String) {
        let child = Mutex::new(&mut self.child);
        let status = until("serve ends", async || child.lock().try_wait().expect("its status")).await;
        // What it said last may still be on the way.
        if let Some(listener) = self.listener.take() {
            listener.join().expect("all is heard");
        }
        let said = self.said.lock().clone();
        (status, said)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
