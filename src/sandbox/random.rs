//! Ids and jitter from the seed: the same seed and the same requests give the same ids.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A stream of bytes: SHA-256 of the seed and a counter.
#[derive(Debug)]
pub struct Random {
    seed: u64,
    counter: u64,
    left: Vec<u8>,
}

/// How ids look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdForm {
    Alphanumeric(usize),
    Hex(usize),
    Uuid,
    Number,
}

impl IdForm {
    /// `alphanumeric-20`, `hex-24`, `uuid`, `number`.
    pub fn read(text: &str) -> Option<IdForm> {
        let (kind, length) = text.split_once('-').unwrap_or((text, ""));
        let length = length.parse::<usize>().ok().filter(|length| (4..=64).contains(length));
        match (kind, length) {
            ("alphanumeric", Some(length)) => Some(IdForm::Alphanumeric(length)),
            ("hex", Some(length)) => Some(IdForm::Hex(length)),
            ("uuid", None) => Some(IdForm::Uuid),
            ("number", None) => Some(IdForm::Number),
            _ => None,
        }
    }
}

impl Random {
    pub fn new(seed: u64) -> Random {
        Random { seed, counter: 0, left: Vec::new() }
    }

    /// A key of 32 bytes that depends on the seed and a word alone.
    pub fn key(seed: u64, word: &str) -> [u8; 32] {
        Sha256::new().chain_update(seed.to_be_bytes()).chain_update(word).finalize().into()
    }

    fn byte(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.left.pop() {
                return byte;
            }
            let block = Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(self.counter.to_be_bytes());
            self.counter += 1;
            self.left = block.finalize().to_vec();
        }
    }

    pub fn id(&mut self, form: IdForm) -> String {
        match form {
            IdForm::Alphanumeric(length) => {
                self.letters(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
            }
            IdForm::Hex(length) => self.letters(length, b"0123456789abcdef"),
            IdForm::Uuid => self.uuid(),
            IdForm::Number => format!("{}{}", 1 + self.byte() % 9, self.letters(7, b"0123456789")),
        }
    }

    pub fn uuid(&mut self) -> String {
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            *byte = self.byte();
        }
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .hyphenated()
            .encode_lower(&mut Uuid::encode_buffer())
            .to_owned()
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        f64::from(u16::from_be_bytes([self.byte(), self.byte()])) / f64::from(u16::MAX)
    }

    fn letters(&mut self, length: usize, alphabet: &[u8]) -> String {
        (0..length).map(|_| char::from(alphabet[usize::from(self.byte()) % alphabet.len()])).collect()
    }
}
