//! Hints of one record that come within a connector's `coalesce` are one event.
//!
//! A run about a hint waits that long before it reads the record, so that whatever is told meanwhile needs no run of its own.
//! This is known in memory only: after a restart the next hint makes a run, which finds nothing new.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::run::Start;
use crate::store::Intake;
use crate::trigger::Event;

/// Records at most; beyond it each hint makes a run.
const OPEN_MAX: usize = 10_000;

/// Runs that have not read their record yet.
#[derive(Default)]
pub(super) struct Gathering {
    open: Mutex<HashMap<Key, Open>>,
}

/// One record, as one workflow of one version hears of it.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    workflow: String,
    plan: String,
    connection: Option<String>,
    object: Option<String>,
    record: Option<String>,
}

struct Open {
    until_ms: i64,
    kind: String,
}

impl Gathering {
    /// Takes the runs away that a run which has not read its record yet stands for.
    pub fn join(&self, intakes: &mut [Intake], now_ms: i64) {
        let open = self.open.lock();
        for Intake { event, runs } in intakes.iter_mut().filter(|intake| is_hint(&intake.event)) {
            runs.retain(|run| {
                let known = open.get(&key(event, run)).filter(|known| now_ms < known.until_ms);
                // That it was created must be told, if only it was heard that it was changed.
                !known.is_some_and(|known| known.kind == event.kind || known.kind == "created")
            });
        }
    }

    /// These runs wait from now on. Only for what is durable: else the sender sends it again, and it must make a run then.
    pub fn wait(&self, intakes: &[Intake], time: Duration, now_ms: i64) {
        let mut open = self.open.lock();
        for Intake { event, runs } in intakes.iter().filter(|intake| is_hint(&intake.event)) {
            for run in runs {
                if open.len() >= OPEN_MAX {
                    open.retain(|_, known| now_ms < known.until_ms);
                }
                if open.len() < OPEN_MAX {
                    let until_ms = run.created_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
                    open.insert(key(event, run), Open { until_ms, kind: event.kind.clone() });
                }
            }
        }
    }
}

/// Its record is read before anything is done about it.
fn is_hint(event: &Event) -> bool {
    event.read_with.is_some() && event.record_id.is_some() && event.kind != "deleted"
}

fn key(event: &Event, run: &Start) -> Key {
    Key {
        workflow: run.workflow.clone(),
        plan: run.plan.clone(),
        connection: event.connection.clone(),
        object: event.object.clone(),
        record: event.record_id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn intake(kind: &str, record: &str, workflow: &str) -> Intake {
        let event = Event {
            kind: kind.into(),
            object: Some("contact".into()),
            record_id: Some(record.into()),
            read_with: Some("contact.get".into()),
            ..Event::default()
        };
        let run = Start {
            id: "r".into(),
            workflow: workflow.into(),
            tenant: None,
            order_key: record.into(),
            plan: "p".into(),
            connections: Default::default(),
            event: event.clone(),
            inputs: Value::Null,
            created_ms: 1_000,
        };
        Intake { event, runs: vec![run] }
    }

    /// Does an event make a run at an instant, after a first one at 1,000?
    fn makes_a_run(first: &Intake, then: Intake, now_ms: i64) -> bool {
        let gathering = Gathering::default();
        gathering.wait(std::slice::from_ref(first), Duration::from_secs(2), 1_000);
        let mut intakes = [then];
        gathering.join(&mut intakes, now_ms);
        !intakes[0].runs.is_empty()
    }

    #[test]
    fn hints_of_one_record_are_one_event_until_it_is_read() {
        let first = intake("created", "c1", "w");
        assert!(!makes_a_run(&first, intake("updated", "c1", "w"), 2_999));
        assert!(!makes_a_run(&first, intake("created", "c1", "w"), 1_000));
        assert!(makes_a_run(&first, intake("updated", "c1", "w"), 3_000), "it may have been read");
        assert!(makes_a_run(&first, intake("updated", "c2", "w"), 1_000), "another record");
        assert!(makes_a_run(&first, intake("updated", "c1", "x"), 1_000), "another workflow");
    }

    #[test]
    fn what_must_be_told_by_itself_is_another_event() {
        let changed = intake("updated", "c1", "w");
        assert!(makes_a_run(&changed, intake("created", "c1", "w"), 1_000));
        assert!(makes_a_run(&changed, intake("deleted", "c1", "w"), 1_000));
        let mut whole = intake("updated", "c1", "w");
        whole.event.read_with = None;
        assert!(makes_a_run(&changed, whole, 1_000), "it holds the record, which nobody reads");
    }

    #[test]
    fn what_waits_is_bounded() {
        let gathering = Gathering::default();
        let many: Vec<Intake> = (0..OPEN_MAX + 5).map(|index| intake("updated", &index.to_string(), "w")).collect();
        gathering.wait(&many, Duration::from_secs(2), 1_000);
        assert_eq!(gathering.open.lock().len(), OPEN_MAX);
        gathering.wait(&[intake("updated", "last", "w")], Duration::from_secs(2), 3_000);
        assert_eq!(gathering.open.lock().len(), 1, "those that have read are forgotten");
    }
}
