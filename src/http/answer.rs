//! Reads an answer within bounds: its size is counted after unpacking, as it arrives, and never believed beforehand.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use super::client::{Bounds, classify};
use super::{Error, Hidden};
use crate::connector::Response;

/// Below this size an unpacked body is harmless whatever its ratio; short repetitive lists pack well.
const RATIO_FROM: usize = 256 * 1024;
/// A parsed value costs far more memory than its text (`[0,0,0…`).
const VALUES_MAX: usize = 1_000_000;

/// An answer as it came, unpacked.
pub struct Received {
    pub status: u16,
    pub bytes: Vec<u8>,
    headers: HeaderMap,
}

/// # Errors
/// Those of [`receive`], and [`Error::TooBig`] if it holds too many values.
pub(super) async fn read(
    response: reqwest::Response,
    bounds: &Bounds,
    hidden: &Hidden,
    shown: &str,
) -> Result<Response, Error> {
    let Received { status, bytes, headers } = receive(response, bounds, shown).await?;
    // Each value is at least a byte: what is short need not be counted.
    if bytes.len() > VALUES_MAX && looks_like_json(&headers, &bytes) && structure(&bytes) > VALUES_MAX {
        return Err(Error::TooBig(format!("{shown}: it holds too many values")));
    }
    let (mut body, not_kept) = match binary(&headers, &bytes) {
        Some(what) => (Value::Null, Some(what)),
        None => (body(&headers, &bytes), None),
    };
    if hidden.may_be_in(&bytes) {
        hidden.hide(&mut body);
    }
    let mut headers = listed(&headers);
    headers.iter_mut().for_each(|(_, value)| hidden.hide_text(value));
    Ok(Response { status, headers, body, not_kept })
}

/// # Errors
/// [`Error::TooBig`] above a bound, [`Error::NoAnswer`] if it breaks off, takes too long or cannot be unpacked.
pub(super) async fn receive(mut response: reqwest::Response, bounds: &Bounds, shown: &str) -> Result<Received, Error> {
    let too_big = |what: &str| Error::TooBig(format!("{shown}: {what}"));
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > bounds.headers_max {
        return Err(too_big("headers"));
    }
    let mut unpack = Unpack::new(&headers, bounds.body_max)
        .ok_or_else(|| Error::NoAnswer(format!("{shown}: its encoding is none that was asked for")))?;
    let mut received = 0_usize;
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error, shown))? {
        received = received.saturating_add(chunk.len());
        let written = unpack.write(&chunk);
        let kept = unpack.kept();
        if kept.overflown {
            return Err(too_big("body"));
        }
        if kept.bytes.len() > RATIO_FROM && kept.bytes.len() / bounds.ratio_max > received {
            return Err(too_big("it grows too much when unpacked"));
        }
        written.map_err(|_| broken(shown))?;
    }
    let bytes = unpack.finish(received).map_err(|_| broken(shown))?;
    Ok(Received { status, bytes, headers })
}

fn broken(shown: &str) -> Error {
    Error::NoAnswer(format!("{shown}: the body cannot be unpacked"))
}

/// The body as it is, or through gzip.
enum Unpack {
    Plain(Kept),
    Gzip(Box<MultiGzDecoder<Kept>>),
}

/// Holds what was unpacked, up to a bound.
struct Kept {
    bytes: Vec<u8>,
    max: usize,
    overflown: bool,
}

impl Write for Kept {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > self.max {
            self.overflown = true;
            return Err(io::Error::other("too big"));
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unpack {
    /// None for an encoding that we did not ask for.
    fn new(headers: &HeaderMap, max: usize) -> Option<Unpack> {
        let kept = Kept { bytes: Vec::new(), max, overflown: false };
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.as_bytes().trim_ascii());
        match (encodings.next(), encodings.next()) {
            (None, None) => Some(Unpack::Plain(kept)),
            (Some(one), None) if one.is_empty() || one.eq_ignore_ascii_case(b"identity") => Some(Unpack::Plain(kept)),
            (Some(one), None) if one.eq_ignore_ascii_case(b"gzip") || one.eq_ignore_ascii_case(b"x-gzip") => {
                Some(Unpack::Gzip(Box::new(MultiGzDecoder::new(kept))))
            }
            _ => None,
        }
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Unpack::Plain(kept) => kept.write_all(chunk),
            Unpack::Gzip(decoder) => {
                decoder.write_all(chunk)?;
                // Hands on all it can, so that the count is true after each chunk.
                decoder.flush()
            }
        }
    }

    fn kept(&self) -> &Kept {
        match self {
            Unpack::Plain(kept) => kept,
            Unpack::Gzip(decoder) => decoder.get_ref(),
        }
    }

    /// Fails if the packed body was cut short. No body at all, as of a 204, is fine.
    fn finish(self, received: usize) -> io::Result<Vec<u8>> {
        match self {
            Unpack::Plain(kept) => Ok(kept.bytes),
            Unpack::Gzip(_) if received == 0 => Ok(Vec::new()),
            Unpack::Gzip(decoder) => Ok(decoder.finish()?.bytes),
        }
    }
}

fn listed(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| **name != CONTENT_ENCODING && **name != CONTENT_LENGTH)
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

/// JSON if it says so or looks so, else text; nothing is null.
fn body(headers: &HeaderMap, bytes: &[u8]) -> Value {
    if bytes.trim_ascii().is_empty() {
        return Value::Null;
    }
    if looks_like_json(headers, bytes)
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return value;
    }
    Value::String(String::from_utf8_lossy(bytes).into_owned())
}

/// A body that is neither JSON nor text, in words: an image, a PDF, what is no UTF-8.
fn binary(headers: &HeaderMap, bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() || looks_like_json(headers, bytes) {
        return None;
    }
    let said = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let says_so = ["image/", "audio/", "video/", "font/"].iter().any(|family| kind.starts_with(family))
        || matches!(kind.as_str(), "application/octet-stream" | "application/pdf" | "application/zip");
    let is_text = kind.starts_with("text/") || std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
    if !says_so && is_text {
        return None;
    }
    let kind: String = kind.chars().filter(|letter| letter.is_ascii_graphic()).take(100).collect();
    let kind = if kind.is_empty() { "something that is no text".to_owned() } else { kind };
    Some(format!("{kind} ({} bytes)", bytes.len()))
}

fn looks_like_json(headers: &HeaderMap, bytes: &[u8]) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    said.to_ascii_lowercase().contains("json") || matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// How many values a JSON text can hold at most: its separators and brackets outside of texts.
fn structure(bytes: &[u8]) -> usize {
    let (mut count, mut in_text, mut escaped) = (0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => count += 1,
            _ => {}
        }
    }
    count
}
