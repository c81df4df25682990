//! Twice the project takes twice the time: nothing that is done for each document looks at all others.
//!
//! How long it takes is measured by `cargo bench`; here only ratios count, since tests run unoptimised and side by side.

#[path = "../benches/goals/many.rs"]
mod many;

use std::time::{Duration, Instant};

use dovetail::project::{Text, read};

/// The fastest of three: whatever else runs only ever makes it slower.
fn fastest(texts: &[Text]) -> Duration {
    let measure = |_| {
        let start = Instant::now();
        let loaded = read(texts, &many::shipped(), None);
        let took = start.elapsed();
        assert!(loaded.plan.is_some(), "{:#?}", loaded.report.diagnostics.first());
        took
    };
    (0..3).map(measure).min().expect("three times")
}

#[test]
fn twice_the_workflows_take_twice_the_time() {
    // Small ones, so that what is done for each pair of them is seen.
    let [some, more] = [250, 1_000].map(|count| fastest(&many::project(count, 0)));
    assert!(more < 6 * some, "250 workflows: {some:?}, four times as many: {more:?}");
}
