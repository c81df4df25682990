//! A signature in a header: by which key, over what, and how it is written.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::expr::Expr;

/// A signature over what was sent.
#[derive(Debug)]
pub struct Signature {
    pub algorithm: Algorithm,
    /// One of them must fit: while a key is changed, there are two.
    pub keys: Vec<Expr>,
    /// What a signature begins with, such as `sha256=`.
    pub prefix: String,
    pub encoding: Encoding,
    /// The header's value is a list of `name=value`, and this is the name of the signatures.
    pub part: Option<String>,
    pub signed: Signed,
    /// Where `{timestamp}` stands.
    pub timestamp: Option<Stands>,
    /// How far the timestamp may be from now.
    pub within: Duration,
    /// The header that holds `{id}`.
    pub id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Ed25519,
    /// PKCS#1 v1.5.
    RsaSha256,
    HmacSha256,
}

impl Algorithm {
    /// Is it verified with a key that anyone may know?
    pub fn is_public(self) -> bool {
        self != Algorithm::HmacSha256
    }
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Hex,
    Base64,
}

impl Encoding {
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode(bytes),
            Encoding::Base64 => STANDARD.encode(bytes),
        }
    }

    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        }
    }
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// In a header of its own.
    Header(String),
    /// In the header of the signature, under this name.
    Part(String),
}

/// What is signed: a text with holes, such as `{timestamp}.{body}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hole(Hole),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hole {
    /// The raw body.
    Body,
    /// As the sender wrote it.
    Timestamp,
    Id,
    /// As the sender called it.
    Host,
    /// With the query.
    Path,
}

impl Hole {
    pub const WORDS: [&str; 5] = ["body", "timestamp", "id", "host", "path"];

    fn of(word: &str) -> Option<Hole> {
        Some(match word {
            "body" => Hole::Body,
            "timestamp" => Hole::Timestamp,
            "id" => Hole::Id,
            "host" => Hole::Host,
            "path" => Hole::Path,
            _ => return None,
        })
    }
}

impl Signed {
    /// The body alone.
    pub fn body() -> Signed {
        Signed(vec![Piece::Hole(Hole::Body)])
    }

    /// # Errors
    /// All holes that are none, as written.
    pub fn parse(text: &str) -> Result<Signed, Vec<String>> {
        let (mut pieces, mut unknown, mut rest) = (Vec::new(), Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            pieces.push(Piece::Text(before.to_owned()));
            let Some((word, behind)) = after.split_once('}') else {
                unknown.push(format!("{{{after}"));
                return Err(unknown);
            };
            match Hole::of(word) {
                Some(hole) => pieces.push(Piece::Hole(hole)),
                None => unknown.push(format!("{{{word}}}")),
            }
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        if unknown.is_empty() { Ok(Signed(pieces)) } else { Err(unknown) }
    }

    pub fn has(&self, hole: Hole) -> bool {
        self.0.contains(&Piece::Hole(hole))
    }

    /// The bytes that are signed. None if one of the values is not there.
    pub fn bytes(&self, value: impl Fn(Hole, &mut Vec<u8>) -> Option<()>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => bytes.extend_from_slice(text.as_bytes()),
                Piece::Hole(hole) => value(*hole, &mut bytes)?,
            }
        }
        Some(bytes)
    }
}
