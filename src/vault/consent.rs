//! The way over a person's browser (RFC 6749, 4.1; PKCE, RFC 7636): there with a state that is used once, back with a code.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::grant::Account;
use crate::connector::OAuth2;

/// One try to connect, from the link until the person comes back.
pub struct Consent {
    /// Where the person goes.
    pub url: String,
    redirect_uri: String,
    /// Only its hash is kept: who reads our memory cannot finish the try.
    state: [u8; 32],
    verifier: Option<Zeroizing<String>>,
}

impl Consent {
    /// # Errors
    /// The connector names no place where a person agrees, or it is no address; in words.
    pub fn begin(account: &Account, oauth2: &OAuth2, redirect_uri: &str) -> Result<Consent, String> {
        let place =
            account.authorize_url.as_ref().ok_or("its connector has no `authorize_url`: nobody needs to agree")?;
        let mut url = url::Url::parse(place).map_err(|error| format!("`authorize_url`: {error}"))?;
        let state = random().map_err(|error| error.to_string())?;
        let verifier = if oauth2.pkce { Some(random().map_err(|error| error.to_string())?) } else { None };
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code");
        query.append_pair("client_id", &account.client_id);
        query.append_pair("redirect_uri", redirect_uri);
        if !oauth2.scopes.is_empty() {
            query.append_pair("scope", &oauth2.scopes.join(" "));
        }
        query.append_pair("state", &state);
        if let Some(verifier) = &verifier {
            query.append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())));
            query.append_pair("code_challenge_method", "S256");
        }
        for (name, value) in &oauth2.query {
            query.append_pair(name, value);
        }
        drop(query);
        let state = Sha256::digest(state.as_bytes()).into();
        Ok(Consent { url: url.into(), redirect_uri: redirect_uri.to_owned(), state, verifier })
    }

    /// Is this the state that the link was given?
    pub fn is_of(&self, state: &str) -> bool {
        self.state.as_slice().ct_eq(Sha256::digest(state.as_bytes()).as_slice()).into()
    }

    /// The fields that turn a code into a grant.
    pub(super) fn fields<'a>(&'a self, code: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut fields =
            vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", self.redirect_uri.as_str())];
        fields.extend(self.verifier.as_ref().map(|verifier| ("code_verifier", verifier.as_str())));
        fields
    }
}

/// 256 bits that nobody guesses.
fn random() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    getrandom::fill(bytes.as_mut())?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_ref())))
}
