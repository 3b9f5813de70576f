//! What a table has let go.

/// Things to be dropped later, where no lock is held. One takes no memory of its own, and more than one is rare.
#[derive(Debug)]
pub(super) struct Gone<T> {
    first: Option<T>,
    others: Vec<T>,
}

impl<T> Default for Gone<T> {
    fn default() -> Self {
        Self { first: None, others: Vec::new() }
    }
}

impl<T> Extend<T> for Gone<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, things: I) {
        for thing in things {
            match &self.first {
                None => self.first = Some(thing),
                Some(_) => self.others.push(thing),
            }
        }
    }
}
