//! How `serve` takes up changed documents: read and checked whole, then at once, or not at all.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use tokio::sync::{mpsc, oneshot, watch};

use super::watch::Watch;
use super::{Operator, Project, check, folder, say, secrets, vault};
use crate::engine::{Engine, Hook};
use crate::project::Plan;
use crate::server::control::Reloaded;

pub struct Reloading {
    engine: Engine,
    secrets: Arc<secrets::Source>,
    project: Project,
    operator: Operator,
    address: SocketAddr,
    /// URLs that were told already.
    hooks: Vec<Hook>,
    /// As well as warnings.
    warned: Vec<String>,
    /// What was told last, of documents that were not taken up.
    refused: watch::Sender<Option<String>>,
}

impl Reloading {
    pub fn new(
        engine: Engine,
        secrets: Arc<secrets::Source>,
        project: Project,
        operator: Operator,
        address: SocketAddr,
    ) -> Result<Reloading> {
        let warned = operator.warnings(&engine.plan(), &secrets)?;
        Ok(Reloading {
            engine,
            secrets,
            project,
            operator,
            address,
            hooks: Vec::new(),
            warned,
            refused: watch::Sender::default(),
        })
    }

    /// What was told last of changes that were not taken up; None: what is served is what was read last.
    pub fn refused(&self) -> watch::Receiver<Option<String>> {
        self.refused.subscribe()
    }

    /// Reads the documents again whenever somebody asks for it, and when they change.
    pub async fn for_ever(mut self, mut asked: mpsc::Receiver<oneshot::Sender<Reloaded>>, watches: bool) {
        let mut watch = Watch::new(&self.project.project, self.secrets.path());
        let mut hangup = Hangup::new();
        if watches && let Err(error) = watch.look(self.engine.plan().documents.iter()) {
            say::warning(&format!("changes of documents are not noticed ({error}): `dovetail reload` takes them up"));
        }
        loop {
            let asks = tokio::select! {
                Some(asks) = asked.recv() => Some(asks),
                () = hangup.next() => None,
                () = watch.changed(), if watches => None,
            };
            let (reloaded, is_news) = self.reload().await;
            if is_news || asks.is_some() {
                say::talk(&reloaded.told);
            }
            // Whoever asked may have gone.
            let _ = asks.map(|asks| asks.send(reloaded));
            if watches {
                // What is not watched yet is taken up when somebody asks.
                let _ = watch.look(self.engine.plan().documents.iter());
            }
        }
    }

    /// Gives also whether there is anything new to say.
    async fn reload(&mut self) -> (Reloaded, bool) {
        match self.take_up().await {
            Ok(Some(told)) => {
                self.refused.send_replace(None);
                (Reloaded { present: true, told }, true)
            }
            Ok(None) => {
                let is_news = self.refused.send_replace(None).is_some();
                let told = "nothing has changed: the documents are those that are served".into();
                (Reloaded { present: true, told }, is_news)
            }
            Err(why) => {
                let told =
                    format!("{why:#}\nthe changed documents are not taken up: what was served before is served on");
                let is_news = self.refused.send_replace(Some(told.clone())).as_ref() != Some(&told);
                (Reloaded { present: false, told }, is_news)
            }
        }
    }

    /// Gives what there is to say of the new version; None if it is the present one.
    ///
    /// # Errors
    /// What hinders it, in words; nothing has changed then.
    async fn take_up(&mut self) -> Result<Option<String>> {
        let (folder, environment) = (self.project.project.clone(), self.project.env.clone());
        let loaded = tokio::task::spawn_blocking(move || folder::load(&folder, environment.as_deref())).await??;
        let told = check::told(&loaded, false);
        let Some(plan) = loaded.plan else { anyhow::bail!("{told}") };
        self.refuse(&plan)?;
        let other_secrets = self.secrets.read()?;
        let warnings = self.operator.warnings(&plan, &self.secrets)?;
        let mut lines = Vec::new();
        if other_secrets {
            self.engine.ask_again();
            lines.push("the secrets are those of the changed file now".to_string());
        }
        if self.engine.reload(plan).await? {
            lines.push(format!("the changed documents are served now: {told}"));
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let fresh = warnings.iter().filter(|warning| !self.warned.contains(warning));
        lines.extend(fresh.map(|warning| format!("warning: {warning}")));
        self.warned = warnings;
        lines.extend(self.new_hooks().await);
        Ok(Some(lines.join("\n")))
    }

    /// # Errors
    /// It needs what only a start can give.
    fn refuse(&self, plan: &Plan) -> Result<()> {
        if self.secrets.vault().is_none()
            && let Some(connection) = vault::are_granted(plan).next()
        {
            anyhow::bail!(
                "connection `{}` is granted tokens, and they are sealed: make a key with `dovetail key dovetail.key`, \
                 and start `serve` again with `--key-file dovetail.key`",
                connection.name
            );
        }
        Ok(())
    }

    /// The URLs to give to senders that were not told before, in lines.
    pub async fn new_hooks(&mut self) -> Vec<String> {
        let hooks = self.engine.hooks().await;
        let fresh = hooks.iter().filter(|hook| !self.hooks.contains(hook));
        let lines = fresh.flat_map(|hook| {
            let url = format!("  POST http://{}{}", self.address, hook.path);
            [url, format!("       {}, {}", hook.source, hook.proof)]
        });
        let lines = lines.collect();
        self.hooks = hooks;
        lines
    }
}

/// The signal HUP, where there are signals.
struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    fn new() -> Hangup {
        Hangup {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
