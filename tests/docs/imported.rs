//! `docs/guides/import.md`: the connector that it shows is what becomes of the document that it shows.

use dovetail::connector::import::{Options, import};

use crate::cases::project_files::root;

pub fn the_guide_shows_what_comes_out() {
    let page = std::fs::read_to_string(root().join("docs/guides/import.md")).expect("the page");
    let mut blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```\n").next().unwrap_or_default());
    let (document, shown) = (blocks.next().expect("a document"), blocks.next().expect("a connector"));
    let options = Options { source: "library-openapi.yaml".into(), ..Options::default() };
    let imported = import(document, &options).expect("it is imported");
    assert!(imported.text == shown, "the guide should show\n{}", imported.text);
}
