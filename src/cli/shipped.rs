//! Files that come inside the program: connectors, pretend vendors, example recipes.

use crate::project::Text;

/// A file's path in the repository and its text.
type Shipped = (&'static str, &'static str);

macro_rules! files {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../../", $path)))),*] };
}

const CONNECTORS: &[Shipped] = files![
    "connectors/gohighlevel.yaml",
    "connectors/opinion-stage.yaml",
    "connectors/opinion-stage-contacts.yaml",
    "connectors/hubspot.yaml",
    "connectors/slack.yaml",
];

/// Further files of the connectors above: what only some projects use.
const PARTS: &[Shipped] = files![
    "connectors/gohighlevel/ad-manager.yaml",
    "connectors/gohighlevel/affiliate-manager.yaml",
    "connectors/gohighlevel/agent-studio.yaml",
    "connectors/gohighlevel/associations.yaml",
    "connectors/gohighlevel/blogs.yaml",
    "connectors/gohighlevel/brand-boards.yaml",
    "connectors/gohighlevel/businesses.yaml",
    "connectors/gohighlevel/calendars.yaml",
    "connectors/gohighlevel/campaigns.yaml",
    "connectors/gohighlevel/companies.yaml",
    "connectors/gohighlevel/conversation-ai.yaml",
    "connectors/gohighlevel/conversations.yaml",
    "connectors/gohighlevel/courses.yaml",
    "connectors/gohighlevel/custom-fields.yaml",
    "connectors/gohighlevel/custom-menus.yaml",
    "connectors/gohighlevel/email-isv.yaml",
    "connectors/gohighlevel/emails.yaml",
    "connectors/gohighlevel/forms.yaml",
    "connectors/gohighlevel/funnels.yaml",
    "connectors/gohighlevel/invoices.yaml",
    "connectors/gohighlevel/knowledge-base.yaml",
    "connectors/gohighlevel/links.yaml",
    "connectors/gohighlevel/locations.yaml",
    "connectors/gohighlevel/marketplace.yaml",
    "connectors/gohighlevel/medias.yaml",
    "connectors/gohighlevel/oauth.yaml",
    "connectors/gohighlevel/objects.yaml",
    "connectors/gohighlevel/opportunities.yaml",
    "connectors/gohighlevel/payments.yaml",
    "connectors/gohighlevel/phone-system.yaml",
    "connectors/gohighlevel/products.yaml",
    "connectors/gohighlevel/proposals.yaml",
    "connectors/gohighlevel/saas-api.yaml",
    "connectors/gohighlevel/snapshots.yaml",
    "connectors/gohighlevel/social-media-posting.yaml",
    "connectors/gohighlevel/store.yaml",
    "connectors/gohighlevel/surveys.yaml",
    "connectors/gohighlevel/users.yaml",
    "connectors/gohighlevel/voice-ai.yaml",
    "connectors/gohighlevel/workflows.yaml",
];

const SANDBOXES: &[Shipped] = files![
    "connectors/gohighlevel.sandbox.yaml",
    "connectors/opinion-stage.sandbox.yaml",
    "connectors/opinion-stage-contacts.sandbox.yaml",
];

const WORKFLOWS: &[Shipped] = files![
    "workflows/add-tag-by-hand.yaml",
    "workflows/contact-deleted.yaml",
    "workflows/contact-to-opinion-stage.yaml",
    "workflows/contacts.yaml",
    "workflows/note-to-opinion-stage.yaml",
    "workflows/overdue-tasks.yaml",
    "workflows/quiz-response-to-gohighlevel.yaml",
    "workflows/task-to-opinion-stage.yaml",
];

/// Tests of the workflows above.
const TESTS: &[Shipped] = files![
    "workflows/add-tag-by-hand.test.yaml",
    "workflows/contact-deleted.test.yaml",
    "workflows/contact-to-opinion-stage.test.yaml",
    "workflows/contacts.test.yaml",
    "workflows/note-to-opinion-stage.test.yaml",
    "workflows/overdue-tasks.test.yaml",
    "workflows/quiz-response-to-gohighlevel.test.yaml",
    "workflows/task-to-opinion-stage.test.yaml",
];

