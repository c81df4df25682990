//! `tests/cases/import/NAME/`: a document, the connector that it becomes, and what is told about it.
//!
//! Each connector must check without a finding in a project that has a connection to it.

use std::path::{Path, PathBuf};

use dovetail::connector::import::{Base, Filled, Filling, Options, import};
use dovetail::connector::{Auth, Connector};
use dovetail::project::{self, Loaded, Text};
use dovetail::source::{File, Report, render_text};
use serde_json::Value;

use crate::cases::project_files::root;

pub fn every_case_holds() {
    let accept = std::env::var_os("DOVETAIL_ACCEPT").is_some();
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root().join("tests/cases/import"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    assert!(cases.len() > 5, "cases are gone: there are {}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let (connector, told) = imported(&case);
        for (file, found) in [("connector.yaml", connector), ("told.txt", told)] {
            let path = case.join(file);
            if std::fs::read_to_string(&path).unwrap_or_default() == found {
                continue;
            }
            match accept {
                true => std::fs::write(&path, found).unwrap(),
                false => wrong.push(format!("{name}/{file} would be\n{found}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n\n{} files differ", wrong.join("\n\n"), wrong.len());
}

fn imported(case: &Path) -> (String, String) {
    let source = ["document.yaml", "document.json"].into_iter().find(|name| case.join(name).is_file()).unwrap();
    let text = std::fs::read_to_string(case.join(source)).unwrap();
    let base = std::fs::read_to_string(case.join("base.yaml")).ok();
    let imported = import(&text, &options(case, source, base.as_deref())).unwrap();
    let mut told = format!("{}: {} objects, {} operations\n", imported.of, imported.objects, imported.operations);
    for note in &imported.notes {
        told += &format!("{}: {}\n", note.what, note.places.join(", "));
    }
    let findings = findings(&imported.name, &imported.text, base.as_deref());
    assert!(findings.is_empty(), "{}:\n{findings}", case.display());
    (imported.text, told)
}

/// What the case asks for in its `options.yaml`, and the connector that it makes a part of.
fn options(case: &Path, source: &str, base: Option<&str>) -> Options {
    let text = std::fs::read_to_string(case.join("options.yaml")).unwrap_or_else(|_| "{}".into());
    let asked = File::read("options.yaml", &text).unwrap().value;
    let pairs = |key: &str| {
        let map = asked.get(key).and_then(Value::as_object).into_iter().flatten();
        map.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    let with = |(name, with): (String, String), filling: fn(String) -> Filling| Filled { name, with: filling(with) };
    let settings = pairs("settings").into_iter().map(|pair| with(pair, Filling::Setting));
    let fixed = pairs("fixed").into_iter().map(|pair| with(pair, Filling::Fixed));
    let number = |key: &str| asked.get(key).and_then(Value::as_u64).map(|number| number as usize);
    let part_of = base.map(|base| {
        let file = File::read("connectors/base.yaml", base).unwrap();
        Base::of(&Connector::read(&[&file], &mut Report::default()).unwrap(), |_| false)
    });
    Options {
        source: source.into(),
        filled: settings.chain(fixed).collect(),
        renamed: pairs("renamed"),
        terse: asked.get("terse").is_some(),
        levels: number("levels"),
        folders: number("folders"),
        part_of,
        ..Options::default()
    }
}

/// What `check` says of a project with a connection to the connector, which may be a part of another.
pub fn findings(name: &str, text: &str, base: Option<&str>) -> String {
    let mut project = "project: p\n".to_owned();
    let file = File::read("connectors/main.yaml", base.unwrap_or(text));
    if let Some(connector) = file.ok().and_then(|file| Connector::read(&[&file], &mut Report::default())) {
        let (way, auth) = &connector.auth[0];
        let secrets = connector.secrets_of(way).into_iter().map(|secret| format!(", {secret}: $.secrets.x"));
        let settings = connector.settings["properties"].as_object().into_iter().flatten();
        let settings = settings.map(|(name, setting)| match setting.get("enum") {
            Some(values) => format!(", {name}: {}", values[0]),
            None => format!(", {name}: https://example.com"),
        });
        // The app that an OAuth connection is made for.
        let app = matches!(auth, Auth::OAuth2 { .. }).then(|| ", client_id: x".to_owned());
        let given: String = settings.chain(secrets).chain(app).collect();
        project += &format!("connections: {{ x: {{ connector: {name}, auth: {way}{given} }} }}\n");
    }
    let texts = [("dovetail.yaml", project.as_str()), ("connectors/imported.yaml", text)];
    let texts = texts.into_iter().chain(base.map(|base| ("connectors/main.yaml", base)));
    let texts: Vec<Text> = texts.map(|(path, text)| Text { path: path.into(), text: text.into() }).collect();
    let Loaded { files, report, .. } = project::read(&texts, &[], None);
    render_text(&report, &files.iter().collect::<Vec<_>>(), false)
}
