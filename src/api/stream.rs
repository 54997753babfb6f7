//! Events as they come, over one connection: server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;

use crate::api::pull::{NO_STORE, ends_to_tell, line_to_take, problem};
use crate::api::query::Query;
use crate::api::readers::ReaderPlace;
use crate::api::{Caller, Problem, Services, reading_place};
use crate::deliver::{Collected, WorkerHandle};
use crate::event::Timestamp;
use crate::eventlog::{Page, Position};
use crate::telemetry::error_chain;

/// How long a stream is silent before it says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a reader waits before it comes back.
const COME_BACK_AFTER: Duration = Duration::from_secs(2);
/// What is sealed at once: a reader that is slow has no more than this waiting in memory.
const PAGE: Page = Page { items: 16, bytes: 256 * 1024 };
/// What a signed checkpoint is called between events.
const CHECKPOINT: &str = "checkpoint";
/// Where a reader says what it has seen last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells proxies not to hold events back.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Where a stream begins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beginning {
    /// Only what comes after this event.
    after: Option<String>,
}

/// A reader and how far it has come.
struct Streaming {
    services: Arc<Services>,
    caller: Caller,
    line: WorkerHandle,
    at: Position,
    /// What is sealed and waits for the reader to have room.
    sealed: VecDeque<Collected>,
    /// When the caller's key was last looked at.
    checked: Timestamp,
    greeted: bool,
    /// Whether something that was sealed may not be told any more.
    has_stale: bool,
    /// The ends of access that it was told of.
    told: Vec<(String, Timestamp)>,
    _place: ReaderPlace,
}

/// `GET /subscriptions/{id}/stream`: sealed events as they come, as server-sent events.
///
/// Each event has the event's id as `id` and the token as `data`. Reading acknowledges nothing. An end of
/// access comes as an event of the type `checkpoint`, whose `data` is a signed checkpoint.
#[utoipa::path(
    get, path = "/subscriptions/{id}/stream", tag = "fetching",
    operation_id = "subscriptions_stream",
    params(
        ("id" = String, Path, description = "The subscription"),
        ("Last-Event-ID" = Option<String>, Header,
            description = "Only what comes after this event"),
        ("after" = Option<String>, Query,
            description = "The same, for readers that cannot set the header; if both are missing, \
                           after what was acknowledged, or from now on if the subscription has a sink"),
    ),
    responses(
        (status = 200, description = "Server-sent events", content_type = "text/event-stream")
    )
)]
pub async fn stream(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(beginning): Query<Beginning>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let line = line_to_take(&services, &caller, &id).await?;
    let seen = headers.get(LAST_EVENT_ID).map(|seen| seen.to_str().unwrap_or_default());
    let id = line.look().subscription.id.clone();
    let failed = |error| problem(&services, &id, error);
    let place_of = |text| reading_place::read(&services.data_key, ("after", text), &id);
    let after = seen.or(beginning.after.as_deref()).map(place_of).transpose()?;
    let place = services.readers.enter(&caller, &id)?;
    let at = services.pull_service.begin(&line, after).await.map_err(failed)?;
    // What cannot be read is told now, when there still is a status to tell it with.
    let now = services.clock.now();
    let nothing = Page { items: 0, bytes: 0 };
    services.pull_service.read(&line, at, (nothing, now)).await.map_err(failed)?;
    let streaming = Streaming {
        services,
        caller,
        line,
        at,
        sealed: VecDeque::new(),
        checked: now,
        greeted: false,
        has_stale: false,
        told: Vec::new(),
        _place: place,
    };
    let events = stream::unfold(streaming, async |mut streaming| {
        let event = streaming.next().await?;
        Some((Ok::<_, Infallible>(event), streaming))
    });
    let headers = [(CACHE_CONTROL, NO_STORE), (BUFFERING, HeaderValue::from_static("no"))];
    Ok((headers, Sse::new(events)).into_response())
}

impl Streaming {
    /// The next event, or a sign of life; nothing at the end.
    ///
    /// It is asked only when the reader has room for more, so a slow reader is not read for, and is
    /// given nothing that was sealed before its subscription ended.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            return Some(Event::default().retry(COME_BACK_AFTER));
        }
        let now = self.services.clock.now();
        let is_over = self.services.tasks.stopping().is_cancelled() || self.line.has_ended();
        if is_over || !self.is_welcome(now).await {
            return None;
        }
        if let Some(checkpoint) = self.told_of_ends().await {
            // What was sealed before may be of what has ended: the reader comes back and is asked anew.
            self.has_stale = !self.sealed.is_empty();
            self.sealed.clear();
            return Some(checkpoint);
        }
        if self.has_stale {
            return None;
        }
        if let Some(event) = self.sealed.pop_front() {
            return Some(shown(event));
        }
        let deadline = now.after(HEARTBEAT);
        // The subscription is looked at anew, so that new filters and keys apply from here on.
        let served = self.services.pull_service.read(&self.line, self.at, (PAGE, deadline)).await;
        let served = match served {
            Ok(served) => served,
            Err(error) => {
                let id = &self.line.look().subscription.id;
                let problem = problem(&self.services, id, error);
                tracing::debug!("A stream ended with {}", problem.code().text());
                return None;
            }
        };
        self.at = served.reached;
        self.sealed = served.events.into();
        // On our clock, not by axum's timer, because the caller is looked at on the same beat.
        Some(self.sealed.pop_front().map_or(Event::DEFAULT_KEEP_ALIVE, shown))
    }

    /// A signed checkpoint, if there is an end of access of which this reader was not told. It has no id,
    /// so that a reader comes back to where its events were.
    async fn told_of_ends(&mut self) -> Option<Event> {
        let subscription = Arc::clone(&self.line.subscription.borrow());
        let ends = ends_to_tell(&self.services, &subscription);
        if ends.iter().all(|end| self.told.contains(end)) {
            return None;
        }
        match self.services.subscription_service.checkpoint(&subscription).await {
            Ok(token) => {
                self.told = ends;
                Some(Event::default().event(CHECKPOINT).data(token))
            }
            Err(error) => {
                tracing::error!(
                    subscription.id = %subscription.id, error = %error_chain(&error),
                    "A stream of subscription {} cannot be told of an end", subscription.shown(),
                );
                None
            }
        }
    }

    /// Whether the caller's key is still good for this subscription, looked up now and then.
    async fn is_welcome(&mut self, now: Timestamp) -> bool {
        if now < self.checked.after(HEARTBEAT) {
            return true;
        }
        self.checked = now;
        let consumer = self.line.look().subscription.consumer.clone();
        match self.services.callers.again(&self.caller).await {
            Ok(Some(caller)) => caller.steers(&consumer),
            Ok(None) => false,
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "A stream ends: callers cannot be read");
                false
            }
        }
    }
}

fn shown(event: Collected) -> Event {
    Event::default().id(event.id.to_string()).data(event.token)
}
