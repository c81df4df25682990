//! `via`: an account whose credential is exchanged for the token of another one.
//!
//! An exchange names a way of auth that is none itself, so that there are no chains and no circles.

use super::Connection;
use super::refused::Refused;
use super::resolve::Site;
use crate::connector::Connector;
use crate::source::{Diagnostic, Report};

/// Every `via` names an account that can lend its credential, of the same tenant or shared.
pub(super) fn check(
    connections: &[Connection],
    connectors: &[Connector],
    site: &Site<'_>,
    refused: &Refused,
    report: &mut Report,
) {
    for connection in connections {
        let connector = connectors.iter().find(|connector| connector.name == connection.connector);
        let of = connector.and_then(|connector| connector.exchange_of(connection.auth.as_deref()));
        let of = of.map(|exchange| exchange.of.as_str());
        let lends = |other: &&Connection| of.is_some_and(|of| why_not(connection, other, of).is_none());
        let pointer = connection.pointer();
        let at = site.at(&format!("{pointer}/via"));
        let found = match (of, &connection.via) {
            (None, None) => continue,
            (None, Some(_)) => Diagnostic::error("no-effect", "`via` is for a way of auth that is an `exchange`")
                .at_key(site.file, &at, "")
                .help("leave it out, or choose such a way under `auth:`"),
            (Some(of), None) => {
                let message = format!("connection `{}` does not say whose credential is exchanged", connection.name);
                let known: Vec<&str> = connections.iter().filter(lends).map(|other| other.name.as_str()).collect();
                let example = known.first().copied().unwrap_or("my-agency");
                let help = format!(
                    "add `via: {example}`: a connection of connector `{}` with `auth: {of}`",
                    connection.connector
                );
                Diagnostic::error("missing-key", message).at_key(site.file, &site.at(&pointer), "").help(help)
            }
            (Some(_), Some(via)) if refused.has("connection", via) => continue,
            (Some(of), Some(via)) => match connections.iter().find(|other| other.name == *via) {
                None => {
                    let names = connections.iter().filter(lends).map(|other| other.name.as_str());
                    let message = format!("no connection is called `{via}`");
                    let found = Diagnostic::error("unknown-connection", message).at(site.file, &at, "");
                    let help = format!("add one of connector `{}` with `auth: {of}`", connection.connector);
                    found.help(help).nearest(via, names)
                }
                Some(other) => match why_not(connection, other, of) {
                    None => continue,
                    Some(why) => {
                        let message = format!("`{via}` cannot lend its credential to `{}`: {why}", connection.name);
                        let help = format!("name one of connector `{}` with `auth: {of}`", connection.connector);
                        Diagnostic::error("wrong-via", message).at(site.file, &at, "").help(help)
                    }
                },
            },
        };
        report.push(found);
    }
}

/// Why an account cannot lend its credential to another one; None: it can.
fn why_not(connection: &Connection, other: &Connection, of: &str) -> Option<String> {
    if other.connector != connection.connector {
        return Some(format!("it is of connector `{}`", other.connector));
    }
    if other.auth.as_deref() != Some(of) {
        return Some(format!("its auth is `{}`, not `{of}`", other.auth.as_deref().unwrap_or("none")));
    }
    match &other.tenant {
        Some(tenant) if connection.tenant.as_ref() != Some(tenant) => Some(format!("it is tenant `{tenant}`'s own")),
        _ => None,
    }
}
