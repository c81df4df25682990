//! What the turns of this process tell the feed: what is told at the same time goes there as one message.
//!
//! Whoever tells something goes on when the feed has taken it. Who finds nobody sending sends all that is there, as a writer of a
//! log commits for a group: the busier the feed, the more goes together.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::feed::Note;
use super::ingress::{AGAIN, Ingress};
use super::objects;
use crate::store::Error;

#[derive(Default)]
pub(super) struct Outbox {
    /// In the order in which they were told.
    letters: Mutex<VecDeque<Letter>>,
    /// Held by whoever sends.
    sending: tokio::sync::Mutex<()>,
}

struct Letter {
    /// A note, as JSON.
    note: String,
    told: oneshot::Sender<()>,
}

/// Bytes that go together, at most; but for one that is larger. Restate takes 32 MiB.
const BYTES_MAX: usize = 1_000_000;

impl Outbox {
    /// Returns when the feed has taken it. It may be given it twice.
    pub async fn tell(&self, ingress: &Ingress, note: &Note) -> Result<(), Error> {
        let (told, mut is_told) = oneshot::channel();
        self.letters.lock().push_back(Letter { note: serde_json::to_string(note)?, told });
        loop {
            tokio::select! {
                biased;
                // Its sender is kept until then.
                _ = &mut is_told => return Ok(()),
                _sending = self.sending.lock() => self.send(ingress).await,
            }
        }
    }

    /// Sends the first ones. Who is stopped meanwhile leaves them to the next.
    async fn send(&self, ingress: &Ingress) {
        let (count, message) = self.first();
        if count == 0 {
            return;
        }
        let mut is_told = false;
        while let Err(error) = ingress.tell(&objects::feed(), "keep", message.clone()).await {
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(%error, "those who look are not told of what happens: it is tried again");
            }
            tokio::time::sleep(AGAIN).await;
        }
        for letter in self.letters.lock().drain(..count) {
            // Nobody asks any more where the turn was given up.
            let _ = letter.told.send(());
        }
    }

    /// How many go together, and their message: an array of notes.
    fn first(&self) -> (usize, Vec<u8>) {
        let letters = self.letters.lock();
        let (mut count, mut message) = (0, b"[".to_vec());
        for letter in &*letters {
            if count > 0 && message.len() + letter.note.len() > BYTES_MAX {
                break;
            }
            message.extend_from_slice(if count > 0 { b"," } else { b"" });
            message.extend_from_slice(letter.note.as_bytes());
            count += 1;
        }
        message.push(b']');
        (count, message)
    }
}