/// The connectors that every project may use; their paths begin with `shipped/`.
pub fn connectors() -> Vec<Text> {
    CONNECTORS.iter().chain(PARTS).map(|(path, text)| text_of(&format!("shipped/{path}"), text)).collect()
}

/// The example recipes.
pub fn workflows() -> Vec<Text> {
    WORKFLOWS.iter().map(|(path, text)| text_of(path, text)).collect()
}

/// The tests of an example recipe.
pub fn tests_of(workflow: &Text) -> Option<Text> {
    find(TESTS, &workflow.path.replace(".yaml", ".test.yaml"))
}

/// The names of the vendors that are played unasked: those of which more is known than their connector says.
pub fn vendors() -> Vec<&'static str> {
    connector_names().filter(|name| sandbox_file(name).is_some()).collect()
}

pub fn connector_names() -> impl Iterator<Item = &'static str> {
    CONNECTORS.iter().filter_map(|(path, _)| path.strip_prefix("connectors/")?.strip_suffix(".yaml"))
}

pub fn connector_file(name: &str) -> Option<Text> {
    find(CONNECTORS, &format!("connectors/{name}.yaml"))
}

/// All files of a connector, the main one first; none if there is no such connector.
pub fn connector_files(name: &str) -> Vec<Text> {
    let folder = format!("connectors/{name}/");
    let parts = PARTS.iter().filter(|(path, _)| path.starts_with(&folder)).map(|(path, text)| text_of(path, text));
    connector_file(name).into_iter().chain(parts).collect()
}

/// What a pretend vendor does beyond what its connector says; none is needed.
pub fn sandbox_file(name: &str) -> Option<Text> {
    find(SANDBOXES, &format!("connectors/{name}.sandbox.yaml"))
}

fn find(files: &[Shipped], path: &str) -> Option<Text> {
    files.iter().find(|(known, _)| *known == path).map(|(path, text)| text_of(path, text))
}

fn text_of(path: &str, text: &str) -> Text {
    Text { path: path.into(), text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project;
    use crate::source::{File, render_text};

    #[test]
    fn every_file_in_the_folders_is_shipped() {
        let is_beside = |name: &str| name.ends_with(".sandbox.yaml") || name.ends_with(".test.yaml");
        let folders = [
            ("connectors", CONNECTORS, false),
            ("connectors/gohighlevel", PARTS, false),
            ("connectors", SANDBOXES, true),
            ("workflows", WORKFLOWS, false),
            ("workflows", TESTS, true),
        ];
        for (folder, shipped, beside) in folders {
            let mut there: Vec<String> = std::fs::read_dir(folder)
                .expect("the folder is there")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().to_string())
                .filter(|name| name.ends_with(".yaml") && is_beside(name) == beside)
                .map(|name| format!("{folder}/{name}"))
                .collect();
            there.sort();
            let mut known: Vec<&str> = shipped.iter().map(|(path, _)| *path).collect();
            known.sort_unstable();
            assert_eq!(known, there);
        }
    }

    /// As if they were a project's: what is shipped is not checked again when it is read.
    #[test]
    fn nothing_is_wrong_with_a_connector() {
        let main = Text { path: "dovetail.yaml".into(), text: "project: shipped\n".into() };
        let texts: Vec<Text> = std::iter::once(main).chain(connectors()).collect();
        let loaded = project::read(&texts, &[], None);
        let files: Vec<&File> = loaded.files.iter().collect();
        assert!(loaded.report.is_empty(), "{}", render_text(&loaded.report, &files, false));
        assert_eq!(loaded.files.len(), texts.len());
    }

    #[test]
    fn every_connector_says_its_version() {
        for (path, text) in CONNECTORS {
            let version = text.lines().find_map(|line| line.strip_prefix("version: ")).unwrap_or_default();
            let major = version.split('.').next().and_then(|major| major.parse::<u64>().ok());
            assert!(major.is_some() && version.matches('.').count() == 2, "{path}: `{version}`");
        }
    }
}
