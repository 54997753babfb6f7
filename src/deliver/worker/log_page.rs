//! A page of the log that is read while its worker goes on with everything else: a disk that is slow keeps
//! no command waiting.

use std::sync::Arc;
use std::task::{Context, Poll};

use crate::ambient::guarded;
use crate::deliver::worker::DeliveryContext;
use crate::deliver::worker::background::Background;
use crate::eventlog::{Entry, LogError, Page, Position};

type Entries = Result<Vec<Arc<Entry>>, LogError>;

/// The page that is read, or was read and is not taken yet.
pub(super) struct LogPage {
    size: Page,
    after: Position,
    entries: Background<Entries>,
}

impl LogPage {
    /// Of a worker that looks for matches: one that is behind has a long way to go.
    pub(super) fn long() -> Self {
        Self::of(Page { items: 512, bytes: 512 * 1024 })
    }

    /// Of what is given up together.
    pub(super) fn short() -> Self {
        Self::of(Page::default())
    }

    fn of(size: Page) -> Self {
        Self { size, after: Position::START, entries: Background::Idle }
    }

    /// Takes the page after a place; nothing before it is read, which begins here.
    pub(super) fn after(&mut self, context: &DeliveryContext, place: Position) -> Option<Entries> {
        if self.after != place {
            self.entries.forget();
        }
        if self.entries.is_idle() {
            let (log, size) = (Arc::clone(&context.store.log), self.size);
            self.after = place;
            self.entries.begin(&context.tasks, async move {
                let read = guarded(log.read(place, size)).await;
                // A read that panicked has failed.
                read.unwrap_or(Err(LogError::Broken))
            });
        }
        self.entries.take()
    }

    /// Whether a page is being read.
    pub(super) const fn is_reading(&self) -> bool {
        self.entries.is_running()
    }

    /// Is ready once a page is read that was not.
    pub(super) fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.entries.poll_end(context)
    }

    /// Forgets the page.
    pub(super) fn forget(&mut self) {
        self.entries.forget();
    }
}
