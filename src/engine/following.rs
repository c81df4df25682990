//! Tasks that follow the project: one for each list and each schedule that it names, begun and ended by difference.

use std::collections::HashMap;

use parking_lot::Mutex;

/// What is followed, by key.
pub(super) struct Following<T> {
    /// None: its task is told to end, and has not yet.
    followed: Mutex<HashMap<String, Option<T>>>,
}

impl<T> Default for Following<T> {
    fn default() -> Self {
        Following { followed: Mutex::default() }
    }
}

impl<T: Clone> Following<T> {
    /// From now on these are followed, and no others. Gives the keys that have no task yet.
    pub fn follow(&self, wanted: impl IntoIterator<Item = (String, T)>) -> Vec<String> {
        let mut followed = self.followed.lock();
        followed.values_mut().for_each(|of| *of = None);
        let mut fresh = Vec::new();
        for (key, of) in wanted {
            if followed.insert(key.clone(), Some(of)).is_none() {
                fresh.push(key);
            }
        }
        fresh
    }

    /// Is it followed as before?
    pub fn is(&self, key: &str, of: &T) -> bool
    where
        T: PartialEq,
    {
        self.followed.lock().get(key).is_some_and(|known| known.as_ref() == Some(of))
    }

    /// What a task follows; None: it ends now.
    pub fn followed(&self, key: &str) -> Option<T> {
        let mut followed = self.followed.lock();
        let of = followed.get(key).cloned().flatten();
        if of.is_none() {
            followed.remove(key);
        }
        of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(following: &Following<u8>, wanted: &[(&str, u8)]) -> Vec<String> {
        following.follow(wanted.iter().map(|(key, of)| ((*key).to_string(), *of)))
    }

    #[test]
    fn each_key_has_one_task_however_often_it_goes_and_comes() {
        let following = Following::default();
        assert_eq!(follow(&following, &[("a", 1), ("b", 1)]), ["a", "b"]);
        assert_eq!(follow(&following, &[("a", 2)]), Vec::<String>::new());
        assert_eq!(following.followed("a"), Some(2), "it is told of the change");
        assert_eq!(follow(&following, &[("b", 3)]), Vec::<String>::new(), "its task has not ended");
        assert_eq!(following.followed("b"), Some(3));
        assert_eq!(following.followed("a"), None);
        assert_eq!(follow(&following, &[("a", 4), ("b", 3)]), ["a"], "its task has ended");
    }
}
