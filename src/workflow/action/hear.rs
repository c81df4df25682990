//! What a listener does: it tells those that wait for its event. Nobody writes it; see [`crate::workflow::listeners`].

/// Tells those that wait.
#[derive(Debug)]
pub struct Hear {
    /// Fields of the event's record, dotted, by which those that wait tell which event is theirs; in the order of the
    /// alphabet.
    pub fields: Vec<String>,
}
