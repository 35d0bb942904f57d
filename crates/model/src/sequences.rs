//! The numbers of a cache's running sequences, which start and end independently.

/// Running sequences by number. A released number is reused.
#[derive(Debug)]
pub(crate) struct Sequences<T>(Vec<Option<T>>);

impl<T> Default for Sequences<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Sequences<T> {
    /// Stores a sequence; returns its number.
    pub(crate) fn put(&mut self, sequence: T) -> usize {
        match self.0.iter().position(Option::is_none) {
            Some(free) => {
                self.0[free] = Some(sequence);
                free
            }
            None => {
                self.0.push(Some(sequence));
                self.0.len() - 1
            }
        }
    }

    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        self.0.get(number)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.0.get_mut(number)?.as_mut()
    }

    /// Removes a sequence and returns it.
    pub(crate) fn release(&mut self, number: usize) -> Option<T> {
        self.0.get_mut(number)?.take()
    }

    /// Whether none is running.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// All of them, by number.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = Option<&mut T>> {
        self.0.iter_mut().map(Option::as_mut)
    }
}
