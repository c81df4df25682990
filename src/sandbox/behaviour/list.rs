//! `list` and `search`: which records, in which order, and which page of them.

use std::cmp::Ordering;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::search::Search;
use crate::sandbox::document::{Filter, Pages, Route};
use crate::sandbox::field::{forms, same};
use crate::sandbox::key::{Key, compare, written};
use crate::sandbox::refusal::No;
use crate::sandbox::state::State;
use crate::sandbox::turn::{Turn, plain};
use crate::sandbox::view::Row;

impl Turn<'_> {
    pub fn list(&mut self, object: &str, route: &Route) -> Result<Option<Value>, No> {
        self.input(None, route)?;
        self.check(&route.checks)?;
        let filter = route.filter.as_ref();
        let search = filter.map(|filter| self.search_of(filter)).transpose()?.unwrap_or_default();
        let order = self.order(filter)?;
        let mut found = self.candidates(object, route, &search, &order)?;
        found.retain(|row| search.fits(&row.value, self.rules.object(object)));
        let resumes = route.pages.as_ref().is_some_and(|pages| pages.after.is_some());
        if resumes || !order.is_empty() {
            found.sort_by(|one, two| compare(&one.keys, &two.keys, &order));
        }
        let total = found.len();
        let none = Pages::default();
        let page = self.cut(found, route.pages.as_ref().unwrap_or(&none), &order)?;
        self.set("total", Value::from(total));
        self.set("records", Value::from(page.clone()));
        Ok(Some(Value::from(page)))
    }

    /// As shown, with the route's `where`, oldest first.
    fn candidates(
        &mut self,
        object: &str,
        route: &Route,
        search: &Search,
        order: &[(String, bool)],
    ) -> Result<Vec<Arc<Row>>, No> {
        let wheres = self.wheres(route)?;
        let (rules, show) = (self.rules, route.show.as_deref());
        let until = self.state.indexed_until();
        let State { records, shown, settings, .. } = &mut *self.state;
        let is_indexed = route.filter.as_ref().is_some_and(|filter| filter.indexed);
        if is_indexed {
            records.catch_up(object, until);
        }
        let mut wanted: Vec<(String, Vec<String>)> =
            wheres.iter().map(|(field, value)| (field.clone(), forms(value))).collect();
        let is_kept = |field: &str| rules.object(object).shows_as_kept(field, show);
        wanted.extend(search.equalities().filter(|(field, _)| is_kept(field)));
        let found = records.like(object, &wanted, is_indexed);
        let found = found.filter(|kept| wheres.iter().all(|(field, value)| same(kept.value.get(field), value)));
        Ok(shown.all(rules, settings, object, found, show, order)?)
    }

    /// (field, descending) by weight.
    fn order(&mut self, filter: Option<&Filter>) -> Result<Vec<(String, bool)>, No> {
        let Some(filter) = filter else { return Ok(Vec::new()) };
        let asked = filter.sort.as_ref().map(|made| self.made(made)).transpose()?.flatten();
        let asked: Vec<Value> = asked.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        if filter.sort_most.is_some_and(|most| asked.len() > most) {
            return Err(No::Named("invalid_sort".to_owned()));
        }
        let mut order = Vec::new();
        for sort in &asked {
            let field = sort["field"].as_str().unwrap_or_default();
            self.set("field", Value::from(field));
            if !filter.sort_fields.iter().any(|known| known == field) {
                return Err(No::Named("invalid_sort".to_owned()));
            }
            order.push((field.to_owned(), sort["direction"].as_str() == Some("desc")));
        }
        if let (true, Some((field, direction))) = (order.is_empty(), &filter.order) {
            order.push((field.clone(), direction == "desc"));
        }
        Ok(order)
    }

    fn cut(&mut self, found: Vec<Arc<Row>>, pages: &Pages, order: &[(String, bool)]) -> Result<Vec<Value>, No> {
        let total = found.len();
        let asked = self.number(pages.size.as_ref())?;
        let size = asked.or(pages.size_default).unwrap_or(total.max(1));
        if pages.size_max.is_some_and(|most| size > most) || size == 0 {
            self.set("size_max", json!(pages.size_max));
            return Err(No::Named("page_too_big".to_owned()));
        }
        let first = pages.first.unwrap_or(usize::from(pages.offset.is_none()));
        let number = self.number(pages.number.as_ref())?.unwrap_or(first).max(first);
        let offset = match &pages.offset {
            Some(made) => self.number(Some(made))?.unwrap_or(first).saturating_sub(first),
            None => (number - first).saturating_mul(size),
        };
        if pages.reach.is_some_and(|reach| offset.saturating_add(size) > reach.max(size)) {
            return Err(No::Named("out_of_reach".to_owned()));
        }
        let after = match &pages.after {
            Some(made) => cursor(self.made(made)?, pages.opaque),
            None => None,
        };
        let begin = match &after {
            Some(after) => found.partition_point(|row| compare(&row.keys, after, order) != Ordering::Greater),
            None => offset.min(total),
        };
        let end = begin.saturating_add(size).min(total);
        let more = end < total;
        let next = found.get(end.saturating_sub(1)).filter(|_| end > begin).map(|row| written(&row.keys));
        let next = next.map(|next| if pages.opaque { opaque(&next) } else { next });
        let all = total.div_ceil(size).max(1);
        self.set(
            "page",
            json!({
                "number": number, "size": size, "last": (all + first).saturating_sub(1), "pages": all, "more": more,
                "offset": begin, "count": end - begin,
                "next_number": more.then_some(number.saturating_add(1)),
                    "previous_number": (number > first).then(|| number - 1),
                "next_offset": more.then_some(end + first), "next": next.clone().filter(|_| more), "cursor": next,
            }),
        );
        let page = found.into_iter().skip(begin).take(end - begin);
        let page = page.map(|row| {
            let mut record = row.value.clone();
            if let Some(field) = &pages.cursor_field {
                record[field] = written(&row.keys);
            }
            record
        });
        Ok(page.collect())
    }

    fn number(&mut self, made: Option<&crate::sandbox::made::Made>) -> Result<Option<usize>, No> {
        let Some(made) = made else { return Ok(None) };
        let Some(value) = self.made(made)? else { return Ok(None) };
        Ok(plain(&value).parse().ok())
    }
}

fn opaque(next: &Value) -> Value {
    Value::from(URL_SAFE_NO_PAD.encode(next.to_string()))
}

/// A cursor as it came back: texts of a query string may be numbers.
fn cursor(given: Option<Value>, is_opaque: bool) -> Option<Vec<Key>> {
    let given = match given? {
        Value::String(text) if is_opaque => {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap_or_default()).unwrap_or_default()
        }
        other => other,
    };
    let keys = given.as_array().filter(|keys| !keys.is_empty())?;
    let last = keys.len() - 1;
    let keys = keys.iter().enumerate().map(|(place, value)| match value {
        Value::String(text) if place == last => Key::Text(text.clone()),
        Value::String(text) => text.parse().map_or_else(|_| Key::Text(text.to_lowercase()), Key::Number),
        other => Key::of(Some(other)),
    });
    Some(keys.collect())
}
