//! `page: { last: PATH }`: pages are numbered; the request says `$.page.number`.

use serde_json::{Map, Value};

use super::NumberWritten;
use crate::connector::read::{Reader, under};
use crate::connector::{Page, Response};
use crate::expr::Path;

/// How pages are numbered.
#[derive(Debug)]
pub(super) struct Numbers {
    first: u64,
    last: Option<Path>,
    count: Option<Path>,
    size: Option<u64>,
}

pub(super) fn read(reader: &mut Reader<'_>, pointer: &str, written: Option<&NumberWritten>) -> Numbers {
    let mut path = |key: &str, text: Option<&String>| text.and_then(|text| reader.path(&under(pointer, key), text));
    Numbers {
        first: written.and_then(|number| number.first).unwrap_or(1),
        last: path("last", written.and_then(|number| number.last.as_ref())),
        count: path("count", written.and_then(|number| number.count.as_ref())),
        size: written.and_then(|number| number.size),
    }
}

impl Numbers {
    pub fn root(&self, root: &mut Map<String, Value>, page: &Page) {
        root.insert("number".into(), Value::from(self.number(page)));
        if let Some(size) = self.size {
            root.insert("size".into(), Value::from(size));
        }
    }

    pub fn paths(&self) -> Vec<&Path> {
        self.last.iter().chain(&self.count).collect()
    }

    /// The number of the next page, if there is one.
    pub fn next(&self, page: &Page, response: &Response) -> Option<Value> {
        let next = self.number(page).saturating_add(1);
        let told = |path: &Option<Path>| whole(&path.as_ref()?.get_in(&response.body)?);
        let past_last = told(&self.last).is_some_and(|last| next > last);
        let past_count = told(&self.count).is_some_and(|count| next >= self.first.saturating_add(count));
        (!past_last && !past_count).then(|| Value::from(next))
    }

    fn number(&self, page: &Page) -> u64 {
        page.next.as_ref().and_then(Value::as_u64).unwrap_or(self.first)
    }
}

/// Some APIs count in texts.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
}
