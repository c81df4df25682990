//! How long a command waits for what others do: until it is told to stop, or nobody is left who could do it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::say;
use super::serve::stop_signal;
use crate::server::control;

/// Nobody serves for so long: one that was started anew would be there.
const GONE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(500);

/// Ends at Ctrl-C or SIGTERM, or when nobody serves this data folder any more, and says so; None: this process does the work.
pub async fn enough(served: Option<&Path>) {
    tokio::select! {
        () = stop_signal() => {}
        () = gone(served) => {}
    }
}

async fn gone(served: Option<&Path>) {
    let Some(data) = served else { return std::future::pending().await };
    let mut seen = Instant::now();
    while seen.elapsed() < GONE {
        tokio::time::sleep(LOOK).await;
        if control::is_served(data).await {
            seen = Instant::now();
        }
    }
    say::warning(&format!("nobody serves the data folder {} any more", data.display()));
}
