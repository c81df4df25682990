//! The operator's door: a socket in the data folder, which only the folder's owner can open.
//!
//! ```text
//!  dovetail run · reload · hooks · connect · erase · replay · backfill · plan · apply · answer · token · dashboard · tap · dead retry|drop · runs cancel ── one line of JSON ──▶ serve ── one line of JSON ──▶ back
//! ```
//! A process that serves has the store for itself; what a person wants meanwhile is asked of it here. Where there are no
//! such sockets (Windows), it is not served.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::invitations::{Invitation, Invitations};
use crate::clock;
use crate::engine::{
    Backfill, Backfilled, Engine, Hook, Listed, Listening, Progress, Replay, Replayed, SurveyError, Surveyed, Whose,
};
#[cfg(unix)]
use crate::engine::{BackfillError, ByHandError};
use crate::store::{Asked, Deed, HERE, NewToken, Sought};
use crate::sync::Choice;

/// What a person wants.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Start a workflow by hand.
    Run {
        workflow: String,
        inputs: Value,
        whose: Whose,
    },
    /// Try dead letters again, by their ids.
    Retry {
        runs: Vec<String>,
        by: String,
    },
    /// End runs that are not over.
    Cancel {
        runs: Vec<String>,
        by: String,
    },
    /// The URLs to give to senders.
    Hooks {},
    /// An account was connected: what waits for that goes on.
    Connected {
        connection: String,
    },
    /// Give dead letters up.
    Drop {
        runs: Vec<String>,
        by: String,
    },
    /// Start runs once more from events that are kept.
    Replay(Replay),
    /// Tell a workflow of the past, and how far it is, line by line, until either side ends. Without a pace: only tell what there
    /// would be to do.
    Backfill {
        wish: Backfill,
        per_second: Option<u32>,
    },
    /// Tell what happens, line by line, until either side ends.
    Tap(Listening),
    /// Erase what is known of a person.
    Erase {
        sought: Sought,
    },
    /// Read the documents again, and take up what has changed.
    Reload {},
    /// Compare all records of both sides of a sync, and write what is found into this file.
    Survey {
        sync: String,
        tenant: Option<String>,
        deep: bool,
        file: PathBuf,
    },
    /// Do what a survey says; `plan`: only if that is what the survey of this hash said.
    Apply {
        sync: String,
        tenant: Option<String>,
        deep: bool,
        plan: Option<String>,
        file: PathBuf,
    },
    /// What a person has said to a question of a sync.
    Answer {
        number: i64,
        choice: Choice,
    },
    /// What a person says of records of a sync without having been asked.
    Tell {
        asked: Box<Asked>,
    },
    /// Keep a token, of which only the hash is told.
    KeepToken {
        token: NewToken,
        by: String,
    },
    RevokeToken {
        number: i64,
        by: String,
    },
    /// Let somebody in at the dashboard who has this code.
    Invite(Invitation),
}

/// What came of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The id of the run that was started.
    Started {
        run: String,
    },
    Done,
    Hooks {
        hooks: Vec<Hook>,
    },
    /// What was asked for is wrong, in words. `inputs`: it is the inputs.
    Refused {
        why: String,
        inputs: bool,
    },
    Failed {
        why: String,
    },
    Reloaded(Reloaded),
    Replayed(Replayed),
    /// What of the past there is to tell, in so many runs.
    Found {
        listed: Vec<Listed>,
        to_start: usize,
    },
    /// How far it is.
    Backfilling(Backfilled),
    Backfilled(Backfilled),
    /// The number of the token that is kept.
    Kept {
        number: i64,
    },
    /// Where the dashboard is.
    Invited {
        url: String,
    },
    /// The survey is in its file, and so many runs were started.
    Surveyed {
        runs: usize,
    },
}

/// What came of reading the documents again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The documents are those of the present version now. Else they have errors, and the version before stays.
    pub present: bool,
    /// What there is to say, findings among it.
    pub told: String,
}

/// Who wants the documents to be read again; whoever reads them answers.
pub type Reloads = mpsc::Sender<oneshot::Sender<Reloaded>>;

/// Where the socket leads to.
#[derive(Clone)]
pub struct Door {
    pub engine: Engine,
    pub reloads: Reloads,
    /// None: there is no dashboard.
    pub invitations: Option<Invitations>,
}

