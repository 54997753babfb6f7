//! What the stub knows: queues, buses, roles, who calls, what is to go wrong, and what was called.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use sealway::ambient::{Clock as _, SystemClock};

use crate::harness::aws::bus::Bus;
use crate::harness::aws::call::{AwsCall, AwsRequest};
use crate::harness::aws::fault::{AwsFault, Refusal, expired};
use crate::harness::aws::message::StubMessage;
use crate::harness::aws::queue::{Batch, Queue};
use crate::harness::aws::sts::{Role, Session};

/// The account of access keys of which nobody said whose they are.
const ACCOUNT: &str = "111122223333";

/// Everything behind one lock: a call takes effect at one moment.
#[derive(Default)]
pub struct State {
    /// The address of the stub.
    pub url: String,
    /// By ARN.
    pub queues: BTreeMap<String, Queue>,
    /// By ARN.
    pub buses: BTreeMap<String, Bus>,
    /// By ARN.
    pub roles: BTreeMap<String, Role>,
    /// By access key.
    pub sessions: HashMap<String, Session>,
    /// The ARNs of users, by access key.
    pub users: HashMap<String, String>,
    /// What goes wrong next, by operation.
    pub scripts: HashMap<String, VecDeque<AwsFault>>,
    pub calls: Vec<Arc<AwsCall>>,
    /// Told whenever a queue may have something new.
    pub changes: watch::Sender<()>,
}

impl State {
    /// The ARN of the user or role that calls.
    pub fn principal_of(&self, request: &AwsRequest) -> Result<String, Refusal> {
        let key = &request.access_key;
        if let Some(user) = self.users.get(key) {
            return Ok(user.clone());
        }
        if !key.starts_with("ASIA") {
            return Ok(format!("arn:aws:iam::{ACCOUNT}:user/{key}"));
        }
        let session = self.sessions.get(key);
        let session = session.filter(|it| Some(&it.token) == request.session_token.as_ref());
        let Some(session) = session else {
            let message = "The security token included in the request is invalid.";
            return Err(Refusal::new(400, "UnrecognizedClientException", message));
        };
        if session.expires <= SystemClock.now() {
            return Err(expired());
        }
        Ok(session.role.clone())
    }

    /// The queue at an address, for who calls in its region.
    pub fn queue_at(&mut self, request: &AwsRequest) -> Result<&mut Queue, Refusal> {
        let url = request.text("QueueUrl").unwrap_or_default();
        let mut parts = url.rsplit('/');
        let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        self.queue_named(&request.region, account, name)
    }

    pub fn queue_named(
        &mut self,
        region: &str,
        account: &str,
        name: &str,
    ) -> Result<&mut Queue, Refusal> {
        let arn = format!("arn:aws:sqs:{region}:{account}:{name}");
        self.queues.get_mut(&arn).ok_or_else(|| {
            let code = "AWS.SimpleQueueService.NonExistentQueue";
            Refusal::new(400, code, "The specified queue does not exist.")
        })
    }

    /// Puts what was received too often where its queue says.
    pub fn redrive(&mut self, from: &str, batch: &mut Batch, now: Instant) {
        for message in batch.dead.drain(..) {
            let to = self.queues.get(from).and_then(|queue| queue.redrive.clone());
            let Some(dead) = to.and_then(|(to, _)| self.queues.get_mut(&to)) else { continue };
            let mut message = StubMessage::clone(&message);
            message.source_queue = Some(from.to_owned());
            dead.send(message, Duration::ZERO, now);
            self.changes.send_replace(());
        }
    }
}

/// The account of an ARN.
pub fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}
