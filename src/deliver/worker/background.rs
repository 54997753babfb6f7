//! What a worker has done on a task of its own, while it goes on with everything else.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio_util::task::AbortOnDropHandle;

use crate::ambient::Tasks;

/// One such piece of work, or none. Nobody waits for one that is dropped: it ends.
#[derive(Default)]
pub(super) enum Background<T> {
    /// Nothing is done.
    #[default]
    Idle,
    Running(AbortOnDropHandle<T>),
    Done(Box<T>),
}

impl<T: Send + 'static> Background<T> {
    /// Begins with something; what was begun before ends.
    pub(super) fn begin(&mut self, tasks: &Tasks, work: impl Future<Output = T> + Send + 'static) {
        *self = Self::Running(AbortOnDropHandle::new(tasks.spawn(work)));
    }

    /// Whether nothing was begun that was not taken.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// Whether something was begun that has not ended.
    pub(super) const fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    /// Takes what came of it, once it has ended.
    pub(super) fn take(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Self::Done(outcome) => Some(*outcome),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Ends what was begun, and forgets what came of it.
    pub(super) fn forget(&mut self) {
        *self = Self::Idle;
    }

    /// Is ready once what was begun has ended; nothing comes of it if it panicked.
    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self::Running(work) = self else { return Poll::Pending };
        let outcome = ready!(Pin::new(work).poll(context));
        *self = outcome.map_or(Self::Idle, |outcome| Self::Done(Box::new(outcome)));
        Poll::Ready(())
    }
}