/// What is done about tokens at the command line, for the audit.
pub fn deed(what: &str, by: &str) -> Deed {
    let (who, what) = (by.to_owned(), what.to_owned());
    Deed { number: 0, at_ms: clock::now_ms(), who, origin: HERE.into(), what, about: String::new() }
}

pub const MADE: &str = "makes a token";
pub const REVOKED: &str = "revokes a token";

pub fn not_in_force(number: i64) -> String {
    format!("there is no token {number} in force; `dovetail token list` shows what there is")
}

/// Larger orders and replies are not read, in bytes.
#[cfg(unix)]
const LINE_MAX: u64 = 1024 * 1024;

/// What is told of a project at most, in bytes.
#[cfg(unix)]
const TOLD_MAX: usize = 128 * 1024;

/// Where the socket is.
#[cfg(unix)]
fn place(data: &Path) -> std::path::PathBuf {
    data.join("control.sock")
}

/// A survey is larger than a reply may be.
#[cfg(unix)]
fn surveyed(surveyed: Result<(Surveyed, usize), SurveyError>, file: &Path) -> Reply {
    let failed = |why: String| Reply::Failed { why };
    match surveyed {
        Ok((surveyed, runs)) => {
            let json = serde_json::to_vec(&surveyed).map_err(|error| error.to_string());
            match json.and_then(|json| std::fs::write(file, json).map_err(|error| error.to_string())) {
                Ok(()) => Reply::Surveyed { runs },
                Err(why) => failed(why),
            }
        }
        Err(SurveyError::Refused(why)) => Reply::Refused { why, inputs: false },
        Err(error) => failed(error.to_string()),
    }
}

#[cfg(unix)]
async fn carry_out(Door { engine, reloads, invitations }: &Door, order: Order) -> Reply {
    let done = match order {
        // Whoever asks has looked for it in the documents of now.
        Order::Run { workflow, .. } if engine.plan().workflow(&workflow).is_none() => {
            let why = format!(
                "`serve` has not taken up the workflow `{workflow}`: ask it to with `dovetail reload`, which says what hinders it"
            );
            return Reply::Refused { why, inputs: false };
        }
        Order::Run { workflow, inputs, whose } => {
            return match engine.by_hand(&workflow, inputs, &whose).await {
                Ok(run) => Reply::Started { run },
                Err(ByHandError::Input(why)) => Reply::Refused { why, inputs: true },
                Err(ByHandError::Nobody(why)) => Reply::Refused { why, inputs: false },
                Err(ByHandError::Store(error)) => Reply::Failed { why: error.to_string() },
            };
        }
        Order::Connected { connection } => engine.connected(&connection).await,
        Order::Hooks {} => return Reply::Hooks { hooks: engine.hooks().await },
        // They are answered by more than a line.
        Order::Tap(_) | Order::Backfill { .. } => return Reply::Done,
        Order::Replay(replay) => {
            return match engine.replay(&replay).await {
                Ok(replayed) => Reply::Replayed(replayed),
                Err(error) => Reply::Failed { why: error.to_string() },
            };
        }
        Order::Reload {} => return Reply::Reloaded(reload(reloads).await),
        Order::Survey { sync, tenant, deep, file } => {
            return surveyed(
                engine.survey(&sync, tenant.as_deref(), deep, &Progress::default()).await.map(|found| (found, 0)),
                &file,
            );
        }
        Order::Apply { sync, tenant, deep, plan, file } => {
            return surveyed(
                engine.apply(&sync, tenant.as_deref(), deep, plan.as_deref(), &Progress::default()).await,
                &file,
            );
        }
        Order::Answer { number, choice } => engine.answer(number, &choice).await,
        Order::Tell { asked } => engine.tell(*asked).await,
        Order::KeepToken { token, by } => {
            return match engine.keep_token(token, deed(MADE, &by)).await {
                Ok(number) => Reply::Kept { number },
                Err(error) => Reply::Failed { why: error.to_string() },
            };
        }
        Order::RevokeToken { number, by } => {
            return match engine.revoke_token(number, deed(REVOKED, &by)).await {
                Ok(true) => Reply::Done,
                Ok(false) => Reply::Refused { why: not_in_force(number), inputs: false },
                Err(error) => Reply::Failed { why: error.to_string() },
            };
        }
        Order::Invite(invitation) => {
            let Some(invitations) = invitations else {
                let why = "`serve` runs without a dashboard: start it without `--dashboard off`".into();
                return Reply::Refused { why, inputs: false };
            };
            invitations.add(invitation, clock::now_ms());
            return Reply::Invited { url: invitations.url.clone() };
        }
        Order::Erase { sought } => engine.erase(&sought).await,
        Order::Retry { runs, by } => engine.retry(&runs, &by).await,
        Order::Cancel { runs, by } => engine.cancel(&runs, &by).await,
        Order::Drop { runs, by } => engine.drop_dead(&runs, &by).await,
    };
    done.map_or_else(|error| Reply::Failed { why: error.to_string() }, |()| Reply::Done)
}

