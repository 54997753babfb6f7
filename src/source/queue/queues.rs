//! The queues of one gateway: started, looked at, and their dead letters drained.

#[cfg(feature = "aws")]
use std::sync::Arc;

use crate::ambient::Tasks;
#[cfg(feature = "aws")]
use crate::ambient::{Clock, Entropy, restarted};
#[cfg(feature = "aws")]
use crate::aws::AwsClients;
use crate::event::QueueArn;
#[cfg(feature = "aws")]
use crate::source::queue::batch::QueueIntake;
#[cfg(feature = "aws")]
use crate::source::queue::drain;
use crate::source::queue::drained::{DrainError, Drained};
#[cfg(feature = "aws")]
use crate::source::queue::poller::Poller;
#[cfg(feature = "aws")]
use crate::source::queue::settings::QueueSource;
#[cfg(feature = "aws")]
use crate::source::queue::sqs::SqsQueue;
#[cfg(feature = "aws")]
use crate::source::queue::status::QueueState;
use crate::source::queue::status::QueueStatus;
#[cfg(feature = "aws")]
use crate::source::{Admit, Config};
#[cfg(feature = "aws")]
use crate::telemetry::Metrics;

/// The queues that the settings name. A build without the feature `aws` has none.
#[derive(Default)]
pub struct Queues {
    #[cfg(feature = "aws")]
    pollers: Vec<Arc<Poller>>,
}

/// What queues are read with.
#[cfg(feature = "aws")]
pub struct QueueParts {
    /// Which queues, and the limits of every way in.
    pub config: Config,
    /// What the resources of all events begin with that this gateway puts on a bus.
    pub own_resources: Arc<str>,
    /// How AWS is spoken to.
    pub aws: Arc<AwsClients>,
    /// Where events go.
    pub admit: Arc<dyn Admit>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// For waits that differ.
    pub entropy: Arc<dyn Entropy>,
}

#[cfg(feature = "aws")]
impl QueueParts {
    fn poller(&self, source: &QueueSource) -> Poller {
        Poller {
            state: QueueState::new(source.arn.clone(), source.pollers),
            intake: QueueIntake {
                source: source.clone(),
                queue: source.arn.clone(),
                config: self.config.clone(),
                own_resources: Arc::clone(&self.own_resources),
                admit: Arc::clone(&self.admit),
                metrics: Arc::clone(&self.metrics),
                clock: Arc::clone(&self.clock),
            },
            aws: Arc::clone(&self.aws),
            entropy: Arc::clone(&self.entropy),
        }
    }
}

#[cfg(feature = "aws")]
impl Queues {
    /// Asks nobody yet.
    pub fn new(parts: &QueueParts) -> Self {
        let pollers = parts.config.queues.iter().map(|queue| Arc::new(parts.poller(queue)));
        Self { pollers: pollers.collect() }
    }

    /// Polls every queue until the tasks are told to stop.
    pub fn start(&self, tasks: &Tasks) {
        for poller in &self.pollers {
            for _ in 0..poller.intake.source.pollers {
                let (poller, stop) = (Arc::clone(poller), tasks.stopping().clone());
                let of = ("queue", Arc::clone(&poller.intake.clock));
                tasks.spawn(async move {
                    restarted((of.0, &*of.1), || Box::pin(poller.run(&stop))).await;
                });
            }
            let (poller, stop) = (Arc::clone(poller), tasks.stopping().clone());
            let of = ("queue attributes", Arc::clone(&poller.intake.clock));
            tasks.spawn(async move {
                restarted((of.0, &*of.1), || Box::pin(poller.watch(&stop))).await;
            });
        }
    }

    /// How each queue stands, in the order of the settings.
    pub fn status(&self) -> Vec<QueueStatus> {
        self.pollers.iter().map(|poller| poller.state.shown()).collect()
    }

    /// Lets the messages of a dead-letter queue in, or counts them only; as many as one run may. The
    /// queue is named by its own ARN, or, if it is its only one, by that of the queue whose it is; without
    /// a name it is the only one of all.
    ///
    /// # Errors
    ///
    /// The caller's turn: the settings do not name the queue, or several may be meant. Later or the operator's: AWS refused, or
    /// cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe; what is cut off becomes visible again and is recognized.
    pub async fn drain(
        &self,
        queue: Option<&QueueArn>,
        is_dry_run: bool,
    ) -> Result<Drained, DrainError> {
        let (poller, dead) = self.dead_letters(queue)?;
        let QueueIntake { source, config, own_resources, admit, metrics, clock, .. } =
            &poller.intake;
        let intake = QueueIntake {
            source: source.clone(),
            queue: dead.clone(),
            config: config.clone(),
            own_resources: Arc::clone(own_resources),
            admit: Arc::clone(admit),
            metrics: Arc::clone(metrics),
            clock: Arc::clone(clock),
        };
        let sqs = SqsQueue::open(&poller.aws, dead, source).await;
        if is_dry_run {
            drain::count(&intake, &sqs).await
        } else {
            drain::drain(&intake, &sqs).await
        }
    }

    fn dead_letters(
        &self,
        queue: Option<&QueueArn>,
    ) -> Result<(&Arc<Poller>, &QueueArn), DrainError> {
        let is_meant = |poller: &Poller, dead: &QueueArn| {
            queue.is_none_or(|queue| *queue == poller.intake.source.arn || queue == dead)
        };
        let known = self.pollers.iter().flat_map(|poller| {
            poller.intake.source.dead_letter_queues.iter().map(move |dead| (poller, dead))
        });
        let meant: Vec<_> = known.filter(|(poller, dead)| is_meant(poller, dead)).collect();
        match meant.as_slice() {
            [] => Err(DrainError::Unknown),
            [found] => Ok(*found),
            several => {
                let names = several.iter().map(|(_, dead)| format!("`{dead}`"));
                Err(DrainError::Several(names.collect::<Vec<_>>().join(", ")))
            }
        }
    }
}

#[cfg(not(feature = "aws"))]
impl Queues {
    /// Polls nothing.
    pub fn start(&self, _tasks: &Tasks) {}

    /// There is none.
    pub fn status(&self) -> Vec<QueueStatus> {
        Vec::new()
    }

    /// There is none to be drained.
    ///
    /// # Errors
    ///
    /// The caller's turn: the settings cannot name it.
    #[expect(clippy::unused_async, reason = "as in a build with the feature")]
    pub async fn drain(
        &self,
        _queue: Option<&QueueArn>,
        _is_dry_run: bool,
    ) -> Result<Drained, DrainError> {
        Err(DrainError::Unknown)
    }
}
