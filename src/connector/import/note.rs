//! What was guessed, is not known, or was left out: told once per kind, with the places.

/// One kind of gap, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub what: &'static str,
    /// Operations, objects or schemas; of the whole document if there is none.
    pub places: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    pub fn add(&mut self, what: &'static str, place: impl Into<String>) {
        let place = Some(place.into()).filter(|place| !place.is_empty());
        match self.0.iter_mut().find(|note| note.what == what) {
            Some(note) => note.places.extend(place.filter(|place| !note.places.contains(place))),
            None => self.0.push(Note { what, places: place.into_iter().collect() }),
        }
    }

    pub fn extend(&mut self, note: Note) {
        if note.places.is_empty() {
            self.add(note.what, "");
        }
        note.places.into_iter().for_each(|place| self.add(note.what, place));
    }

    /// Guesses first, then what is not known, then what is left out.
    pub fn told(self) -> Vec<Note> {
        let mut notes = self.0;
        notes.sort_by_key(|note| note.what);
        notes
    }
}
