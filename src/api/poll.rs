//! Polls of RFC 8936: what a recipient may say in one, and what it is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::json_object::{JsonObject, Unread};
use crate::api::lists::{DEFAULT_LIMIT, MOST};
use crate::api::poll_receipts::{judged, of_acknowledged};
use crate::api::pull::{answer, end_checkpoint, enter, line_to_take, longest_wait, problem};
use crate::api::request::to_its_end;
use crate::api::{Caller, Code, Problem, Services};
use crate::deliver::{MOST_OUTSTANDING, PollRefusal, PollWish, PollWord};
use crate::event::EventId;

/// The longest code of a refusal; those that are registered have less than half of it.
const LONGEST_ERROR: usize = 64;
/// The longest explanation of a refusal.
const LONGEST_DESCRIPTION: usize = 4096;

/// What a recipient says and asks for (RFC 8936, section 2.2).
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PollRequest {
    /// The most events wanted, 100 if missing, and never more than 1,000; 0: only say what is
    /// acknowledged.
    max_events: Option<u64>,
    /// Answer at once, also if there is no event.
    return_immediately: bool,
    /// The ids of events that the recipient has; with those of `setErrs` 1,024 at most.
    ack: Vec<String>,
    /// A receipt for events of `ack`, each by the id of its event: a compact JWS, where the subscription
    /// asks for receipts.
    receipts: BTreeMap<String, String>,
    /// The ids of events that the recipient will not take, each with the reason.
    set_errs: BTreeMap<String, PollSetError>,
}

/// Why a recipient will not take an event (RFC 8936, section 2.6).
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetError)]
struct PollSetError {
    /// A code of the registry of RFC 8935, section 7.1, or one's own: 1 to 64 visible characters of
    /// ASCII.
    err: String,
    /// What is wrong, for people; at most 4,096 bytes.
    #[serde(default)]
    description: String,
}

/// Events that are not acknowledged (RFC 8936, section 2.3).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PollAnswer {
    /// Tokens by the id of their event.
    sets: BTreeMap<String, String>,
    /// Whether more of them wait.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more_available: bool,
    /// What is wrong with receipts of the request that did not have to come, by the id of their event.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    receipt_errs: BTreeMap<String, &'static str>,
    /// A signed checkpoint, while what the consumer could hear has ended within the last 30 days, or ends
    /// soon: its `ended` names each publication and why, its `ending` each and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
}

/// `POST /subscriptions/{id}/poll`: acknowledges and refuses events, and fetches what is not settled
/// (RFC 8936).
///
/// What is said is settled to its end. The wait ends with the connection, as that of a `GET` does.
#[utoipa::path(
    post, path = "/subscriptions/{id}/poll", tag = "fetching",
    operation_id = "subscriptions_poll",
    params(("id" = String, Path, description = "The subscription")),
    request_body = PollRequest,
    responses((status = 200, description = "Done", body = PollAnswer))
)]
pub async fn poll(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Result<JsonObject<PollRequest>, Unread>,
) -> Result<Response, Problem> {
    // RFC 8936 knows no status but 400 for a request that is wrong in itself.
    let JsonObject(request) = request.map_err(|unread| unread.problem(Code::BadRequest))?;
    let (wish, word) = request.check(longest_wait(&services)).map_err(bad)?;
    let line = line_to_take(&services, &caller, &id).await?;
    let place = enter(&services, &caller, &line)?;
    let failed = |error| problem(&services, &line.look().subscription.id, error);
    let (pull_service, of) = (Arc::clone(&services.pull_service), line.clone());
    // With the place, which is taken for as long as there is work.
    let settling =
        async move { pull_service.settle_word(&of, word).await.map(|heard| (heard, place)) };
    let (heard, place) = to_its_end(&services, settling).await?.map_err(failed)?;
    let receipt_errs = judged(heard)?;
    let polled = services.pull_service.poll(&line, wish).await.map_err(failed)?;
    let tokens = polled.events.into_iter().map(|one| (one.id.to_string(), one.token));
    let checkpoint = end_checkpoint(&services, &line).await?;
    let more_available = polled.more;
    let sets = PollAnswer { sets: tokens.collect(), more_available, receipt_errs, checkpoint };
    Ok(answer(&sets, place))
}

fn bad(detail: String) -> Problem {
    Problem::new(Code::BadRequest, detail)
}