/// Has the documents read again.
pub async fn reload(reloads: &Reloads) -> Reloaded {
    let (tell, told) = oneshot::channel();
    let stops = || Reloaded { present: false, told: "`serve` is about to stop".into() };
    if reloads.send(tell).await.is_err() {
        return stops();
    }
    let mut reloaded = told.await.unwrap_or_else(|_| stops());
    // As JSON each character may need six bytes.
    let end = reloaded.told.floor_char_boundary(TOLD_MAX);
    if end < reloaded.told.len() {
        reloaded.told.truncate(end);
        reloaded.told.push_str(" … `dovetail check` tells the rest");
    }
    reloaded
}

#[cfg(unix)]
mod socket {
    use std::io;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::time::Duration;

    use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
    use tokio::net::{UnixListener, UnixStream};
    use tokio::sync::watch;

    use super::{Backfill, BackfillError, Backfilled, Door, LINE_MAX, Order, Path, Reply, carry_out, place};
    use crate::engine::{Engine, Happened, Tapping};

    /// What is sent in this time, or not at all.
    const TIMEOUT: Duration = Duration::from_secs(10);

    /// Before another try, where the system gives no connection.
    const AGAIN: Duration = Duration::from_millis(50);

    /// Opens the door; ends with the process, or when the caller drops it.
    ///
    /// # Errors
    /// The socket cannot be made: the path is too long for one, or the folder cannot be written to.
    pub async fn open(door: Door, data: &Path) -> io::Result<impl Future<Output = ()> + use<>> {
        let path = place(data);
        // Left by a process that was killed: who has the store has the socket.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let owner = std::fs::metadata(&path)?.uid();
        Ok(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // Too many files are open, most likely: others end first.
                    tokio::time::sleep(AGAIN).await;
                    continue;
                };
                // The mode came after the socket.
                let is_owner = stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0);
                if is_owner {
                    let door = door.clone();
                    tokio::spawn(async move { serve(&door, stream).await });
                }
            }
        })
    }

    async fn serve(door: &Door, stream: UnixStream) {
        let (reader, mut writer) = stream.into_split();
        let mut line = String::new();
        let mut reader = BufReader::new(reader.take(LINE_MAX));
        let read = tokio::time::timeout(TIMEOUT, reader.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(1..))) {
            return;
        }
        let reply = match serde_json::from_str::<Order>(&line) {
            Ok(Order::Tap(of)) => match door.engine.listen(of) {
                Some(tapping) => return tell_all(&door.engine, tapping, reader, writer).await,
                None => Reply::Failed { why: "too many listen already".to_owned() },
            },
            Ok(Order::Backfill { wish, per_second }) => {
                let mut end = [0];
                tokio::select! {
                    reply = backfill(&door.engine, &wish, per_second, &mut writer) => reply,
                    // Whoever asked has left: what is not started yet is left, too.
                    _ = reader.read(&mut end) => return,
                }
            }
            Ok(order) => carry_out(door, order).await,
            Err(error) => Reply::Failed { why: format!("the order cannot be read: {error}") },
        };
        tell(&reply, &mut writer).await;
    }

    async fn tell(reply: &Reply, writer: &mut (impl AsyncWrite + Unpin)) {
        if let Ok(mut text) = serde_json::to_string(reply) {
            text.push('\n');
            let _ = tokio::time::timeout(TIMEOUT, writer.write_all(text.as_bytes())).await;
        }
    }

    /// Tells first what there is, then how far it is, at the listener's pace; gives what is said at the end.
    async fn backfill(
        engine: &Engine,
        wish: &Backfill,
        per_second: Option<u32>,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Reply {
        let refused = |error| match error {
            BackfillError::Refused(why) => Reply::Refused { why, inputs: false },
            error => Reply::Failed { why: error.to_string() },
        };
        let past = match engine.past(wish).await {
            Ok(past) => past,
            Err(error) => return refused(error),
        };
        let found = Reply::Found { listed: past.listed.clone(), to_start: past.to_start() };
        let Some(per_second) = per_second else { return found };
        tell(&found, writer).await;
        let (far, mut how_far) = watch::channel(Backfilled::default());
        let filling = engine.backfill(past, per_second, |done| _ = far.send_replace(done));
        tokio::pin!(filling);
        loop {
            tokio::select! {
                done = &mut filling => return done.map_or_else(refused, Reply::Backfilled),
                Ok(()) = how_far.changed() => {
                    let done = *how_far.borrow_and_update();
                    tell(&Reply::Backfilling(done), writer).await;
                }
            }
        }
    }

    /// Tells a listener what happens, at its pace, until it leaves.
    async fn tell_all(
        engine: &Engine,
        mut tapping: Tapping,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
    ) {
        let mut next = Some(Happened::Listening);
        while let Some(happened) = next {
            let Ok(mut text) = serde_json::to_string(&happened) else { return };
            text.push('\n');
            let mut end = [0];
            tokio::select! {
                written = writer.write_all(text.as_bytes()) => if written.is_err() { return },
                _ = reader.read(&mut end) => return,
            }
            next = tokio::select! {
                happened = engine.heard(&mut tapping) => happened,
                _ = reader.read(&mut end) => return,
            };
        }
    }

    /// Has whoever serves this data folder tell lines, until it ends or `see` has seen enough. False if nobody serves it.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn follow(data: &Path, order: &Order, mut see: impl FnMut(&str) -> bool) -> io::Result<bool> {
        let Ok(stream) = UnixStream::connect(place(data)).await else { return Ok(false) };
        let (reader, mut writer) = stream.into_split();
        let mut text = serde_json::to_string(order)?;
        text.push('\n');
        writer.write_all(text.as_bytes()).await?;
        let mut lines = BufReader::new(reader).lines();
        while let Some(line) = lines.next_line().await? {
            if !see(&line) {
                break;
            }
        }
        Ok(true)
    }

    /// Does anybody serve this data folder?
    pub async fn is_served(data: &Path) -> bool {
        UnixStream::connect(place(data)).await.is_ok()
    }

    /// Asks whoever serves this data folder; None if nobody does.
    ///
    /// # Errors
    /// The connection broke, or the answer is none of ours: it is not known what was done.
    pub async fn ask(data: &Path, order: &Order) -> io::Result<Option<Reply>> {
        let Ok(stream) = UnixStream::connect(place(data)).await else { return Ok(None) };
        let (reader, mut writer) = stream.into_split();
        let mut text = serde_json::to_string(order)?;
        text.push('\n');
        writer.write_all(text.as_bytes()).await?;
        let mut line = String::new();
        BufReader::new(reader.take(LINE_MAX)).read_line(&mut line).await?;
        Ok(Some(serde_json::from_str(&line)?))
    }
}

#[cfg(not(unix))]
mod socket {
    use std::io;

    use super::{Door, Order, Path, Reply};

    /// There is no such door here.
    ///
    /// # Errors
    /// None.
    pub async fn open(_: Door, _: &Path) -> io::Result<impl Future<Output = ()> + use<>> {
        Ok(std::future::pending())
    }

    /// Nobody can be heard here.
    ///
    /// # Errors
    /// None.
    pub async fn follow(_: &Path, _: &Order, _: impl FnMut(&str) -> bool) -> io::Result<bool> {
        Ok(false)
    }

    pub async fn is_served(_: &Path) -> bool {
        false
    }

    /// Nobody can be asked here.
    ///
    /// # Errors
    /// None.
    pub async fn ask(_: &Path, _: &Order) -> io::Result<Option<Reply>> {
        Ok(None)
    }
}

pub use socket::{ask, follow, is_served, open};
