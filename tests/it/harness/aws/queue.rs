//! A queue as SQS has them: visibility that runs out, groups that wait, messages that come too often.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use sealway::event::Timestamp;

use crate::harness::aws::fault::Refusal;
use crate::harness::aws::message::{StubMessage, hex};

/// How long a FIFO queue knows repeats.
const DEDUPLICATION: Duration = Duration::from_mins(5);
/// How long a message may stay invisible, from its receipt on.
const MOST_INVISIBLE: Duration = Duration::from_hours(12);

/// How many messages a queue has, by what they wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    pub visible: usize,
    pub in_flight: usize,
    pub delayed: usize,
}

/// The state of one queue.
pub struct Queue {
    pub arn: String,
    pub visibility: Duration,
    /// The ARN of the queue for what was received this often, and how often.
    pub redrive: Option<(String, u32)>,
    held: HashMap<u64, Held>,
    visible: BTreeSet<u64>,
    /// Messages in flight or delayed, by the time when they appear.
    hidden: BTreeSet<(Instant, u64)>,
    /// Messages that were sent lately, by deduplication id.
    recent: HashMap<String, (Instant, Receipt)>,
    next: u64,
}

struct Held {
    message: Arc<StubMessage>,
    receives: u32,
    first_received: Option<Timestamp>,
    waits: Waits,
}

#[derive(Clone, Copy, PartialEq)]
enum Waits {
    ForNobody,
    InFlight { until: Instant, since: Instant },
    Delayed { until: Instant },
}

/// What the sender of a message is told.
#[derive(Clone)]
pub struct Receipt {
    pub message: Arc<StubMessage>,
    pub number: u64,
}

/// A message that was handed out.
pub struct Delivery {
    pub message: Arc<StubMessage>,
    pub handle: String,
    pub number: u64,
    pub receives: u32,
    pub first_received: Timestamp,
}

/// What a look into the queue gives.
#[derive(Default)]
pub struct Batch {
    pub deliveries: Vec<Delivery>,
    /// Messages that were received too often, for the dead-letter queue.
    pub dead: Vec<Arc<StubMessage>>,
}

impl Queue {
    pub fn new(arn: &str) -> Self {
        Self {
            arn: arn.to_owned(),
            visibility: Duration::from_secs(30),
            redrive: None,
            held: HashMap::new(),
            visible: BTreeSet::new(),
            hidden: BTreeSet::new(),
            recent: HashMap::new(),
            next: 1,
        }
    }

    pub fn name(&self) -> &str {
        self.arn.rsplit(':').next().unwrap_or_default()
    }

    pub fn is_fifo(&self) -> bool {
        self.arn.rsplit('.').next() == Some("fifo")
    }

    /// Everything that was not deleted, in the order in which it was sent.
    pub fn messages(&self) -> Vec<Arc<StubMessage>> {
        let mut held: Vec<_> = self.held.iter().collect();
        held.sort_by_key(|(number, _)| **number);
        held.into_iter().map(|(_, held)| Arc::clone(&held.message)).collect()
    }

    pub fn counts(&mut self, now: Instant) -> QueueCounts {
        self.wake(now);
        let mut counts = QueueCounts::default();
        for held in self.held.values() {
            match held.waits {
                Waits::ForNobody => counts.visible += 1,
                Waits::InFlight { .. } => counts.in_flight += 1,
                Waits::Delayed { .. } => counts.delayed += 1,
            }
        }
        counts
    }

    /// Takes a message; a FIFO queue that has seen it says what it said then.
    pub fn send(&mut self, mut message: StubMessage, delay: Duration, now: Instant) -> Receipt {
        if self.is_fifo() {
            let by_content = || sha256_of(&message.body);
            let id = message.deduplication.clone().unwrap_or_else(by_content);
            message.deduplication = Some(id.clone());
            self.recent.retain(|_, (sent, _)| now.duration_since(*sent) < DEDUPLICATION);
            if let Some((_, receipt)) = self.recent.get(&id) {
                return receipt.clone();
            }
            let receipt = self.insert(Arc::new(message), delay, now);
            self.recent.insert(id, (now, receipt.clone()));
            return receipt;
        }
        self.insert(Arc::new(message), delay, now)
    }

    fn insert(&mut self, message: Arc<StubMessage>, delay: Duration, now: Instant) -> Receipt {
        let number = self.next;
        self.next += 1;
        let receipt = Receipt { message: Arc::clone(&message), number };
        let held = Held { message, receives: 0, first_received: None, waits: Waits::ForNobody };
        self.held.insert(number, held);
        let delayed = Waits::Delayed { until: now + delay };
        self.put(number, if delay.is_zero() { Waits::ForNobody } else { delayed });
        receipt
    }

    /// When the next message appears that nobody can see now.
    pub fn next_appearance(&self) -> Option<Instant> {
        self.hidden.first().map(|(until, _)| *until)
    }

