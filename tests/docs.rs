//! What the documentation shows is true: each page of `docs/errors/` gives its own code, and its own remedy; every example
//! of the guides checks; the reference is
//! that of the program.

pub mod around;
pub mod errors;
mod guides;
mod imported;
mod reference;

#[test]
fn every_wrong_example_gives_its_code() {
    errors::every_wrong_example_gives_its_code();
}

#[test]
fn every_right_example_has_no_error() {
    errors::every_right_example_has_no_error();
}

#[test]
fn the_index_names_every_page() {
    errors::the_index_names_every_page();
}

#[test]
fn every_page_is_in_the_program() {
    errors::every_page_is_in_the_program();
}

#[test]
fn every_example_of_the_guides_has_no_error() {
    guides::every_example_has_no_error();
}

#[test]
fn examples_are_found() {
    guides::examples_are_found();
}

#[test]
fn the_reference_is_fresh() {
    reference::pages_are_fresh();
}

#[test]
fn every_link_leads_somewhere() {
    guides::every_link_leads_somewhere();
}

#[test]
fn every_promise_has_its_test() {
    guides::every_promise_has_its_test();
}

#[test]
fn the_guide_to_import_shows_what_comes_out() {
    imported::the_guide_shows_what_comes_out();
}
