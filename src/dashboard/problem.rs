//! What is said when something is refused or fails: RFC 9457 to programs, a page to people. Nothing of the inside is told.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::store;

#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// What is wrong and what now, for whoever asked.
    pub detail: String,
    /// By this it is found in the log.
    pub id: String,
    /// When it may be asked again, in seconds.
    pub retry_after: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), id: Uuid::new_v4().to_string(), retry_after: None }
    }

    /// What was asked is malformed.
    pub fn bad(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn unknown(what: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, format!("there is no {what} of this name"))
    }

    /// It is no longer, or not yet, in a state in which this can be done.
    pub fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, detail)
    }

    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Problem")
    }

    pub fn as_value(&self) -> Value {
        json!({
            "type": "about:blank", "title": self.title(), "status": self.status.as_u16(), "detail": self.detail,
            "id": self.id,
        })
    }

    pub fn as_json(&self) -> Response {
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        self.finish((self.status, kind, self.as_value().to_string()).into_response())
    }

    /// With what belongs to the status.
    pub fn finish(&self, mut response: Response) -> Response {
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Problem {
        let (status, detail, retry_after) = match &error {
            store::Error::Ambiguous { .. } => (StatusCode::BAD_REQUEST, error.to_string(), None),
            store::Error::Refused(why) => (StatusCode::CONFLICT, why.clone(), None),
            store::Error::Busy | store::Error::Full => {
                (StatusCode::SERVICE_UNAVAILABLE, "there is no room to write it down just now".into(), Some(30))
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "it failed; the log tells why, under this id".into(), None),
        };
        let problem = Problem { retry_after, ..Problem::new(status, detail) };
        if status.is_server_error() {
            tracing::error!(id = problem.id, %error, "a request to the dashboard failed");
        }
        problem
    }
}
