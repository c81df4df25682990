//! `expand`: what it prints is a document that means the same, and stays as it is when it is expanded once more.

use std::path::Path;

use crate::stage::{command, root};

fn expand(project: &Path, name: &str) -> String {
    let done = command().args(["expand", name, "--project"]).arg(project).output().expect("it runs");
    assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

fn is_sync(file: &str) -> bool {
    file.starts_with("contacts.")
}

#[test]
fn what_is_expanded_checks_and_stays() {
    let folder = std::env::temp_dir().join(format!("dovetail-expand-{}", std::process::id()));
    for name in ["workflows", "connectors"] {
        std::fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    let project = std::fs::read_to_string(root().join("dovetail.yaml")).expect("the example");
    // All workflows; a sync is no workflow, and stands for some of them.
    let project = project.split("active:").next().unwrap_or_default();
    std::fs::write(folder.join("dovetail.yaml"), project).expect("written");
    // A project with the shipped connectors, of which only what it uses is read.
    let bare = folder.join("bare");
    std::fs::create_dir_all(bare.join("workflows")).expect("a folder");
    std::fs::write(bare.join("dovetail.yaml"), project).expect("written");
    for file in std::fs::read_dir(root().join("workflows")).expect("the shipped ones").flatten() {
        if !is_sync(&file.file_name().to_string_lossy()) {
            std::fs::copy(file.path(), bare.join("workflows").join(file.file_name())).expect("copied");
        }
    }
    let mut names = Vec::new();
    for of in ["workflows", "connectors"] {
        for file in std::fs::read_dir(root().join(of)).expect("the shipped ones") {
            let file = file.expect("a file").file_name().into_string().expect("a name");
            let Some(name) = file.strip_suffix(".yaml").filter(|name| !name.contains('.') && !is_sync(&file)) else {
                continue;
            };
            let text = expand(&bare, name);
            std::fs::write(folder.join(of).join(&file), &text).expect("written");
            names.push((name.to_string(), text));
        }
    }
    assert!(names.len() >= 10, "{names:?}");
    let check = command().arg("check").arg(&folder).output().expect("it runs");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    for (name, text) in &names {
        assert_eq!(*text, expand(&folder, name), "{name}");
    }
    let contact = &names.iter().find(|(name, _)| name == "contact-to-opinion-stage").expect("shipped").1;
    for line in [
        "  - ghl.contact.created\n  - ghl.contact.updated\n",
        "  match:\n  - email\n",
        "    wait: 2s..1h\n",
        "  timeout: 30s\n",
    ] {
        assert!(contact.contains(line), "{line}\n{contact}");
    }
    std::fs::remove_dir_all(folder).expect("removed");
}