impl PollRequest {
    /// Holds each member against its bounds; where one is out of them, says which and what fits.
    fn check(self, longest_wait: Duration) -> Result<(PollWish, PollWord), String> {
        let Self { max_events, return_immediately, ack, receipts, set_errs } = self;
        let named = ack.len() + set_errs.len();
        if named as u64 > MOST_OUTSTANDING {
            return Err(format!(
                "/ack and /setErrs name {named} events; name at most {MOST_OUTSTANDING} in one poll"
            ));
        }
        let acknowledged: Vec<_> = ack
            .iter()
            .enumerate()
            .map(|(at, id)| event(&format!("/ack/{at}"), id))
            .collect::<Result<_, _>>()?;
        let receipts = of_acknowledged(receipts, &acknowledged, event)?;
        let refused: Vec<_> =
            set_errs.into_iter().map(|(id, error)| error.about(&id)).collect::<Result<_, _>>()?;
        if let Some(both) = refused.iter().find(|one| acknowledged.contains(&one.event)) {
            return Err(format!("/setErrs/{}: it is in /ack, too; name it in one", both.event));
        }
        let most = max_events
            .map_or(DEFAULT_LIMIT.into(), |most| usize::try_from(most).unwrap_or(MOST))
            .min(MOST);
        let waits = most > 0 && !return_immediately;
        let patience = if waits { longest_wait } else { Duration::ZERO };
        Ok((PollWish { most, patience }, PollWord { acknowledged, refused, receipts }))
    }
}

impl PollSetError {
    fn about(self, id: &str) -> Result<PollRefusal, String> {
        let place = format!("/setErrs/{}", shown(id));
        let Self { err: error, description } = self;
        let is_code = error.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_code || error.is_empty() || error.len() > LONGEST_ERROR {
            return Err(format!(
                "{place}/err: use 1 to {LONGEST_ERROR} visible characters of ASCII"
            ));
        }
        if description.len() > LONGEST_DESCRIPTION {
            let length = description.len();
            return Err(format!(
                "{place}/description: it has {length} bytes; use at most {LONGEST_DESCRIPTION}"
            ));
        }
        Ok(PollRefusal { event: event(&place, id)?, error, description })
    }
}

fn event(place: &str, id: &str) -> Result<EventId, String> {
    id.parse().map_err(|error| format!("{place}: {error}"))
}

