//! The entries that a walk through an event has found, each once.

/// Entries that are found together.
#[derive(Debug)]
pub(super) struct Bucket {
    number: usize,
    entries: Vec<u32>,
}

/// Numbers the buckets of an index, from 0.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    count: usize,
}

impl Buckets {
    pub(super) const fn next(&mut self) -> Bucket {
        let number = self.count;
        self.count += 1;
        Bucket { number, entries: Vec::new() }
    }
}

impl Bucket {
    pub(super) fn push(&mut self, entry: u32) {
        self.entries.push(entry);
    }
}

/// What is found in one event.
///
/// An event can hold thousands of values that find the same thousands of entries, so a bucket is
/// opened only once, and nothing is kept twice.
pub(super) struct Found {
    opened: Vec<bool>,
    seen: Vec<bool>,
    entries: Vec<u32>,
}

impl Found {
    pub(super) fn new(buckets: &Buckets, entries: usize) -> Self {
        Self { opened: vec![false; buckets.count], seen: vec![false; entries], entries: Vec::new() }
    }

    pub(super) fn open(&mut self, bucket: &Bucket) {
        if let Some(opened) = self.opened.get_mut(bucket.number)
            && !std::mem::replace(opened, true)
        {
            bucket.entries.iter().for_each(|&entry| self.add(entry));
        }
    }

    pub(super) fn add(&mut self, entry: u32) {
        let seen = usize::try_from(entry).ok().and_then(|entry| self.seen.get_mut(entry));
        if seen.is_some_and(|seen| !std::mem::replace(seen, true)) {
            self.entries.push(entry);
        }
    }

    /// Tells whether there is nothing left to find.
    pub(super) const fn is_everything(&self) -> bool {
        self.entries.len() == self.seen.len()
    }

    /// The entries in ascending order.
    pub(super) fn into_sorted(mut self) -> Vec<u32> {
        self.entries.sort_unstable();
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_once_however_often_it_is_met() {
        let mut buckets = Buckets::default();
        let (mut one, mut two) = (buckets.next(), buckets.next());
        one.push(3);
        one.push(0);
        two.push(3);
        let mut found = Found::new(&buckets, 5);

        for _ in 0..3 {
            found.open(&one);
            found.open(&two);
            found.add(1);
        }

        assert!(!found.is_everything());
        assert_eq!(found.into_sorted(), [0, 1, 3]);
    }
}
