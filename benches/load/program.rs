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

/// How a program is started.
#[derive(Clone, Copy)]
pub enum Under<'f> {
    /// By itself, on a core of its own.
    Core,
    /// By valgrind, which counts its instructions and writes them to this file at the end.
    Valgrind(&'f Path),
}

impl Under<'_> {
    pub fn command(self, program: &Path) -> Command {
        let Under::Valgrind(counts) = self else { return pinned(OWN_CORE, program) };
        let mut command = Command::new("valgrind");
        let file = format!("--callgrind-out-file={}", counts.display());
        command.args(["--tool=callgrind", "--quiet", "--fair-sched=yes", &file]).arg(program);
        command
    }
}

impl Program {
    /// The bare loop.
    pub async fn bare(under: Under<'_>, folder: &Path, vendor: &str) -> Program {
        let own = std::env::current_exe().expect("this program");
        Program::start(under.command(&own), |command, port| {
            command.arg("bare").arg(folder).arg(vendor).arg(port.to_string());
        })
        .await
    }

    /// The engine in its real form, which may call the vendors at these addresses.
    pub async fn serve(folder: &Path, vendors: &[String]) -> Program {
        Program::serve_with(Under::Core, folder, vendors, &[]).await
    }

    /// The same, started so, with further flags; its dashboard is off unless they say where.
    pub async fn serve_with(under: Under<'_>, folder: &Path, vendors: &[String], flags: &[&str]) -> Program {
        Program::start(under.command(Path::new(env!("CARGO_BIN_EXE_dovetail"))), |command, port| {
            command.args(["serve", "--no-watch"]).args(flags);
            if !flags.contains(&"--dashboard") {
                command.args(["--dashboard", "off"]);
            }
            for vendor in vendors {
                command.args(["--allow-net", vendor]);
            }
            command.arg("--project").arg(folder.join("project")).arg("--data").arg(folder.join("data"));
            command.arg("--secrets").arg(folder.join("secrets.yaml")).args(["--listen", &format!("127.0.0.1:{port}")]);
        })
        .await
    }

    pub async fn start(mut command: Command, say: impl FnOnce(&mut Command, u16)) -> Program {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
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

    /// Ends it as an operator does, and waits until it has.
    pub fn end(mut self) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().expect("there is a `kill`");
        assert!(told.success() && self.child.wait().is_ok(), "it does not end");
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
