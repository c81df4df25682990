//! The real YAML language server, spoken to as an editor does: over its standard input and output, nothing else.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// An answer takes well under a second; this is only so that a test ends.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Server {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// The latest findings, by the document's address.
    found: BTreeMap<String, Vec<Finding>>,
    last: i64,
}

/// What the editor underlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// From 1.
    pub line: u64,
    pub message: String,
}

impl Server {
    pub fn start(program: &Path) -> Server {
        let mut child = Command::new("node")
            .args([program.as_os_str(), "--stdio".as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        let input = child.stdin.take().expect("an input");
        let mut output = BufReader::new(child.stdout.take().expect("an output"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = message(&mut output) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut server = Server { child, input, messages, found: BTreeMap::new(), last: 0 };
        let able = json!({
            "workspace": { "configuration": true, "didChangeConfiguration": { "dynamicRegistration": true } },
            "textDocument": { "publishDiagnostics": {}, "hover": { "contentFormat": ["markdown"] } },
        });
        server.ask("initialize", &json!({ "processId": null, "rootUri": null, "capabilities": able }));
        server.tell("initialized", &json!({}));
        // What is opened before the settings are known would be judged without them.
        server.until(|message| message["method"] == "workspace/configuration");
        server
    }

    /// Opens a document and gives what is marked in it.
    pub fn open(&mut self, path: &Path, text: &str) -> Vec<Finding> {
        self.open_all(&[(path.to_path_buf(), text.to_string())]).remove(0)
    }

    /// Opens documents together, since each is judged only after a moment without typing.
    pub fn open_all(&mut self, documents: &[(PathBuf, String)]) -> Vec<Vec<Finding>> {
        let addresses: Vec<String> = documents.iter().map(|(path, text)| self.show(path, text)).collect();
        while !addresses.iter().all(|address| self.found.contains_key(address)) {
            self.until(|message| message["method"] == "textDocument/publishDiagnostics");
        }
        addresses.iter().filter_map(|address| self.found.remove(address)).collect()
    }

    /// What is proposed at a mark (`|`) in a document, which is opened without it.
    pub fn complete(&mut self, path: &Path, marked: &str) -> Vec<Value> {
        let answer = self.ask_at("textDocument/completion", path, marked);
        answer["items"].as_array().or(answer.as_array()).cloned().unwrap_or_default()
    }

    /// What is told about the thing at a mark.
    pub fn hover(&mut self, path: &Path, marked: &str) -> String {
        let answer = self.ask_at("textDocument/hover", path, marked);
        // Markdown, in which signs are escaped.
        answer["contents"]["value"].as_str().unwrap_or_default().replace('\\', "")
    }

    fn ask_at(&mut self, method: &str, path: &Path, marked: &str) -> Value {
        let (before, after) = marked.split_once('|').expect("a mark");
        let address = self.show(path, &format!("{before}{after}"));
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let position = json!({ "line": line, "character": column });
        self.ask(method, &json!({ "textDocument": { "uri": address }, "position": position }))
    }

    /// Opens a document under an address of its own in its folder: the server may judge one twice, and what it says late
    /// must not count for the next.
    fn show(&mut self, path: &Path, text: &str) -> String {
        self.last += 1;
        let stem = path.file_stem().expect("a name").to_string_lossy();
        let address = format!("file://{}", path.with_file_name(format!("{stem}.{}.yaml", self.last)).display());
        let document = json!({ "uri": address, "languageId": "yaml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", &json!({ "textDocument": document }));
        address
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let id = self.last;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }));
        let answer = self.until(|message| message["id"] == id && message.get("method").is_none());
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    fn tell(&mut self, method: &str, parameters: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": parameters }));
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("the server reads");
        self.input.flush().expect("the server reads");
    }

    /// Takes messages, and answers what the server asks, until one is the one that is waited for.
    fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.messages.recv_timeout(PATIENCE).expect("the server answers");
            let parameters = &message["params"];
            // A document on which the server stumbled would pass as one without findings.
            let stumbled = message["method"] == "telemetry/event" && parameters["properties"].get("error").is_some();
            assert!(!stumbled, "{parameters:#}");
            if message["method"] == "textDocument/publishDiagnostics" {
                let address = parameters["uri"].as_str().expect("an address").to_string();
                let all = parameters["diagnostics"].as_array().expect("a list");
                self.found.insert(address, all.iter().map(finding).collect());
            } else if let (Some(method), Some(id)) = (message["method"].as_str(), message.get("id")) {
                let answer = match method {
                    "workspace/configuration" => {
                        let items = parameters["items"].as_array().expect("sections");
                        items.iter().map(|item| setting(item["section"].as_str())).collect()
                    }
                    _ => Value::Null,
                };
                self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": answer }));
            }
            if is_it(&message) {
                return message;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An editor's settings: nothing is looked up in the network.
fn setting(section: Option<&str>) -> Value {
    match section {
        Some("yaml") => json!({
            "validate": true,
            "completion": true,
            "hover": true,
            "schemaStore": { "enable": false, "url": "" },
            "kubernetesCRDStore": { "enable": false, "url": "" },
        }),
        _ => json!({}),
    }
}

fn finding(diagnostic: &Value) -> Finding {
    let line = diagnostic["range"]["start"]["line"].as_u64().expect("a line");
    Finding { line: line + 1, message: diagnostic["message"].as_str().expect("a message").to_string() }
}

/// The next message; None at the end.
fn message(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(number) = line.strip_prefix("Content-Length:") {
            length = number.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
