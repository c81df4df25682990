//! `list_add`, `list_remove`: some values of a list of texts inside a record, the others untouched.

use serde_json::{Value, json};

use crate::sandbox::document::Route;
use crate::sandbox::refusal::No;
use crate::sandbox::turn::Turn;

impl Turn<'_> {
    /// `field` is `object.field`. Tells `$.list` (all after it), `$.previous_list`, `$.added`, `$.removed`.
    pub fn change_list(&mut self, field: &str, route: &Route, add: bool) -> Result<Option<Value>, No> {
        let (object, field) =
            field.split_once('.').ok_or_else(|| format!("`{field}` is not written `object.field`"))?;
        let record = self.target(object, route)?;
        self.input(None, route)?;
        self.check(&route.checks)?;
        let given = match &route.values {
            Some(made) => self.made(made)?,
            None => self.roots["body"].get(field).cloned(),
        };
        let given = given.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        let before = record[field].as_array().cloned().unwrap_or_default();
        let mut after = before.clone();
        let mut touched = Vec::new();
        for value in given {
            if add && !after.contains(&value) {
                after.push(value.clone());
                touched.push(value);
            } else if !add && after.contains(&value) {
                after.retain(|other| *other != value);
                touched.push(value);
            }
        }
        self.set("list", Value::from(after.clone()));
        self.set("previous_list", Value::from(before));
        self.set("added", if add { Value::from(touched.clone()) } else { json!([]) });
        self.set("removed", if add { json!([]) } else { Value::from(touched.clone()) });
        if touched.is_empty() {
            return Ok(Some(self.show(object, &record, route)?));
        }
        let sent = [(field.to_owned(), Value::from(after))].into_iter().collect();
        self.overwrite(object, route, &record, sent, true)
    }
}
