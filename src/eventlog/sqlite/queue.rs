//! What waits for the writer: bounded in bytes, which is the backpressure of the way in, and taken in
//! groups.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::event::{SubscriptionId, Timestamp};
use crate::eventlog::{
    ActionEnd, ActionId, Aged, Appended, Changes, CommitError, DeadLetterId, DeliveryKey, Draft,
    DroppedDeadLetter, KeptEntry, KeptSignature, LogError, NewAction, NewQuarantined, NewSchema,
    Position, QuarantineId, QuarantineQuota, RecordKey, Retention, Retry, Revision, Trimmed,
    UnreadBytes,
};

/// A group is closed at so many bytes or requests, whichever is met first.
const GROUP_BYTES: usize = 1024 * 1024;
const GROUP_REQUESTS: usize = 512;

/// How long changes of the delivery state, and signatures, may wait for an append to ride with.
const RIDE: Duration = Duration::from_millis(20);
/// How long an idle writer waits before it looks at its clock.
const IDLE: Duration = Duration::from_mins(1);

/// Where an answer goes; nobody may be there any more.
pub(super) type Reply<T> = oneshot::Sender<Result<T, LogError>>;

/// One thing to write, and where its answer goes.
pub(super) enum WriteRequest {
    Append(Vec<Draft>, Reply<Vec<Appended>>),
    Quarantine(Vec<NewQuarantined>, QuarantineQuota, Reply<Vec<KeptEntry>>),
    QuarantineBytes(Vec<UnreadBytes>, QuarantineQuota, Reply<Vec<KeptEntry>>),
    Unquarantine(QuarantineId, Reply<bool>),
    Revive(Vec<(DeadLetterId, Retry)>, Reply<Vec<Retry>>),
    Dismiss(SubscriptionId, DeadLetterId, Reply<bool>),
    ByAge(AgeRequest),
    DropDeadLetters(SubscriptionId, (usize, u64), Reply<Vec<DroppedDeadLetter>>),
    DropReceipts(SubscriptionId, usize, Reply<usize>),
    Commit(Changes, oneshot::Sender<Result<(), CommitError>>),
    Forget(SubscriptionId, Reply<bool>),
    PruneSequenceCheckpoints(String, Position, Reply<Option<String>>),
    Trim(Retention, Reply<Trimmed>),
    Put(RecordKey, Option<Revision>, String, Reply<Revision>),
    Remove(RecordKey, Revision, Reply<()>),
    KeepSchemas(Vec<NewSchema>, Reply<()>),
    KeepOldSchemas(Vec<NewSchema>, Reply<()>),
    KeepSignature(KeptSignature, Timestamp, Reply<()>),
    BeginAction(NewAction, Reply<ActionId>),
    EndAction(ActionId, ActionEnd, Reply<()>),
}

/// Something that goes by an age.
pub(super) enum AgeRequest {
    Find(Duration, Reply<Aged>),
    ExpireDeadLetters(Duration, usize, Reply<Vec<(DeliveryKey, Arc<str>)>>),
    ExpireQuarantined(Duration, usize, Reply<Vec<Arc<str>>>),
}

impl AgeRequest {
    fn refuse(self, error: LogError) -> Option<()> {
        match self {
            Self::Find(_, reply) => reply.send(Err(error)).err().map(drop),
            Self::ExpireDeadLetters(_, _, reply) => reply.send(Err(error)).err().map(drop),
            Self::ExpireQuarantined(_, _, reply) => reply.send(Err(error)).err().map(drop),
        }
    }
}

impl WriteRequest {
    /// The bytes that count against what may wait: those that come from outside.
    fn weight(&self) -> usize {
        match self {
            Self::Append(drafts, _) => drafts.iter().map(Draft::weight).sum(),
            Self::Quarantine(batch, ..) => batch.iter().map(NewQuarantined::weight).sum(),
            Self::QuarantineBytes(batch, ..) => batch.iter().map(UnreadBytes::weight).sum(),
            _ => 0,
        }
    }

    /// Whether it needs room on the disk for what comes from outside.
    pub(super) const fn grows(&self) -> bool {
        matches!(
            self,
            Self::Append(..)
                | Self::Quarantine(..)
                | Self::QuarantineBytes(..)
                | Self::KeepSignature(..)
        )
    }

