//! Who has done what, latest first.

use axum::response::Response;
use maud::{Markup, html};

use super::{cut, empty, page, said, time};
use crate::dashboard::api;
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::store::Deed;

const LIMIT: usize = 50;
const TEXT_MAX: usize = 300;

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let (deeds, next) = api::overview::deeds(&ask, LIMIT).await?;
    let content = html! {
        h1 { "Audit" }
        p.lead { "Every change that was made here or by the API, and every token that was made or revoked." }
        section.card {
            @if deeds.is_empty() {
                (empty("Nothing was changed yet", html! { "Whoever tries a run again or answers a question is listed here." }))
            } @else {
                table.rows {
                    thead { tr { @for name in ["What", "About", "Who", "When"] { th scope="col" { (name) } } } }
                    tbody { @for deed in &deeds { (row(deed)) } }
                }
            }
            @if let Some(next) = next { p.more { a href=(format!("/audit?cursor={next}")) rel="next" { "What came before" } } }
        }
    };
    Ok(page(&ask, super::AUDIT, "Audit", false, content))
}

fn row(deed: &Deed) -> Markup {
    html! {
        tr {
            td { (said(&cut(&deed.what, TEXT_MAX))) }
            td.wide { (said(&cut(&deed.about, TEXT_MAX))) }
            td.name { (said(&cut(&deed.who, TEXT_MAX))) " " span.quiet { "from " (said(&deed.origin)) } }
            td.last { (time(deed.at_ms)) }
        }
    }
}
