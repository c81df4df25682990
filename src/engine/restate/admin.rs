//! What Restate says of itself, and what an administrator may change: for commands, and at the start and the end, never for runs.
//!
//! The paths and columns are those of docs.restate.dev: "Introspection" (`POST /query`), "Modify service state".

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::ingress::{Door, Ingress};
use super::objects::LINE;
use crate::store::{Error, told};

/// One value that an object keeps.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Row {
    pub service_key: String,
    pub key: String,
    pub value_utf8: Option<String>,
}

impl Row {
    pub fn text(&self) -> &[u8] {
        self.value_utf8.as_deref().unwrap_or_default().as_bytes()
    }

    /// # Errors
    /// `Unreadable`.
    pub fn value<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_slice(self.text())?)
    }
}

/// Calls of objects that are under way.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct UnderWay {
    pub target_service_name: String,
    pub target_handler_name: String,
    pub status: String,
    pub number: u64,
    /// Why one of them failed the last time, in words.
    pub failure: Option<String>,
}

#[derive(Deserialize)]
struct Found<T> {
    #[serde(default = "Vec::new")]
    rows: Vec<T>,
}

#[derive(Deserialize)]
struct Deployment {
    id: String,
}

#[derive(Deserialize)]
struct Count {
    number: u64,
}

/// Values that are read at once, at most.
const PAGE: usize = 2_000;

impl Ingress {
    async fn query<T: DeserializeOwned>(&self, sql: String) -> Result<Vec<T>, Error> {
        let headers = vec![("accept".to_owned(), "application/json".to_owned())];
        let asked = serde_json::to_vec(&json!({ "query": sql }))?;
        let found: Found<T> = serde_json::from_slice(&self.ask(Door::Admin, &["query"], headers, asked).await?)?;
        Ok(found.rows)
    }

    /// What Restate calls the address of an endpoint; None: it was never told of it.
    pub async fn deployment(&self, url: &str) -> Result<Option<String>, Error> {
        Ok(self.query::<Deployment>(told::deployment(url)).await?.pop().map(|found| found.id))
    }

    /// Where a service is called for what is new.
    pub async fn current(&self, service: &str) -> Result<Option<String>, Error> {
        Ok(self.query::<Deployment>(told::current(service)).await?.pop().map(|found| found.id))
    }

    /// Calls that were begun at an address, and are not over.
    pub async fn pinned(&self, deployment: &str) -> Result<u64, Error> {
        Ok(self.query::<Count>(told::pinned(deployment)).await?.pop().map_or(0, |found| found.number))
    }

    /// What is at work, or about to be, for our objects; not what is called at an instant to come.
    pub async fn under_way(&self) -> Result<Vec<UnderWay>, Error> {
        match self {
            Ingress::Network { .. } => self.query(told::under_way()).await,
            Ingress::Played(played) => Ok(played.under_way()),
        }
    }

    /// All values of the objects of a service, in the order of keys, a page at a time.
    pub fn pages<'p>(&'p self, service: &'p str) -> Pages<'p> {
        Pages { ingress: self, service, after: None, limit: PAGE }
    }

    /// The values of one name, of all objects of a service.
    pub async fn named(&self, service: &str, key: &str) -> Result<Vec<Row>, Error> {
        self.query(told::named(service, key)).await
    }

    /// Are there runs that are not over, or have failed, of this version?
    pub async fn is_begun_with(&self, hash: &str) -> Result<bool, Error> {
        Ok(self.query::<Count>(told::holding(LINE, hash)).await?.pop().is_none_or(|found| found.number > 0))
    }

    /// Runs that came to their line before an instant, and have not reached it.
    pub async fn arriving(&self, before_ms: i64) -> Result<u64, Error> {
        Ok(self.query::<Count>(told::arriving(before_ms)).await?.pop().map_or(0, |found| found.number))
    }

    /// The objects of a service that keep something.
    pub async fn objects(&self, service: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Of {
            service_key: String,
        }
        let rows: Vec<Of> = self.query(told::objects(service)).await?;
        Ok(rows.into_iter().map(|row| row.service_key).collect())
    }

    /// An object forgets what it keeps, once it is not at work.
    pub async fn clear(&self, service: &str, object: &str) -> Result<(), Error> {
        let asked = json!({ "object_key": object, "new_state": {} });
        self.ask(Door::Admin, &["services", service, "state"], Vec::new(), serde_json::to_vec(&asked)?).await.map(drop)
    }
}

/// See [`Ingress::pages`].
pub(super) struct Pages<'p> {
    ingress: &'p Ingress,
    service: &'p str,
    /// An object and a name.
    after: Option<(String, String)>,
    limit: usize,
}

impl Pages<'_> {
    /// None: there are no more.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, Error> {
        loop {
            let after = self.after.as_ref().map(|(object, key)| (object.as_str(), key.as_str()));
            match self.ingress.query::<Row>(told::values(self.service, after, self.limit)).await {
                Ok(rows) => {
                    let Some(last) = rows.last() else { return Ok(None) };
                    self.after = Some((last.service_key.clone(), last.key.clone()));
                    return Ok(Some(rows));
                }
                // Some are large: fewer at once.
                Err(_) if self.limit > 1 => self.limit = self.limit.div_ceil(8),
                Err(error) => return Err(error),
            }
        }
    }
}
