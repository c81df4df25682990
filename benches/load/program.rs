//! A program under load: started on a core of its own where that can be said, and watched from outside.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::wire;

/// The core of the program, and that of its vendor and senders.
const OWN_CORE: &str = "0";
pub const OTHER_CORE: &str = "1";

pub struct Program {
    child: Child,
    pub port: u16,
    /// From its start until it was ready.
    pub started: Duration,
}

/// A command on one core, if there are two and `taskset` is there.
pub fn pinned(core: &str, program: &Path) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let has_taskset = Command::new("taskset").arg("--version").stdout(Stdio::null()).status().is_ok();
    if (cores < 2 && core != OWN_CORE) || !has_taskset {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

impl Program {
    /// The bare loop.
    pub async fn bare(folder: &Path, vendor: &str) -> Program {
        let own = std::env::current_exe().expect("this program");
        Program::start(&own, |command, port| {
            command.arg("bare").arg(folder).arg(vendor).arg(port.to_string());
        })
        .await
    }

    /// The engine in its real form, which may call the vendors at these addresses.
    pub async fn serve(folder: &Path, vendors: &[String]) -> Program {
        Program::serve_with_dashboard(folder, vendors, "off").await
    }

    /// The same with a dashboard at this address.
    pub async fn serve_with_dashboard(folder: &Path, vendors: &[String], dashboard: &str) -> Program {
        Program::serve_with(folder, vendors, dashboard, &[]).await
    }

    /// The same with further flags.
    pub async fn serve_with(folder: &Path, vendors: &[String], dashboard: &str, flags: &[&str]) -> Program {
        Program::start(Path::new(env!("CARGO_BIN_EXE_dovetail")), |command, port| {
            command.args(["serve", "--no-watch", "--dashboard", dashboard]).args(flags);
            for vendor in vendors {
                command.args(["--allow-net", vendor]);
            }
            command.arg("--project").arg(folder.join("project")).arg("--data").arg(folder.join("data"));
            command.arg("--secrets").arg(folder.join("secrets.yaml")).args(["--listen", &format!("127.0.0.1:{port}")]);
        })
        .await
    }

    pub async fn start(program: &Path, say: impl FnOnce(&mut Command, u16)) -> Program {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let mut command = pinned(OWN_CORE, program);
        say(&mut command, port);
        let start = Instant::now();
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut program = Program { child, port, started: Duration::ZERO };
        while !program.is_ready().await {
            if let Ok(Some(status)) = program.child.try_wait() {
                panic!("it ended: {status}");
            }
            assert!(start.elapsed() < Duration::from_secs(120), "it is not ready");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        program.started = start.elapsed();
        program
    }

    async fn is_ready(&self) -> bool {
        use tokio::io::AsyncWriteExt as _;
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else { return false };
        if stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.is_err() {
            return false;
        }
        let mut answer = Vec::new();
        wire::read(&mut stream, &mut answer).await.is_some() && answer.starts_with(b"HTTP/1.1 200")
    }

    /// Memory in MiB: what it has now (`VmRSS`), or had at most (`VmHWM`). 0 where nobody says.
    pub fn memory(&self, which: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(which));
        let kilobytes = line.and_then(|line| line.trim_matches([':', ' ', '\t']).split(' ').next()?.parse().ok());
        kilobytes.unwrap_or(0.0) / 1_024.0
    }

    /// The time of a processor that it has used, in seconds. 0 where nobody says.
    pub fn worked(&self) -> f64 {
        worked(&self.child)
    }

    /// What it has written to disks, in bytes. 0 where nobody says.
    pub fn written(&self) -> f64 {
        let counts = std::fs::read_to_string(format!("/proc/{}/io", self.child.id())).unwrap_or_default();
        let written = counts.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok());
        written.unwrap_or(0.0)
    }
}

/// The time of a processor that a process has used, in seconds. 0 where nobody says.
pub fn worked(child: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
