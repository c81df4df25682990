//! Waiting for what another process does.

use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again every 20 ms until there is something, for a minute at most.
pub async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited a minute in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
