//! A caller's place in a trace, as the header `traceparent` tells it: W3C Trace Context, section 3.2.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `00-<trace>-<span>-<flags>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Traceparent {
    pub trace: [u8; 16],
    pub span: [u8; 8],
    pub flags: u8,
}

/// The flag that says that the caller tells a collector of this trace.
const SAMPLED: u8 = 1;

impl Traceparent {
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED == SAMPLED
    }
}

/// It is no `traceparent` that could be read, and counts as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no valid traceparent")]
pub struct Invalid;

impl FromStr for Traceparent {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut parts = text.splitn(5, '-');
        let mut part = || parts.next().ok_or(Invalid);
        let [version] = bytes(part()?)?;
        let (trace, span, [flags]) = (bytes(part()?)?, bytes(part()?)?, bytes(part()?)?);
        // Version 255 is forbidden; what later versions add is not for us, and version 0 adds nothing.
        let is_known = version != u8::MAX && (version > 0 || parts.next().is_none());
        let is_meant = trace != [0; 16] && span != [0; 8];
        if is_known && is_meant { Ok(Self { trace, span, flags }) } else { Err(Invalid) }
    }
}

/// So many bytes, each of two small hexadecimal digits.
fn bytes<const N: usize>(text: &str) -> Result<[u8; N], Invalid> {
    let is_digit = |letter: u8| matches!(letter, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 2 * N || !text.bytes().all(is_digit) {
        return Err(Invalid);
    }
    let mut read = [0; N];
    for (index, byte) in read.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| Invalid)?;
    }
    Ok(read)
}

impl fmt::Display for Traceparent {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (u128::from_be_bytes(self.trace), u64::from_be_bytes(self.span));
        write!(to, "00-{trace:032x}-{span:016x}-{:02x}", self.flags)
    }
}

impl From<Traceparent> for String {
    fn from(traceparent: Traceparent) -> String {
        traceparent.to_string()
    }
}

impl TryFrom<String> for Traceparent {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_valid_is_read_and_written_as_it_was() {
        let read: Traceparent = CALLER.parse().unwrap();
        assert_eq!((read.trace[0], read.span[7], read.is_sampled()), (0x4b, 0xb7, true));
        assert_eq!(read.to_string(), CALLER);
        let unsampled: Traceparent = CALLER.replace("-01", "-02").parse().unwrap();
        assert!(!unsampled.is_sampled());
        // A later version may say more; what is known of it is read.
        let later = CALLER.replacen("00-", "cc-", 1) + "-what-the-future-brings";
        assert_eq!(later.parse(), Ok(read));
    }

    #[test]
    fn what_is_not_valid_counts_as_absent() {
        let bad = [
            "".to_owned(),
            "00".to_owned(),
            CALLER.replacen("00-", "ff-", 1),
            CALLER.to_uppercase(),
            format!("{CALLER}-more"),
            format!("{CALLER}-"),
            CALLER.replacen("00-", "cc-", 1) + ".more",
            CALLER.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            CALLER.replace("00f067aa0ba902b7", &"0".repeat(16)),
            CALLER.replace("4bf9", "+bf9"),
            CALLER.replace("4bf9", "ä9"),
            CALLER.replace("-01", "-1"),
        ];
        for text in bad {
            assert_eq!(text.parse::<Traceparent>(), Err(Invalid), "{text}");
        }
    }
}