/// The beginning of what stands in the place of an id; an id is shown whole.
fn shown(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(26).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::json_object;

    const WAIT: Duration = Duration::from_secs(25);

    /// Reads a body as the route does; says the status and the words of a refusal.
    fn read(body: &[u8]) -> Result<(PollWish, PollWord), (u16, String)> {
        let request: Result<PollRequest, _> = json_object::read(body);
        let checked = request
            .map_err(|unread| unread.problem(Code::BadRequest))
            .and_then(|request| request.check(WAIT).map_err(bad));
        checked.map_err(|problem| {
            (problem.code().status().as_u16(), problem.detail().unwrap_or_default().to_owned())
        })
    }

    fn ids() -> impl Strategy<Value = Vec<EventId>> {
        prop::collection::btree_set(any::<u64>(), 0..12).prop_map(|numbers| {
            let id = |number| EventId::from_parts(number >> 16, u128::from(number));
            numbers.into_iter().map(id).collect()
        })
    }

    prop_compose! {
        fn requests()(
            ids in ids(),
            refused in any::<prop::sample::Index>(),
            max_events in prop::option::of(0..=2_000_u64),
            return_immediately in any::<bool>(),
            err in "[!-~]{1,64}",
            description in ".{0,200}",
        ) -> (PollRequest, Vec<EventId>, Vec<EventId>) {
            let (refused, acknowledged) = ids.split_at(refused.index(ids.len() + 1));
            let error = PollSetError { err: err.clone(), description };
            let request = PollRequest {
                max_events,
                return_immediately,
                ack: acknowledged.iter().map(ToString::to_string).collect(),
                receipts: acknowledged.iter().map(|id| (id.to_string(), err.clone())).collect(),
                set_errs: refused.iter().map(|id| (id.to_string(), error.clone())).collect(),
            };
            (request, acknowledged.to_vec(), refused.to_vec())
        }
    }

    proptest! {
        #[test]
        fn what_is_written_by_the_rules_is_read_as_it_was_meant(
            (request, acknowledged, refused) in requests(),
        ) {
            let body = serde_json::to_vec(&request).unwrap();
            let (wish, word) = read(&body).unwrap();
            prop_assert_eq!(word.acknowledged, acknowledged);
            prop_assert!(word.refused.iter().map(|one| one.event).eq(refused));
            for refusal in &word.refused {
                let said = &request.set_errs[&refusal.event.to_string()];
                prop_assert_eq!((&refusal.error, &refusal.description), (&said.err, &said.description));
            }
            let wanted = request.max_events.unwrap_or(100).min(1_000);
            prop_assert_eq!(wish.most as u64, wanted);
            let waits = wanted > 0 && !request.return_immediately;
            prop_assert_eq!(wish.patience, if waits { WAIT } else { Duration::ZERO });
        }

        #[test]
        fn one_wrong_member_anywhere_is_named(
            (request, ..) in requests(),
            name in "[a-z]{1,12}",
            value in prop_oneof![Just(json!([])), Just(json!(-1)), Just(json!({})), Just(json!("x"))],
        ) {
            let known = ["maxEvents", "returnImmediately", "ack", "receipts", "setErrs"];
            prop_assume!(!known.contains(&name.as_str()));
            let mut body = serde_json::to_value(&request).unwrap();
            body[&name] = value.clone();
            let (status, detail) = read(body.to_string().as_bytes()).unwrap_err();
            prop_assert_eq!(status, 400);
            prop_assert!(detail.starts_with(&format!("/{name}: unknown field")), "{}", detail);

            let fits = |member: &str, value: &Value| match member {
                "maxEvents" => value.is_u64(),
                "returnImmediately" => value.is_boolean(),
                "ack" => value.is_array(),
                _ => value.is_object(),
            };
            for member in known.into_iter().filter(|member| !fits(member, &value)) {
                let mut body = serde_json::to_value(&request).unwrap();
                body[member] = value.clone();
                let (status, detail) = read(body.to_string().as_bytes()).unwrap_err();
                prop_assert_eq!(status, 400);
                prop_assert!(detail.starts_with(&format!("/{member}: expected ")), "{}", detail);
            }
        }

        #[test]
        fn nothing_makes_it_panic_and_every_refusal_says_400_and_why(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                r#"[\[\]{}",:0-9eE+\-. \\ackmEvntsrRuIdily]{0,80}"#.prop_map(String::into_bytes),
            ],
        ) {
            if let Err((status, detail)) = read(&bytes) {
                prop_assert_eq!(status, 400);
                prop_assert!(!detail.is_empty());
            }
        }
    }

    #[test]
    fn each_bound_is_told_with_its_place() {
        let id = "01M80161XDFMCHG7JG9T1VM8Z1";
        let errors = |error: &Value| json!({ "setErrs": { id: error } }).to_string();
        for (body, words) in [
            ("[]".to_owned(), "the body: it is a list, send an object"),
            ("null".to_owned(), "the body: it is null, send an object"),
            (String::new(), "the body is not JSON"),
            (r#"{"ack": [], "ack": []}"#.to_owned(), "a member name that is repeated"),
            (json!({ "ack": ["x"] }).to_string(), "/ack/0: "),
            (json!({ "ack": [id, 1] }).to_string(), "/ack/1: expected a string"),
            (json!({ "ack": vec![id; 1025] }).to_string(), "name at most 1024"),
            (errors(&json!({})), "missing field `err`"),
            (errors(&json!({ "err": "" })), "/err: use 1 to 64"),
            (errors(&json!({ "err": "x".repeat(65) })), "/err: use 1 to 64"),
            (errors(&json!({ "err": "two words" })), "/err: use 1 to 64"),
            (errors(&json!({ "err": "x", "description": "y".repeat(4097) })), "use at most 4096"),
            (errors(&json!({ "err": "x", "descripton": "y" })), "/descripton: unknown field"),
            (json!({ "setErrs": { "x": { "err": "x" } } }).to_string(), "/setErrs/x: "),
            (
                json!({ "ack": [id], "setErrs": { id: { "err": "x" } } }).to_string(),
                "name it in one",
            ),
        ] {
            let (status, detail) = read(body.as_bytes()).unwrap_err();
            assert_eq!(status, 400, "{body}");
            assert!(detail.contains(words), "{body}: {detail}");
        }
    }
}
