//! A plot of the last hour: a bar for each minute, and the same in words.

use maud::{Markup, html};

use crate::engine::MINUTES;
use crate::story::count;

const HEIGHT: u64 = 60;
const STEP: u64 = 10;

/// Runs that ended in each minute, oldest first: all, and those that failed.
pub fn of(pace: &[[u64; 2]]) -> Markup {
    let most = pace.iter().map(|[all, _]| *all).max().unwrap_or_default();
    let (ended, failed) = pace.iter().fold((0, 0), |(ended, bad), [all, failed]| (ended + all, bad + failed));
    let words = format!("{} ended in the last hour, {failed} of them failed", count(ended, "run"));
    let high = |number: u64| if number == 0 { 0 } else { (number * HEIGHT / most.max(1)).max(2) };
    html! {
        figure.plot {
            svg viewBox=(format!("0 0 {} {}", MINUTES as u64 * STEP, HEIGHT + 1)) role="img" aria-label=(words)
                preserveAspectRatio="none" {
                @for (at, [all, failed]) in (0_u64..).zip(pace) {
                    @if *all > 0 {
                        rect.ended x=(at * STEP + 1) y=(HEIGHT - high(*all)) width=(STEP - 2) height=(high(*all)) {}
                    }
                    @if *failed > 0 {
                        rect.failed x=(at * STEP + 1) y=(HEIGHT - high(*failed)) width=(STEP - 2) height=(high(*failed)) {}
                    }
                }
                line.ground x1="0" x2=(MINUTES as u64 * STEP) y1=(HEIGHT) y2=(HEIGHT) {}
            }
            figcaption {
                span { "an hour ago" }
                span { (words) @if most > 0 { ", " (most) " a minute at most" } }
                span { "now" }
            }
        }
    }
}
