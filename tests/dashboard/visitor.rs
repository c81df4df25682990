//! Whoever visits the dashboard: a person with a browser, or a program with a token.

use std::collections::BTreeMap;

use dovetail::store::Role;
use serde_json::Value;

use crate::stage::{Serve, Stage, until};

/// An answer, read whole.
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub text: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// Sends what it is told, and follows nothing.
#[derive(Clone)]
pub struct Visitor {
    client: reqwest::Client,
    pub base: String,
    headers: Vec<(String, String)>,
}

impl Visitor {
    /// Somebody whom nobody knows.
    pub async fn of(serve: &Serve) -> Visitor {
        let found = async || {
            let said = serve.said();
            let (_, rest) = said.split_once("its dashboard is at ")?;
            Some(rest.split_once(": ")?.0.to_owned())
        };
        Visitor::at(until("the dashboard is there", found).await)
    }

    /// The same, where it is known where the dashboard is.
    pub fn at(base: String) -> Visitor {
        // Another test may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        Visitor { client: client.expect("a client"), base, headers: Vec::new() }
    }

    pub fn with(&self, name: &str, value: &str) -> Visitor {
        let mut other = self.clone();
        other.headers.retain(|(known, _)| known != name);
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    /// The same person, at another process.
    pub fn gone_to(&self, other: &Visitor) -> Visitor {
        Visitor { base: other.base.clone(), ..self.clone() }
    }

    pub fn with_token(&self, token: &str) -> Visitor {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub async fn get(&self, path: &str) -> Said {
        self.send(self.client.get(format!("{}{path}", self.base))).await
    }

    pub async fn delete(&self, path: &str) -> Said {
        self.send(self.client.delete(format!("{}{path}", self.base))).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Said {
        let request = self.client.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        self.send(request.body(body.to_string())).await
    }

    pub async fn post(&self, path: &str, kind: &str, body: Vec<u8>) -> Said {
        let request = self.client.post(format!("{}{path}", self.base)).header("content-type", kind);
        self.send(request.body(body)).await
    }

    /// A form, as a browser sends it from a page of the dashboard.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Said {
        let own = self.with("sec-fetch-site", "same-origin");
        own.send(own.client.post(format!("{}{path}", own.base)).form(fields)).await
    }

    pub fn request(&self, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.get(format!("{}{path}", self.base));
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Said {
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await.expect("the dashboard answers");
        let status = answer.status().as_u16();
        let told = answer.headers().iter();
        let headers = told.map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect();
        Said { status, headers, text: answer.text().await.expect("a text") }
    }

    /// Somebody who has signed in with this, and the proof that their forms need.
    pub async fn signed_in(&self, field: &str, secret: &str) -> (Visitor, String) {
        let said = self.submit("/sign-in", &[(field, secret)]).await;
        assert_eq!((said.status, said.header("location")), (303, "/"), "{said:?}");
        let cookie = said.header("set-cookie").split(';').next().expect("a cookie").to_owned();
        let visitor = self.with("cookie", &cookie);
        let page = visitor.get("/").await;
        assert_eq!(page.status, 200, "{page:?}");
        let (_, rest) = page.text.split_once("name=\"csrf\" value=\"").expect("a form");
        let csrf = rest.split('"').next().expect("a value").to_owned();
        (visitor, csrf)
    }
}

/// Makes a token of this right, beside `serve` or before it.
pub fn token(stage: &Stage, role: Role) -> String {
    let (code, said) = plain(stage, &["token", "create", "--role", role.word(), "--name", "ada"]);
    assert_eq!(code, Some(0), "{said}");
    said.lines().next().expect("a token").to_owned()
}

/// The code of a link for somebody of this right.
pub fn code(stage: &Stage, role: Role) -> String {
    let (code, said) = plain(stage, &["dashboard", "--role", role.word()]);
    assert_eq!(code, Some(0), "{said}");
    let link = said.lines().next().expect("a link");
    link.split_once("/sign-in?code=").expect("a code").1.to_owned()
}

/// A command that looks at the store, or asks whoever serves it.
pub fn plain(stage: &Stage, words: &[&str]) -> (Option<i32>, String) {
    let mut command = crate::stage::command();
    command.args(words).arg("--project").arg(stage.project()).arg("--data").arg(stage.data());
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}
