//! From a request as data to one that can be sent: every check that needs no network, and the credential.

use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use url::Url;

use super::{Credential, Error};
use crate::connector::{Body, Letter, Request, Signer};

/// A request that is ready, and its URL as it may be shown: without query, user and fragment.
///
/// Not `Debug`: the URL may hold a credential.
pub(super) struct Prepared {
    pub request: reqwest::Request,
    pub shown: String,
}

const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Headers that say how a message is framed or whom it is for: the transport writes them.
const OURS: [&str; 9] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// # Errors
/// [`Error::Refused`]: it must never be sent as it is.
pub(super) fn prepare(request: &Request, credential: Option<&Credential>) -> Result<Prepared, Error> {
    let mut url = Url::parse(&request.url).map_err(|error| refused(format!("the URL cannot be read: {error}")))?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(refused("only https URLs are called"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("a URL must not hold a user or password"));
    }
    url.set_fragment(None);
    let origin = url.origin().ascii_serialization();
    let shown = format!("{origin}{}", url.path());

    let method = METHODS
        .into_iter()
        .find(|method| method.as_str() == request.method)
        .ok_or_else(|| refused("the method is none of GET HEAD POST PUT PATCH DELETE OPTIONS"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.append(header_name(name)?, header_value(name, value)?);
    }
    let body = request.body.as_ref().map(Body::encoded);
    match &body {
        // Of a form in parts the boundary belongs to the kind.
        Some((kind, _)) if matches!(request.body, Some(Body::Multipart(_))) => {
            headers.insert(CONTENT_TYPE, header_value("content-type", kind)?);
        }
        Some((kind, _)) => {
            headers.entry(CONTENT_TYPE).or_insert(header_value("content-type", kind)?);
        }
        // RFC 9110 8.6; some servers refuse a POST that does not say it.
        None if matches!(method, Method::POST | Method::PUT | Method::PATCH) => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        None => {}
    }
    if let Some(credential) = credential {
        attach(credential, &origin, &mut url, &mut headers)?;
        if let Some(signer) = &credential.signer {
            let bytes = body.as_ref().map_or(&[][..], |(_, bytes)| bytes);
            let body = std::str::from_utf8(bytes)
                .map_err(|_| refused("a file that is no text cannot be part of a request that is signed"))?;
            sign(signer, &method, &mut url, &mut headers, body)?;
        }
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));

    let mut ready = reqwest::Request::new(method, url);
    *ready.headers_mut() = headers;
    *ready.body_mut() = body.map(|(_, bytes)| bytes.into());
    Ok(Prepared { request: ready, shown })
}

fn attach(credential: &Credential, origin: &str, url: &mut Url, headers: &mut HeaderMap) -> Result<(), Error> {
    // It may be written in another way.
    if credential.origin != origin {
        let its =
            Url::parse(&credential.origin).map_err(|_| refused("the credential's origin cannot be read"))?.origin();
        if !its.is_tuple() || its != url.origin() {
            return Err(refused(format!("the credential is for {}, not for {origin}", its.ascii_serialization())));
        }
    }
    for (name, value) in &credential.headers {
        let mut value = header_value(name, value.expose_secret())?;
        value.set_sensitive(true);
        // Takes the place of whatever the request brought along under this name.
        headers.insert(header_name(name)?, value);
    }
    for (name, value) in &credential.query {
        url.query_pairs_mut().append_pair(name, value.expose_secret());
    }
    Ok(())
}

/// Signs what is sent, exactly as it is sent; nothing changes it afterwards.
fn sign(signer: &Signer, method: &Method, url: &mut Url, headers: &mut HeaderMap, body: &str) -> Result<(), Error> {
    let host = url.host_str().unwrap_or_default();
    let texts =
        headers.iter().filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let mut letter = Letter {
        method: method.to_string(),
        host: url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
        path: url.path().to_owned(),
        query: url.query().unwrap_or_default().to_owned(),
        headers: texts.collect(),
        body: body.to_owned(),
    };
    let moment = signer.moment(chrono::Utc::now(), uuid::Uuid::new_v4().to_string());
    signer.sign(&mut letter, &moment).map_err(refused)?;
    if !letter.query.is_empty() {
        url.set_query(Some(&letter.query));
    }
    for (name, value) in &letter.headers {
        if headers.get(name).is_some_and(|known| known.as_bytes() == value.as_bytes()) {
            continue;
        }
        let mut value = header_value(name, value)?;
        value.set_sensitive(true);
        headers.insert(header_name(name)?, value);
    }
    Ok(())
}

fn header_name(name: &str) -> Result<HeaderName, Error> {
    let read = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused("a header's name cannot be read"))?;
    if OURS.contains(&read.as_str()) || read.as_str().starts_with("proxy-") {
        return Err(refused(format!("the header {read} is not to be given")));
    }
    Ok(read)
}

/// The value itself is never told: it may be a secret.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, Error> {
    let bad = || refused(format!("the value of header {name} holds a control character"));
    if value.chars().any(char::is_control) {
        return Err(bad());
    }
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())
}

fn refused(what: impl Into<String>) -> Error {
    Error::Refused(what.into())
}
