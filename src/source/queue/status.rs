//! What is known of a queue at the moment, for those who run the gateway.

use std::sync::{Mutex, PoisonError};

use crate::event::{QueueArn, Timestamp};

/// How a queue stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStatus {
    /// The queue.
    pub arn: QueueArn,
    /// How many batches are asked for at once.
    pub pollers: u8,
    /// When it was last asked and answered.
    pub polled: Option<Timestamp>,
    /// When the newest message was received.
    pub received: Option<Timestamp>,
    /// How many messages wait in it, about, as SQS said last.
    pub waiting: Option<u64>,
    /// Why it cannot be read at the moment.
    pub failure: Option<QueueFailure>,
}

/// Why a queue cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFailure {
    /// Since when every attempt has failed.
    pub since: Timestamp,
    /// What AWS said, or why it cannot be reached.
    pub reason: String,
}

/// The state of one queue, which its pollers share.
#[derive(Debug)]
pub(super) struct QueueState(Mutex<QueueStatus>);

/// Whether what happened is news.
#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only pollers have news"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It was so before.
    Old,
    /// It is so since now.
    New,
}

#[cfg_attr(not(feature = "aws"), expect(dead_code, reason = "only pollers change it"))]
impl QueueState {
    pub(super) fn new(arn: QueueArn, pollers: u8) -> Self {
        let (polled, received, waiting, failure) = (None, None, None, None);
        Self(Mutex::new(QueueStatus { arn, pollers, polled, received, waiting, failure }))
    }

    pub(super) fn shown(&self) -> QueueStatus {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes an answer; says whether the queue failed before.
    pub(super) fn answered(&self, now: Timestamp, messages: usize) -> News {
        let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        status.polled = Some(now);
        if messages > 0 {
            status.received = Some(now);
        }
        if status.failure.take().is_some() { News::New } else { News::Old }
    }

    /// Notes a failure; says whether the same was known.
    pub(super) fn failed(&self, now: Timestamp, reason: &str) -> News {
        let mut status = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut status.failure {
            Some(failure) if failure.reason == reason => News::Old,
            Some(failure) => {
                reason.clone_into(&mut failure.reason);
                News::New
            }
            none => {
                *none = Some(QueueFailure { since: now, reason: reason.to_owned() });
                News::New
            }
        }
    }

    /// Notes how many messages wait.
    pub(super) fn waits(&self, messages: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting = Some(messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_news_once_and_so_is_its_end() {
        let arn = "arn:aws:sqs:eu-west-1:111122223333:gateway-in".parse().unwrap();
        let state = QueueState::new(arn, 1);
        let at = Timestamp::from_unix_seconds;

        assert_eq!(state.answered(at(1), 0), News::Old);
        assert_eq!(state.failed(at(2), "AccessDenied"), News::New);
        assert_eq!(state.failed(at(3), "AccessDenied"), News::Old);
        assert_eq!(state.failed(at(4), "NonExistentQueue"), News::New);
        assert_eq!(state.shown().failure.unwrap().since, at(2));
        assert_eq!(state.answered(at(5), 1), News::New);
        assert_eq!((state.shown().failure, state.shown().received), (None, Some(at(5))));
    }
}
