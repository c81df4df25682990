//! The connector that an imported part adds to: what it says already is not said again.

use std::collections::BTreeSet;

use super::call::Call;
use crate::connector::Connector;

/// What the other files of a connector say.
#[derive(Clone, Debug, Default)]
pub struct Base {
    pub(super) name: String,
    /// Those that every operation sends.
    pub(super) headers: Vec<(String, String)>,
    pub(super) objects: BTreeSet<String>,
    settings: Vec<String>,
    /// Methods, and paths with `{}` for each hole.
    operations: BTreeSet<(String, String)>,
}

impl Base {
    /// What a connector says but for one of its files, which is to be written anew.
    pub fn of(connector: &Connector, is_but: impl Fn(&str) -> bool) -> Base {
        let settings = connector.settings["properties"].as_object().into_iter().flatten();
        let mut base = Base {
            name: connector.name.clone(),
            headers: connector.headers.clone(),
            settings: settings.map(|(name, _)| name.clone()).collect(),
            ..Base::default()
        };
        for operation in connector.operations().into_iter().filter(|operation| !is_but(&operation.place.path)) {
            base.operations.insert((operation.method.clone(), shape(&operation.path)));
            base.objects.extend(operation.object.clone());
        }
        base
    }

    /// The connection's settings.
    pub fn settings(&self) -> &[String] {
        &self.settings
    }

    pub(super) fn has(&self, call: &Call<'_>) -> bool {
        let path = call.path.split('?').next().unwrap_or_default();
        self.operations.contains(&(call.method.clone(), shape(path)))
    }
}

/// `/contacts/{id}/tags` and `/contacts/{contactId}/tags/` are one.
fn shape(path: &str) -> String {
    let mut shape = String::new();
    let mut rest = path.trim_matches('/');
    while let Some((before, hole)) = rest.split_once('{') {
        shape.push_str(before);
        shape.push_str("{}");
        rest = hole.split_once('}').map_or("", |(_, after)| after);
    }
    shape + rest
}