    /// Whether it waits for an append that follows it, to be written with it and before it.
    const fn rides(&self) -> bool {
        matches!(self, Self::Commit(..) | Self::KeepSignature(..))
    }

    /// Answers with an error.
    pub(super) fn refuse(self, error: LogError) {
        // An answer that nobody waits for is dropped.
        let _ = match self {
            Self::Append(_, reply) => reply.send(Err(error)).err().map(drop),
            Self::Quarantine(_, _, reply) | Self::QuarantineBytes(_, _, reply) => {
                reply.send(Err(error)).err().map(drop)
            }
            Self::Unquarantine(_, reply) | Self::Forget(_, reply) | Self::Dismiss(_, _, reply) => {
                reply.send(Err(error)).err().map(drop)
            }
            Self::ByAge(request) => request.refuse(error),
            Self::Revive(_, reply) => reply.send(Err(error)).err().map(drop),
            Self::DropDeadLetters(_, _, reply) => reply.send(Err(error)).err().map(drop),
            Self::DropReceipts(_, _, reply) => reply.send(Err(error)).err().map(drop),
            Self::PruneSequenceCheckpoints(_, _, reply) => reply.send(Err(error)).err().map(drop),
            Self::Commit(changes, reply) => {
                reply.send(Err(CommitError::of(error, changes))).err().map(drop)
            }
            Self::Remove(_, _, reply)
            | Self::KeepSchemas(_, reply)
            | Self::KeepOldSchemas(_, reply)
            | Self::KeepSignature(_, _, reply)
            | Self::EndAction(_, _, reply) => reply.send(Err(error)).err().map(drop),
            Self::Trim(_, reply) => reply.send(Err(error)).err().map(drop),
            Self::BeginAction(_, reply) => reply.send(Err(error)).err().map(drop),
            Self::Put(_, _, _, reply) => reply.send(Err(error)).err().map(drop),
        };
    }
}

/// Whether requests are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    Closed,
    Broken,
}

struct Waiting {
    door: Door,
    requests: VecDeque<(WriteRequest, usize)>,
    /// State changes and signatures, which start no group of their own at once.
    riders: Vec<WriteRequest>,
    /// Since when the first of them waits.
    riding: Option<Instant>,
    bytes: usize,
    /// Whether the last group found the disk full.
    lacks_room: bool,
}

/// Requests that wait to be written.
pub(super) struct Queue {
    limit: usize,
    waiting: Mutex<Waiting>,
    arrival: Condvar,
}

/// Requests that are written together.
pub(super) struct Group {
    /// In the order in which they came.
    pub(super) requests: Vec<WriteRequest>,
    /// What they weigh, to be released when they are done.
    pub(super) bytes: usize,
}

impl Waiting {
    /// Riders go first, so that a later request to forget their subscription finds them written.
    ///
    /// Once the disk was found full, what needs room is not tried together with what makes room.
    fn take_group(&mut self) -> Option<Group> {
        let makes_room = match self.requests.front() {
            Some((WriteRequest::Trim(..), _)) => Some(true),
            // What is to be dropped is asked for first.
            Some((WriteRequest::ByAge(_), _)) => Some(false),
            _ => None,
        };
        let lacked_room = std::mem::take(&mut self.lacks_room);
        if let (true, Some(is_trim)) = (lacked_room, makes_room) {
            self.lacks_room = !is_trim;
            return self
                .requests
                .pop_front()
                .map(|(one, bytes)| Group { requests: vec![one], bytes });
        }
        let mut group = Group { requests: std::mem::take(&mut self.riders), bytes: 0 };
        self.riding = None;
        while group.requests.len() < GROUP_REQUESTS
            && group.bytes < GROUP_BYTES
            && let Some((request, bytes)) = self.requests.pop_front()
        {
            group.requests.push(request);
            group.bytes += bytes;
        }
        (!group.requests.is_empty()).then_some(group)
    }
}

impl Queue {
    /// Starts empty, with a limit of bytes that may wait or be on their way to the disk; one request may
    /// be larger, if it is alone.
    pub(super) fn new(limit: usize) -> Self {
        let waiting = Waiting {
            door: Door::Open,
            requests: VecDeque::new(),
            riders: Vec::new(),
            riding: None,
            bytes: 0,
            lacks_room: false,
        };
        Self { limit, waiting: Mutex::new(waiting), arrival: Condvar::new() }
    }

