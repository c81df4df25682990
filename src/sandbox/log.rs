//! What was asked and answered: the last 10,000 requests.

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

const ENTRIES_MAX: usize = 10_000;
/// Longer bodies are only counted.
const BODY_MAX: usize = 64 * 1024;

#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// From 1; gaps never.
    pub number: u64,
    pub time: String,
    pub method: String,
    pub path: String,
    pub query: Value,
    /// Without what proves who asks.
    pub headers: Value,
    pub body: Value,
    /// The operation's full name, empty if no route fits.
    pub operation: String,
    /// 0: the connection broke.
    pub status: u16,
}

#[derive(Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    count: u64,
}

impl Log {
    pub fn add(&mut self, mut entry: Entry) {
        self.count += 1;
        entry.number = self.count;
        for secret in ["authorization", "cookie", "x-api-key"] {
            if let Some(value) = entry.headers.get_mut(secret) {
                *value = Value::from("…");
            }
        }
        for secret in ["client_secret", "refresh_token", "code"] {
            if let Some(value) =
                entry.body.get_mut(secret).filter(|_| entry.operation.is_empty() || entry.path.contains("token"))
            {
                *value = Value::from("…");
            }
        }
        let length = entry.body.to_string().len();
        if length > BODY_MAX {
            entry.body = Value::from(format!("… {length} bytes"));
        }
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}
