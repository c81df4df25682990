//! Plots of the last hour: a bar for each minute, and the same in words.

use maud::{Markup, html};

use crate::engine::{MINUTES, Minute};
use crate::story::{count, shown};

const HEIGHT: u64 = 60;
const STEP: u64 = 10;

/// Runs that ended in each minute, oldest first, and those of them that failed.
pub fn ended(pace: &[Minute]) -> Markup {
    let most = pace.iter().map(|minute| minute.ended).max().unwrap_or_default();
    let (ended, failed) =
        pace.iter().fold((0, 0), |(ended, failed), minute| (ended + minute.ended, failed + minute.failed));
    let words = format!("{} ended in the last hour, {failed} of them failed", count(ended, "run"));
    let more = if most > 0 { format!(", {most} a minute at most") } else { String::new() };
    let bars = |tell: fn(&Minute) -> u64| pace.iter().map(tell).collect::<Vec<_>>();
    plot(&words, &more, most, &[("ended", bars(|minute| minute.ended)), ("failed", bars(|minute| minute.failed))])
}

/// How long after its event the latest run of each minute began.
pub fn late(pace: &[Minute]) -> Markup {
    let most = pace.iter().map(|minute| minute.late_ms).max().unwrap_or_default();
    let longest = match most {
        0..1_000 => format!("{most} ms"),
        _ => shown::span(i64::try_from(most).unwrap_or(i64::MAX)),
    };
    let words = format!("runs began within {longest} of their event");
    let late = pace.iter().map(|minute| minute.late_ms).collect();
    plot(&words, "", most, &[("ended", late)])
}

/// Bars one before the other, by class, as high as the most is.
fn plot(words: &str, more: &str, most: u64, bars: &[(&str, Vec<u64>)]) -> Markup {
    let high = |number: u64| if number == 0 { 0 } else { (number.saturating_mul(HEIGHT) / most.max(1)).max(2) };
    html! {
        figure.plot {
            svg viewBox=(format!("0 0 {} {}", MINUTES as u64 * STEP, HEIGHT + 1)) role="img" aria-label=(words)
                preserveAspectRatio="none" {
                @for (class, numbers) in bars {
                    @for (at, number) in (0_u64..).zip(numbers).filter(|(_, number)| **number > 0) {
                        rect class=(class) x=(at * STEP + 1) y=(HEIGHT - high(*number)) width=(STEP - 2) height=(high(*number)) {}
                    }
                }
                line.ground x1="0" x2=(MINUTES as u64 * STEP) y1=(HEIGHT) y2=(HEIGHT) {}
            }
            figcaption {
                span { "an hour ago" }
                span { (words) (more) }
                span { "now" }
            }
        }
    }
}