    /// Adds a request, or refuses it.
    pub(super) fn push(&self, request: WriteRequest) -> Result<(), LogError> {
        let mut waiting = self.lock();
        match waiting.door {
            Door::Open => {}
            Door::Closed => return Err(LogError::Closed),
            Door::Broken => return Err(LogError::Broken),
        }
        let bytes = request.weight();
        // What is over the limit by itself would be refused for ever: it gets in while nothing waits.
        if bytes > 0 && waiting.bytes > 0 && waiting.bytes.saturating_add(bytes) > self.limit {
            return Err(LogError::Busy { waiting: waiting.bytes, limit: self.limit });
        }
        waiting.bytes += bytes;
        if request.rides() {
            waiting.riders.push(request);
            waiting.riding.get_or_insert_with(Instant::now);
        } else {
            waiting.requests.push_back((request, bytes));
        }
        self.arrival.notify_one();
        Ok(())
    }

    /// Notes that a group found the disk full.
    pub(super) fn found_full(&self) {
        self.lock().lacks_room = true;
    }

    /// Waits for something to write; nothing once the queue is closed and empty. Of a minute in which
    /// nothing came, the group is empty.
    pub(super) fn next_group(&self) -> Option<Group> {
        let quiet =
            |waiting: &mut Waiting| waiting.requests.is_empty() && waiting.door == Door::Open;
        let (waiting, idle) = self
            .arrival
            .wait_timeout_while(self.lock(), IDLE, |waiting| {
                quiet(waiting) && waiting.riders.is_empty()
            })
            .unwrap_or_else(PoisonError::into_inner);
        if idle.timed_out() {
            return Some(Group { requests: Vec::new(), bytes: 0 });
        }
        // Riders alone wait for company; requests, or the closing of the door, do not. What they waited
        // while the group before was written counts.
        let waited = waiting.riding.map_or(Duration::ZERO, |since| since.elapsed());
        let (mut waiting, _) = self
            .arrival
            .wait_timeout_while(waiting, RIDE.saturating_sub(waited), quiet)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.take_group()
    }

    /// Makes room after a group was written or has failed.
    pub(super) fn release(&self, bytes: usize) {
        let mut waiting = self.lock();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
    }

    /// Takes nothing more; what waits is still written.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        if waiting.door == Door::Open {
            waiting.door = Door::Closed;
        }
        self.arrival.notify_all();
    }

    /// Takes nothing more and refuses what waits.
    pub(super) fn break_down(&self) {
        let mut waiting = self.lock();
        waiting.door = Door::Broken;
        waiting.bytes = 0;
        let requests: Vec<_> = waiting.requests.drain(..).map(|(request, _)| request).collect();
        let riders = std::mem::take(&mut waiting.riders);
        drop(waiting);
        riders.into_iter().chain(requests).for_each(|request| request.refuse(LogError::Broken));
    }

    /// Tells whether nothing more is taken.
    pub(super) fn is_closing(&self) -> bool {
        self.lock().door != Door::Open
    }

    /// Tells whether a write has failed.
    pub(super) fn is_broken(&self) -> bool {
        self.lock().door == Door::Broken
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_full_disk_what_makes_room_goes_alone_and_so_does_the_question_before_it() {
        let queue = Queue::new(1_000);
        let push = |request| queue.push(request).unwrap();
        push(WriteRequest::Commit(Changes::default(), oneshot::channel().0));
        push(WriteRequest::ByAge(AgeRequest::Find(Duration::ZERO, oneshot::channel().0)));
        push(WriteRequest::Trim(Retention::default(), oneshot::channel().0));
        push(WriteRequest::Append(Vec::new(), oneshot::channel().0));
        queue.found_full();

        let groups: Vec<_> = (0..3).map(|_| queue.next_group().unwrap().requests).collect();

        assert!(matches!(&groups[0][..], [WriteRequest::ByAge(_)]));
        assert!(matches!(&groups[1][..], [WriteRequest::Trim(..)]));
        assert!(matches!(&groups[2][..], [WriteRequest::Commit(..), WriteRequest::Append(..)]));
    }
}
