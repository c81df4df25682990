//! What a route does: one behaviour each, orthogonal, without knowledge of any vendor.
//!
//! Each returns the body of the answer when the route says none.

mod list;
mod oauth;
mod one;
mod search;
mod tags;
mod write;

use serde_json::Value;

use super::document::Route;
use super::refusal::No;
use super::turn::{Turn, plain};

impl Turn<'_> {
    /// # Errors
    /// The refusal that the request meets.
    pub fn behave(&mut self, route: &Route) -> Result<Option<Value>, No> {
        for (object, made) in route.within.iter() {
            let id = self.made(made)?.map(|id| plain(&id)).unwrap_or_default();
            self.existing(object, &id)?;
        }
        match route {
            Route { create: Some(object), .. } => self.create(object, route),
            Route { get: Some(object), .. } => self.get(object, route),
            Route { update: Some(object), .. } => self.update(object, route),
            Route { delete: Some(object), .. } => self.delete(object, route),
            Route { upsert: Some(object), .. } => self.upsert(object, route),
            Route { find: Some(object), .. } => self.find(object, route),
            Route { list: Some(object), .. } | Route { search: Some(object), .. } => self.list(object, route),
            Route { list_add: Some(field), .. } => self.change_list(field, route, true),
            Route { list_remove: Some(field), .. } => self.change_list(field, route, false),
            Route { each: Some(each), .. } => self.each(each),
            Route { grant: Some(_), .. } => self.grant(),
            Route { authorize: Some(values), .. } => self.authorize(values),
            Route { mint: Some(values), .. } => self.mint(values, route),
            _ => {
                self.input(None, route)?;
                self.check(&route.checks)?;
                Ok(None)
            }
        }
    }

    fn each(&mut self, each: &super::document::Each) -> Result<Option<Value>, No> {
        let items = self.made(&each.r#in)?;
        let mut results = Vec::new();
        let mut errors = 0;
        for item in items.as_ref().and_then(Value::as_array).into_iter().flatten() {
            self.set("item", item.clone());
            match self.perform(&each.r#do) {
                Ok((_, body)) => results.extend(body),
                Err(No::Wrong(wrong)) => return Err(No::Wrong(wrong)),
                Err(no) => {
                    errors += 1;
                    let name = if let No::Named(name) = &no { name.as_str() } else { "" };
                    self.set("refusal", Value::from(name));
                    let body = self.said_body(&no)?;
                    self.set("refused", body);
                    results.extend(self.made(&each.refused)?);
                }
            }
        }
        self.set("results", Value::from(results.clone()));
        self.set("errors", Value::from(errors));
        Ok(Some(Value::from(results)))
    }
}