    /// Hands out what is visible; with redrive, what came too often is put out instead.
    pub fn receive(
        &mut self,
        most: usize,
        visibility: Duration,
        (now, wall): (Instant, Timestamp),
    ) -> Batch {
        self.wake(now);
        let mut batch = Batch::default();
        let blocked = self.groups_in_flight();
        let mut next = 0;
        while batch.deliveries.len() < most
            && let Some(number) = self.visible.range(next..).next().copied()
        {
            next = number + 1;
            let Some(held) = self.held.get_mut(&number) else { continue };
            if blocked.contains(held.message.group.as_deref().unwrap_or_default()) {
                continue;
            }
            if self.redrive.as_ref().is_some_and(|(_, most)| held.receives >= *most) {
                batch.dead.extend(self.remove(number));
                continue;
            }
            held.receives += 1;
            let (message, receives) = (Arc::clone(&held.message), held.receives);
            let first_received = *held.first_received.get_or_insert(wall);
            let handle = format!("AQEB/{}/{number}/{receives}", self.name());
            self.put(number, Waits::InFlight { until: now + visibility, since: now });
            batch.deliveries.push(Delivery { message, handle, number, receives, first_received });
        }
        batch
    }

    /// The message of a handle, if the queue still has it, however old the handle is.
    pub fn named_by(&self, handle: &str) -> Option<Arc<StubMessage>> {
        let (number, _) = self.read_handle(handle).ok()?;
        self.held.get(&number).map(|held| Arc::clone(&held.message))
    }

    /// Deletes a message by the handle of its newest receipt.
    ///
    /// An older handle deletes nothing: a standard queue does not mention it, a FIFO queue says that
    /// the handle has expired. So does a FIFO queue when the message is visible again.
    pub fn delete(&mut self, handle: &str, now: Instant) -> Result<(), Refusal> {
        self.wake(now);
        let (number, receives) = self.read_handle(handle)?;
        let Some(held) = self.held.get(&number) else { return Ok(()) };
        let is_newest = held.receives == receives;
        let is_in_flight = matches!(held.waits, Waits::InFlight { .. });
        if self.is_fifo() && !(is_newest && is_in_flight) {
            let reason = "The receipt handle has expired.";
            return Err(Refusal::parameter(handle, "ReceiptHandle", reason));
        }
        if is_newest {
            self.remove(number);
        }
        Ok(())
    }

    /// Changes how long a message that is in flight stays invisible, from now on.
    pub fn change_visibility(
        &mut self,
        handle: &str,
        visibility: Duration,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.wake(now);
        let (number, receives) = self.read_handle(handle)?;
        let held = self.held.get(&number).filter(|held| held.receives == receives);
        let Some(held) = held else {
            let reason =
                "Message does not exist or is not available for visibility timeout change.";
            return Err(Refusal::parameter(handle, "ReceiptHandle", reason));
        };
        let Waits::InFlight { since, .. } = held.waits else {
            let code = "AWS.SimpleQueueService.MessageNotInflight";
            return Err(Refusal::new(400, code, "The message referred to is not in flight."));
        };
        let until = now + visibility;
        if until.duration_since(since) > MOST_INVISIBLE {
            let reason =
                "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
            let value = visibility.as_secs().to_string();
            return Err(Refusal::parameter(&value, "VisibilityTimeout", reason));
        }
        self.put(number, Waits::InFlight { until, since });
        self.wake(now);
        Ok(())
    }

    fn groups_in_flight(&self) -> BTreeSet<String> {
        if !self.is_fifo() {
            return BTreeSet::new();
        }
        let hidden = self.hidden.iter().filter_map(|(_, number)| self.held.get(number));
        let in_flight = hidden.filter(|held| matches!(held.waits, Waits::InFlight { .. }));
        in_flight.map(|held| held.message.group.clone().unwrap_or_default()).collect()
    }

    /// Shows what has been hidden for long enough.
    fn wake(&mut self, now: Instant) {
        while let Some((until, number)) = self.hidden.first().copied() {
            if until > now {
                break;
            }
            self.put(number, Waits::ForNobody);
        }
    }

    fn put(&mut self, number: u64, waits: Waits) {
        let Some(held) = self.held.get_mut(&number) else { return };
        if let Waits::InFlight { until, .. } | Waits::Delayed { until } = held.waits {
            self.hidden.remove(&(until, number));
        }
        held.waits = waits;
        match waits {
            Waits::ForNobody => {
                self.visible.insert(number);
            }
            Waits::InFlight { until, .. } | Waits::Delayed { until } => {
                self.visible.remove(&number);
                self.hidden.insert((until, number));
            }
        }
    }

    fn remove(&mut self, number: u64) -> Option<Arc<StubMessage>> {
        self.put(number, Waits::ForNobody);
        self.visible.remove(&number);
        self.held.remove(&number).map(|held| held.message)
    }

    fn read_handle(&self, handle: &str) -> Result<(u64, u32), Refusal> {
        let invalid = || {
            let message = "The input receipt handle is invalid.";
            Refusal::new(400, "ReceiptHandleIsInvalid", message)
        };
        let parts: Vec<&str> = handle.split('/').collect();
        let ["AQEB", name, number, receives] = parts.as_slice() else { return Err(invalid()) };
        match (number.parse(), receives.parse()) {
            (Ok(number), Ok(receives)) if *name == self.name() => Ok((number, receives)),
            _ => Err(invalid()),
        }
    }
}

fn sha256_of(body: &str) -> String {
    use sha2::{Digest as _, Sha256};
    hex(&Sha256::digest(body.as_bytes()))
}
