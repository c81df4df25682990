//! What a cluster is asked in SQL: Restate's own tables, see docs.restate.dev, "Introspection".

/// All of ours begin so.
const SERVICES: &str = "Dovetail%";

/// Text in SQL.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// Calls that are neither over nor for an instant to come. What lines are called for later is no hurry; all else is.
pub fn under_way() -> String {
    format!(
        "SELECT target_service_name, target_handler_name, status, count(*) AS number, max(last_failure) AS failure \
         FROM sys_invocation \
         WHERE target_service_name LIKE {} AND status <> 'completed' \
         AND NOT (status = 'scheduled' AND target_service_name = 'DovetailLine') \
         GROUP BY target_service_name, target_handler_name, status",
        text(SERVICES)
    )
}

/// What an endpoint is called.
pub fn deployment(url: &str) -> String {
    format!("SELECT id FROM sys_deployment WHERE endpoint = {}", text(url))
}

/// The deployment at which a service is called for what is new.
pub fn current(service: &str) -> String {
    format!("SELECT deployment_id AS id FROM sys_service WHERE name = {}", text(service))
}

/// Calls that were begun at a deployment, and are not over.
pub fn pinned(deployment: &str) -> String {
    format!(
        "SELECT count(*) AS number FROM sys_invocation WHERE pinned_deployment_id = {} AND status <> 'completed'",
        text(deployment)
    )
}

/// Values of the objects of a service, after those of an object and a key.
pub fn values(service: &str, after: Option<(&str, &str)>, limit: usize) -> String {
    let after = after.map_or_else(String::new, |(object, key)| {
        let (object, key) = (text(object), text(key));
        format!(" AND (service_key > {object} OR (service_key = {object} AND key > {key}))")
    });
    format!(
        "SELECT service_key, key, value_utf8 FROM state WHERE service_name = {}{after} \
         ORDER BY service_key, key LIMIT {limit}",
        text(service)
    )
}

/// The values of one name, of all objects of a service.
pub fn named(service: &str, key: &str) -> String {
    format!(
        "SELECT service_key, key, value_utf8 FROM state WHERE service_name = {} AND key = {}",
        text(service),
        text(key)
    )
}

/// Values of the objects of a service in which a text is: its letters and digits are looked for.
pub fn holding(service: &str, part: &str) -> String {
    format!(
        "SELECT count(*) AS number FROM state WHERE service_name = {} AND value_utf8 LIKE {}",
        text(service),
        text(&format!("%{part}%"))
    )
}

/// Runs that came to their line before an instant, and have not reached it.
pub fn arriving(before_ms: i64) -> String {
    format!(
        "SELECT count(*) AS number FROM sys_invocation WHERE target_service_name = 'DovetailLine' \
         AND target_handler_name IN ('accept', 'begin', 'take_over') AND status <> 'completed' \
         AND created_at < to_timestamp_millis({before_ms})"
    )
}

/// The objects of a service that keep something.
pub fn objects(service: &str) -> String {
    format!("SELECT DISTINCT service_key FROM state WHERE service_name = {}", text(service))
}
