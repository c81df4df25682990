//! Spans in the bytes that a collector reads: OTLP's `ExportTraceServiceRequest` in Protocol Buffers.
//!
//! The numbers are those of `opentelemetry/proto/trace/v1/trace.proto`.

use super::spans::{Attribute, Happening, Span, Value, Verdict};

/// The whole message: what tells, and its spans.
pub(super) fn request(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let mut of = Message::default();
    for (name, value) in resource {
        of.inside(1, &attribute(name, &Value::Text(value.clone())));
    }
    let mut scope = Message::default();
    scope.text(1, env!("CARGO_PKG_NAME"));
    scope.text(2, env!("CARGO_PKG_VERSION"));
    let mut scoped = Message::default();
    scoped.inside(1, &scope);
    for one in spans {
        scoped.inside(2, &span(one));
    }
    let mut resource = Message::default();
    resource.inside(1, &of);
    resource.inside(2, &scoped);
    let mut request = Message::default();
    request.inside(1, &resource);
    request.0
}

fn span(span: &Span) -> Message {
    let mut message = Message::default();
    message.bytes(1, &span.trace);
    message.bytes(2, &span.id);
    if let Some(parent) = &span.parent {
        message.bytes(4, parent);
    }
    message.text(5, &span.name);
    message.number(6, span.kind as u64);
    message.instant(7, span.from_ms);
    message.instant(8, span.until_ms);
    attributes(&mut message, 9, &span.attributes);
    for happening in &span.happenings {
        message.inside(11, &event(happening));
    }
    if span.verdict != Verdict::Unset {
        let mut status = Message::default();
        // Without a message: it could hold what a vendor said.
        status.number(3, span.verdict as u64);
        message.inside(15, &status);
    }
    message
}

fn event(happening: &Happening) -> Message {
    let mut message = Message::default();
    message.instant(1, happening.at_ms);
    message.text(2, happening.name);
    attributes(&mut message, 3, &happening.attributes);
    message
}

fn attributes(message: &mut Message, field: u64, all: &[Attribute]) {
    for (name, value) in all {
        message.inside(field, &attribute(name, value));
    }
}

fn attribute(name: &str, value: &Value) -> Message {
    let mut any = Message::default();
    match value {
        Value::Text(text) => any.text(1, text),
        Value::Number(number) => any.number(3, *number),
    }
    let mut message = Message::default();
    message.text(1, name);
    message.inside(2, &any);
    message
}

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.varint(field << 3);
        self.varint(number);
    }

    /// Nanoseconds since 1970, of a fixed length.
    fn instant(&mut self, field: u64, ms: i64) {
        self.varint(field << 3 | 1);
        let nanoseconds = u64::try_from(ms).unwrap_or_default().saturating_mul(1_000_000);
        self.0.extend(nanoseconds.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn inside(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }
}
