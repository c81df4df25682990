//! A person who connects an account: the command, the vendor's page, and the way back.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use super::Stage;

/// A project whose account of the first vendor uses OAuth.
pub async fn set() -> Stage {
    let stage = Stage::set().await;
    let place = stage.address(super::GHL);
    let project = std::fs::read_to_string(stage.project().join("dovetail.yaml")).expect("the project");
    let lines: Vec<String> = project.lines().map(|line| oauth(line, &place)).collect();
    stage.write("dovetail.yaml", &format!("{}\n", lines.join("\n")));
    let mut secrets = std::fs::read_to_string(stage.project().join("../secrets.yaml")).expect("the secrets");
    secrets.push_str("app_secret: sandbox-secret\n");
    std::fs::write(stage.project().join("../secrets.yaml"), secrets).expect("the secrets");
    make_key(&stage);
    stage
}

/// The connection as it stands in the shipped project, with OAuth in place of the token.
fn oauth(line: &str, place: &str) -> String {
    if !line.trim_start().starts_with("token: $.secrets.ghl_token") {
        return line.replace("auth: token", "auth: oauth");
    }
    let indent = &line[..line.len() - line.trim_start().len()];
    [
        "client_id: sandbox-client".to_owned(),
        "client_secret: $.secrets.app_secret".to_owned(),
        format!("token_url: http://{place}/oauth/token"),
        format!("authorize_url: http://{place}/v2/oauth/chooselocation"),
    ]
    .map(|line| format!("{indent}{line}"))
    .join("\n")
}

/// `connect`, and the link that it says.
pub fn begin(stage: &Stage, connection: &str) -> (Child, String) {
    let mut command = stage.command(&["connect", connection, "--listen", "127.0.0.1:0", "--no-browser"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut link = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("its stdout"));
    stdout.read_line(&mut link).expect("the link");
    if link.is_empty() {
        panic!("no link: {}", end(child).1);
    }
    (child, link.trim().to_owned())
}

/// The exit code, and what was said.
pub fn end(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child.stderr.take().expect("its stderr").read_to_string(&mut said).expect("what it says");
    (child.wait().expect("it ends").code(), said)
}

/// What a browser does: it goes to the vendor, and from there back with the code.
pub async fn agree(link: &str) -> (u16, String) {
    let browser =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().expect("one");
    let answer = browser.get(link).send().await.expect("the vendor's page");
    assert_eq!(answer.status(), 302, "{}", answer.text().await.unwrap_or_default());
    let back = answer.headers()["location"].to_str().expect("a text").to_owned();
    let status = browser.get(&back).send().await.expect("the way back").status().as_u16();
    (status, back)
}

/// From the command to its end; gives what was said.
pub async fn connect(stage: &Stage, connection: &str) -> String {
    let (child, link) = begin(stage, connection);
    assert_eq!(agree(&link).await.0, 200);
    let (code, said) = end(child);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("`{connection}` is connected")), "{said}");
    said
}

/// A key, so that something can be sealed.
pub fn make_key(stage: &Stage) {
    let output = super::command().arg("key").arg(stage.key_file()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
