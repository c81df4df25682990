//! Sealing: XChaCha20-Poly1305, with the credential's name and version as associated data, so that no row can be put in
//! another's place, nor an old one back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::store::Sealed;

const NONCE: usize = 24;
/// Keys in one file: the present one, and those that older seals were made with.
const KEYS_MAX: usize = 10;

/// What is wrong with a key, or with what it should open. Says nothing of either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("line {0} is no key: it must hold 32 bytes in base64")]
    Malformed(usize),
    #[error("there is no key")]
    Missing,
    #[error("there are more than {KEYS_MAX} keys")]
    TooMany,
    /// The seal was made with a key that is not among ours.
    #[error("`{name}` was sealed with another key ({key_id})")]
    Other { name: String, key_id: String },
    /// Our key, and it does not open: somebody has changed or moved it.
    #[error("the credential of `{0}` is damaged, or was moved here from elsewhere")]
    Damaged(String),
}

struct Key {
    /// Tells keys apart, and gives nothing away of them.
    id: String,
    bytes: Zeroizing<[u8; 32]>,
}

/// The first seals, all of them open.
pub struct Keys(Vec<Key>);

impl Keys {
    /// One key per line: 32 bytes in base64. The first is the present one. Blank lines and those with `#` are passed by.
    ///
    /// # Errors
    /// No key, too many, or a line that is none.
    pub fn read(text: &str) -> Result<Keys, KeyError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let decoded = STANDARD.decode(line).map(Zeroizing::new).map_err(|_| KeyError::Malformed(index + 1))?;
            let bytes: [u8; 32] = decoded.as_slice().try_into().map_err(|_| KeyError::Malformed(index + 1))?;
            let hash = Sha256::new().chain_update(b"dovetail key id").chain_update(bytes).finalize();
            keys.push(Key { id: hex::encode(&hash[..4]), bytes: Zeroizing::new(bytes) });
        }
        match keys.len() {
            0 => Err(KeyError::Missing),
            many if many > KEYS_MAX => Err(KeyError::TooMany),
            _ => Ok(Keys(keys)),
        }
    }

    /// A new key, as a line of its file.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Zeroizing<String>, getrandom::Error> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        getrandom::fill(bytes.as_mut())?;
        Ok(Zeroizing::new(STANDARD.encode(bytes.as_ref())))
    }

    /// The id of the key that seals.
    pub fn id(&self) -> &str {
        &self.0[0].id
    }

    /// Closes a text; gives the bytes to keep beside [`Keys::id`].
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn seal(&self, name: &str, version: u64, plain: &[u8]) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce)?;
        let cipher = XChaCha20Poly1305::new(self.0[0].bytes.as_ref().into());
        let bound = bound(name, version);
        let payload = Payload { msg: plain, aad: bound.as_bytes() };
        let closed = cipher.encrypt(XNonce::from_slice(&nonce), payload).expect("it is shorter than 256 GiB");
        Ok([nonce.as_slice(), &closed].concat())
    }

    /// Opens what is kept.
    ///
    /// # Errors
    /// `Other` or `Damaged`.
    pub(super) fn open(&self, name: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let key = self.0.iter().find(|key| key.id == sealed.key_id);
        let key = key.ok_or_else(|| KeyError::Other { name: name.to_owned(), key_id: sealed.key_id.clone() })?;
        let damaged = || KeyError::Damaged(name.to_owned());
        let (nonce, closed) = sealed.bytes.split_at_checked(NONCE).ok_or_else(damaged)?;
        let cipher = XChaCha20Poly1305::new(key.bytes.as_ref().into());
        let bound = bound(name, sealed.version);
        let payload = Payload { msg: closed, aad: bound.as_bytes() };
        cipher.decrypt(XNonce::from_slice(nonce), payload).map(Zeroizing::new).map_err(|_| damaged())
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

fn bound(name: &str, version: u64) -> String {
    format!("dovetail/credentials/{name}/{version}")
}
