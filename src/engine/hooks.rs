//! The URLs of webhooks: signed ones are public, those without a signature are secrets themselves.

use serde_json::Value;
use subtle::ConstantTimeEq;

use super::Engine;
use crate::connector::{Scheme, VerifyRule};
use crate::workflow::Starts;

/// A URL to give to a sender.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hook {
    /// `/hooks/crm`
    pub path: String,
    /// What sends there.
    pub source: String,
    /// How a delivery proves itself, in words.
    pub proof: String,
}

impl Engine {
    /// The URLs to give to senders.
    pub async fn hooks(&self) -> Vec<Hook> {
        let plan = self.plan();
        let mut sources: Vec<(String, String, &[VerifyRule])> = Vec::new();
        for connector in &plan.connectors {
            let used = plan.connections.iter().any(|connection| connection.connector == connector.name);
            if let Some(webhooks) = connector.webhooks.as_ref().filter(|_| used) {
                sources.push((format!("/{}", connector.name), connector.name.clone(), &webhooks.verify));
            }
        }
        for workflow in &plan.workflows {
            if let Starts::Webhook { path, verify, .. } = &workflow.trigger.starts {
                sources.push((path.clone(), format!("workflow {}", workflow.name), verify));
            }
        }
        let mut hooks = Vec::new();
        for (path, source, rules) in sources {
            let (path, proof) = if rules.is_empty() {
                let Some(token) = self.hook_token(&path).await else { continue };
                (format!("/hooks{path}/{token}"), "the secret URL itself".to_string())
            } else {
                (format!("/hooks{path}"), proof(rules))
            };
            hooks.push(Hook { path, source, proof });
        }
        hooks
    }

    /// Is this the random part of a path's URL? Compared in constant time.
    pub(super) async fn is_token(&self, path: &str, token: Option<&str>) -> bool {
        let known = self.hook_token(path).await;
        known.zip(token).is_some_and(|(known, token)| known.as_bytes().ct_eq(token.as_bytes()).into())
    }

    /// The random part of the URL of a webhook without signature; made once, kept for good.
    async fn hook_token(&self, path: &str) -> Option<String> {
        let key = format!("hook:{path}");
        if let Ok(Some(Value::String(token))) = self.inner.hands.cursor(self, &key).await {
            return Some(token);
        }
        let mut random = [0u8; 24];
        getrandom::fill(&mut random).ok()?;
        let token = Value::String(hex::encode(random));
        match self.inner.hands.begin_cursor(self, &key, token).await {
            Ok(Value::String(token)) => Some(token),
            _ => None,
        }
    }
}

/// How deliveries prove themselves, in words: `signature in X-Signature or token in X-Token`.
fn proof(rules: &[VerifyRule]) -> String {
    let mut words: Vec<String> = Vec::new();
    for rule in rules {
        let what = match &rule.scheme {
            Scheme::Signature(_) | Scheme::StandardWebhooks { .. } => "signature",
            Scheme::Basic { .. } => "user and password",
            Scheme::Token { .. } => "token",
        };
        let word = format!("{what} in {}", rule.header);
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" or ")
}
