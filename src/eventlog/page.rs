//! How much is read at once.

/// How much to read at once: whichever bound is met first, but always one if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The most items.
    pub items: usize,
    /// The most bytes of data.
    pub bytes: usize,
}

impl Default for Page {
    /// 256 items, 1 MiB.
    fn default() -> Self {
        Self { items: 256, bytes: 1024 * 1024 }
    }
}

/// Counts what goes into a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling {
    page: Page,
    empty: bool,
}

impl Filling {
    /// Starts an empty page.
    pub(super) const fn new(page: Page) -> Self {
        Self { page, empty: true }
    }

    /// Takes one more item of so many bytes if there is room; an empty page has room for any one.
    pub(super) fn accepts(&mut self, bytes: usize) -> bool {
        let fits = self.page.items > 0 && (self.empty || bytes <= self.page.bytes);
        if fits {
            self.empty = false;
            self.page.items -= 1;
            self.page.bytes = self.page.bytes.saturating_sub(bytes);
        }
        fits
    }

    /// Tells whether there is certainly no room for another item.
    pub(super) const fn is_full(&self) -> bool {
        self.page.items == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_bounded_by_items_and_bytes_and_never_empty_for_size() {
        let mut page = Filling::new(Page { items: 2, bytes: 10 });
        assert!(page.accepts(50));
        assert!(!page.accepts(1));

        let mut page = Filling::new(Page { items: 2, bytes: 10 });
        assert_eq!([page.accepts(4), page.accepts(4), page.accepts(1)], [true, true, false]);
    }
}
