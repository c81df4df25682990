//! The names of keyed lists, such as custom fields, that workflows use: does the account know them?

use serde_json::{Map, Value};

use super::{Examiner, Health, Sign, stands_for, told};
use crate::connector::{Connector, KeyedList, Operation, Outcome, Page};
use crate::project::Connection;
use crate::source::nearest;
use crate::workflow::{Starts, Workflow};

/// Pages that are read of one list of names.
const PAGES_MAX: usize = 50;

impl Examiner<'_> {
    /// One sign for each list whose names a workflow uses.
    pub(super) async fn names(&self, connection: &Connection, connector: &Connector) -> Vec<Sign> {
        let mut signs = Vec::new();
        for object in &connector.objects {
            let uses = |workflow: &&Workflow| about(workflow, connection, connector, &object.name);
            let workflows: Vec<&Workflow> = self.plan.workflows.iter().filter(uses).collect();
            for list in &object.keyed_lists {
                let using: Vec<&&Workflow> =
                    workflows.iter().filter(|workflow| workflow.mentions(&list.name)).collect();
                let operation = list.names_from.as_ref().and_then(|operation| connector.operation(operation));
                if let (Some(operation), false) = (operation, using.is_empty()) {
                    signs.extend(self.names_of(connection, connector, (list, operation), &using).await);
                }
            }
        }
        signs
    }

    async fn names_of(
        &self,
        connection: &Connection,
        connector: &Connector,
        (list, operation): (&KeyedList, &Operation),
        using: &[&&Workflow],
    ) -> Vec<Sign> {
        let input = Value::Object(Map::new());
        let (mut page, mut records) = (Page::default(), Vec::new());
        for _ in 0..PAGES_MAX {
            let asked = self.ask_for(connection, connector, operation, &input, &page).await;
            let outcome = asked
                .map(|response| connector.outcome(operation, &input, &connection.settings, &page, response))
                .unwrap_or_else(Outcome::Failed);
            match outcome {
                Outcome::Done { value, next } => {
                    records.extend(value.as_array().cloned().unwrap_or_default());
                    let Some(next) = next else { break };
                    page = next;
                }
                Outcome::Failed(failure) => {
                    let asked = format!("the names of `{}`: {}", list.name, operation.name);
                    return vec![Sign { what: "names", ..told(&asked, &failure, connection, operation) }];
                }
            }
        }
        let known = list.names_of(&records);
        let mut signs = Vec::new();
        for workflow in using {
            for name in workflow.unknown_names(&list.name, &known) {
                let missing = format!("this account knows no `{}.{name}`, which `{}` uses", list.name, workflow.name);
                let help = match nearest(&name, known.values().map(String::as_str)) {
                    Some(near) => format!("did you mean `{}.{near}`?", list.name),
                    None => "make it at the vendor, or take another name".to_owned(),
                };
                signs.push(Sign::new("names", Health::Bad, missing).help(help));
            }
        }
        if signs.is_empty() {
            let told = format!("`{}` has all the names that are used", list.name);
            signs.push(Sign::new("names", Health::Good, told));
        }
        signs
    }
}

/// Do runs of the workflow read or write this object at this account?
fn about(workflow: &Workflow, connection: &Connection, connector: &Connector, object: &str) -> bool {
    let polled = match &workflow.trigger.starts {
        Starts::Poll { operation, .. } => {
            connector.operation(operation).and_then(|operation| operation.object.as_deref())
        }
        _ => None,
    };
    let of = |alias: &str| stands_for(workflow.connector_of(alias), connection);
    workflow.objects(polled).iter().any(|(alias, name)| name == object && of(alias))
}
