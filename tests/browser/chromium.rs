//! A real browser, driven command by command (`driver.mjs`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Where the packages are that `tests/browser/package.json` names.
const VARIABLE: &str = "DOVETAIL_BROWSER";

pub struct Browser {
    driver: Child,
    /// None: it is to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Where the dashboard is.
    pub base: String,
}

impl Browser {
    /// None where there is none to test with.
    pub fn start(test: &str, base: &str) -> Option<Browser> {
        let chromium = std::env::var("DOVETAIL_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
        if std::env::var_os(VARIABLE).is_none() || !Path::new(&chromium).exists() {
            // Not `eprintln`, which a test that passes does not show.
            let why = format!(
                "left out: {test}: there is no {chromium}, or {VARIABLE} names no packages; `.ci/run` installs both"
            );
            let _ = writeln!(std::io::stderr(), "{why}");
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/driver.mjs");
        let mut driver = Command::new("node");
        let driver = driver.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut driver = driver.spawn().expect("node starts");
        let input = driver.stdin.take();
        let output = BufReader::new(driver.stdout.take().expect("its output"));
        Some(Browser { driver, input, output, base: base.to_owned() })
    }

    /// Does one thing, and gives what came of it.
    pub fn does(&mut self, what: &str, with: Value) -> Value {
        let mut command = with;
        command["what"] = json!(what);
        writeln!(self.input.as_mut().expect("it has not ended"), "{command}").expect("the driver listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the driver answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{command}: the driver has ended"));
        match answer.get("failed") {
            Some(why) => panic!("{command}: {}\n{}", why.as_str().unwrap_or_default(), answer["troubles"]),
            None => answer["ok"].clone(),
        }
    }

    /// Opens a page by its path, and gives the status.
    pub fn go(&mut self, path: &str) -> u64 {
        let to = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.to_owned() };
        self.does("go", json!({ "to": to })).as_u64().unwrap_or_default()
    }

    pub fn click(&mut self, name: &str) {
        self.does("click", json!({ "name": name }));
    }

    pub fn fill(&mut self, label: &str, text: &str) {
        self.does("fill", json!({ "label": label, "text": text }));
    }

    /// Waits until it is seen.
    pub fn sees(&mut self, text: &str) {
        self.does("see", json!({ "text": text }));
    }

    /// Waits until it is gone.
    pub fn misses(&mut self, text: &str) {
        self.does("gone", json!({ "text": text }));
    }

    pub fn text(&mut self) -> String {
        self.does("text", json!({})).as_str().unwrap_or_default().to_owned()
    }

    /// Is there a button or a link of this name?
    pub fn offers(&mut self, name: &str) -> bool {
        self.does("count", json!({ "name": name })) != 0
    }

    /// Nothing has happened that no page of ours may do.
    pub fn is_calm(&mut self) {
        let troubles = self.does("troubles", json!({}));
        assert_eq!(troubles, json!([]));
    }
}

impl Drop for Browser {
    /// The browser ends with its driver, which ends with its input; one that hangs is killed.
    fn drop(&mut self) {
        drop(self.input.take());
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if !matches!(self.driver.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
