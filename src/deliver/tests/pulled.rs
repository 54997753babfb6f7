//! A pull worker at work, for tests.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::deliver::tests::couriers::context;
use crate::deliver::tests::stage::{Recorder, Stage};
use crate::deliver::worker::{
    AckState, DeliveryEnd, Followed, Inbox, ServedSubscription, WorkerCommand, WorkerStanding,
};
use crate::eventlog::{Cursor, DeliveryState as _, Position, Store};
use crate::subscriptions::Subscription;

/// A pull worker at work.
pub(crate) struct Pulled {
    pub(crate) ack_state: Arc<AckState>,
    pub(crate) commands: mpsc::Sender<WorkerCommand>,
    pub(crate) standing: watch::Receiver<WorkerStanding>,
    pub(crate) end: JoinHandle<()>,
    pub(super) followed: Arc<Followed>,
    pub(super) inbox: Arc<Inbox>,
    _changes: watch::Sender<Arc<Subscription>>,
}

/// Serves the subscription of a stage as if it had no sink, from what the log kept of it.
pub(crate) async fn start_pulled(stage: &Stage) -> Pulled {
    let id = &stage.subscription.id;
    let (cursor, waiting) = stage.log.load_one(id).await.unwrap();
    let kept = (cursor.unwrap_or_else(|| Cursor::starting(id, Position::START)), waiting);
    let recorder = Arc::new(Recorder::default());
    let clock = Arc::new(stage.clock.clone());
    let context = context(clock, Store::of(&stage.log), stage, &recorder);
    let ack_state = Arc::new(AckState::new(kept.0.clone(), kept.1.clone()));
    let (commands, receiver) = mpsc::channel(8);
    let changes = watch::Sender::new(Arc::clone(&stage.subscription));
    let served = (changes.subscribe(), DeliveryEnd::Pull(Arc::clone(&ack_state)));
    let followed = Arc::new(Followed::default());
    let inbox = Arc::new(Inbox::new(Arc::clone(&followed)));
    let (serving, standing) =
        ServedSubscription::new(Arc::new(context), served, Arc::clone(&inbox), receiver, &kept);
    let end = stage.tasks.spawn(serving.run(kept));
    Pulled { ack_state, commands, standing, end, followed, inbox, _changes: changes }
}
