//! Public keys as vendors publish them: base64 of a SubjectPublicKeyInfo. The lines of a PEM around it do no harm.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::pkcs8::spki::SubjectPublicKeyInfoRef;
use ed25519_dalek::pkcs8::spki::der::asn1::UintRef;
use ed25519_dalek::pkcs8::spki::der::{Decode as _, Reader as _, SliceReader};
use ed25519_dalek::pkcs8::{DecodePublicKey as _, ObjectIdentifier};

/// `rsaEncryption` (RFC 8017, appendix C).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Bits of an RSA key. A shorter one can be broken, a longer one takes too long.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// An Ed25519 key; also as its 32 bytes alone.
pub fn ed25519_key(text: &str) -> Option<VerifyingKey> {
    let bytes = bytes(text)?;
    match bytes.as_slice().try_into() {
        Ok(raw) => VerifyingKey::from_bytes(raw).ok(),
        Err(_) => VerifyingKey::from_public_key_der(&bytes).ok(),
    }
}

/// An RSA key: its RSAPublicKey (RFC 8017, appendix A.1.1).
pub fn rsa_key(text: &str) -> Option<Vec<u8>> {
    let bytes = bytes(text)?;
    let info = SubjectPublicKeyInfoRef::try_from(bytes.as_slice()).ok()?;
    let key = info.subject_public_key.as_bytes().filter(|_| info.algorithm.oid == RSA)?;
    let mut reader = SliceReader::new(key).ok()?;
    let modulus = reader.sequence(|parts| {
        let modulus = UintRef::decode(parts)?;
        UintRef::decode(parts).map(|_| modulus)
    });
    let modulus = modulus.ok()?.as_bytes();
    let zeros = modulus.first()?.leading_zeros() as usize;
    RSA_BITS.contains(&(modulus.len() * 8 - zeros)).then(|| key.to_vec())
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let bare = text.lines().filter(|line| !line.trim().starts_with("-----"));
    let bare: String = bare.flat_map(str::split_whitespace).collect();
    STANDARD.decode(bare).ok()
}
