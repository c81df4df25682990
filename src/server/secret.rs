//! What only its owner knows, and the hash by which we know it again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers: {0}")]
pub struct NoRandom(getrandom::Error);

/// 256 random bits, as a text that may stand in a URL.
///
/// # Errors
/// The system gives no random numbers.
pub fn secret() -> Result<Zeroizing<String>, NoRandom> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut()).map_err(NoRandom)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_ref())))
}

/// SHA-256, in hex. It needs no salt: nobody guesses 256 bits.
pub fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// A token as its owner keeps it: it says its own number, so that it is looked up by that and compared in constant time.
pub fn token(number: i64, secret: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("dovetail_{number}_{secret}"))
}

/// The number and the secret part of a token.
pub fn parts(token: &str) -> Option<(i64, &str)> {
    let (number, secret) = token.strip_prefix("dovetail_")?.split_once('_')?;
    let is_number = !number.is_empty() && number.len() <= 18 && number.bytes().all(|byte| byte.is_ascii_digit());
    Some((number.parse().ok().filter(|_| is_number)?, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is_one() {
        let secret = secret().unwrap();
        assert_eq!(secret.len(), 43);
        assert_eq!(parts(&token(7, &secret)), Some((7, secret.as_str())));
        for wrong in ["", "dovetail_", "dovetail__x", "dovetail_-1_x", "dovetail_+1_x", "dovetail_1", "x_1_y"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
        assert_eq!(parts("dovetail_9999999999999999999999_x"), None);
    }
}
