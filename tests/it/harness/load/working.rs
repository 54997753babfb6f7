//! Producers and operators at work.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinHandle;

use sealway::ambient::{Clock as _, SystemClock, Tasks};
use sealway::event::EventId;

use crate::harness::eventually;
use crate::harness::load::caller::Heard;
use crate::harness::load::consumer::Fetcher;
use crate::harness::load::{Caller, Produced};

/// What operators and consumers do beside the traffic.
#[derive(Clone, Copy, Debug)]
pub enum Activity {
    /// The events of the last two rests are replayed.
    Replay,
    /// All dead letters are delivered again.
    Redrive,
    /// Lists are read page by page.
    Read,
    /// Consumers without a sink fetch their events.
    Fetch,
}

impl Activity {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Replay, Self::Redrive, Self::Read, Self::Fetch];

    /// Does it once; whatever fails, fails because the gateway is gone.
    pub(super) async fn act(self, caller: &Caller, rest: Duration, fetchers: &[Arc<Fetcher>]) {
        match self {
            Self::Replay => {
                let from = SystemClock.now().before(rest * 2).unix_ms();
                let from = EventId::first_of(u64::try_from(from).unwrap()).to_string();
                let wish = json!({ "from": from, "rate": 1000 });
                caller.call((Method::POST, "/subscriptions/steady/replays"), Some(&wish)).await;
            }
            Self::Redrive => {
                for name in ["failing", "ordered"] {
                    let path = format!("/subscriptions/{name}/dead-letters/redrive");
                    caller.call((Method::POST, &path), Some(&json!({}))).await;
                }
            }
            Self::Read => {
                caller.get("/subscriptions/slow/attempts?limit=50").await;
                caller.get("/subscriptions/failing/dead-letters?limit=50").await;
            }
            Self::Fetch => {
                for fetcher in fetchers {
                    fetcher.fetch(caller).await;
                }
            }
        }
    }
}

/// Producers and operators at work, until they are told to end.
pub struct Working {
    pub(super) heard: Heard,
    pub(super) tasks: Tasks,
    pub(super) producers: Vec<JoinHandle<Produced>>,
    pub(super) operators: Vec<JoinHandle<()>>,
}

impl Working {
    /// Waits until a producer was answered with a status.
    pub async fn answered(&self, status: u16) {
        eventually(format!("{status} is answered"), async || {
            self.heard.lock().unwrap().contains(&status).then_some(())
        })
        .await;
    }

    /// Ends, and gives what was promised.
    pub async fn end(self) -> Produced {
        self.tasks.stopping().cancel();
        let mut produced = Produced::default();
        for producer in self.producers {
            produced.extend(producer.await.unwrap());
        }
        for operator in self.operators {
            operator.await.unwrap();
        }
        produced
    }
}
