//! The stub's HTTP side: reads a request, commits the fault of the script, or does what is asked.

use std::io;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State as Extracted;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::aws::call::{AwsCall, AwsRequest};
use crate::harness::aws::fault::{AwsFault, Refusal};
use crate::harness::aws::message::new_uuid;
use crate::harness::aws::state::State;
use crate::harness::aws::{bus, sqs, sts};

/// What a test has the stub do with requests: look at one, or let one fail.
pub type Behavior = Box<dyn Fn(&AwsRequest) -> Option<AwsFault> + Send + Sync>;

/// What all requests share.
pub struct Server {
    pub state: Mutex<State>,
    pub behavior: Mutex<Behavior>,
}

/// Answers one request.
pub async fn answer(
    Extracted(server): Extracted<Arc<Server>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut request = match AwsRequest::read(&headers, &body) {
        Ok(request) => request,
        Err(refusal) => return refused("events", &refusal),
    };
    let fault = server.prepare(&mut request);
    if let Some(AwsFault::Slow(span)) = fault {
        tokio::time::sleep(span).await;
    }
    let done = match &fault {
        Some(AwsFault::Refused(refusal)) => Err(refusal.clone()),
        Some(AwsFault::RequestLost) => Ok(Value::Null),
        _ => server.carry_out(&mut request, fault.as_ref()).await,
    };
    let is_lost = matches!(fault, Some(AwsFault::RequestLost | AwsFault::AnswerLost));
    if is_lost { broken() } else { written(&request, &done) }
}

impl Server {
    /// Finds out who calls and about which messages, and what is to go wrong.
    fn prepare(&self, request: &mut AwsRequest) -> Option<AwsFault> {
        {
            let mut state = self.state.lock().unwrap();
            request.principal = state.principal_of(request).unwrap_or_default();
            request.messages = sqs::messages_named(&mut state, request);
        }
        let behaved = self.behavior.lock().unwrap()(request);
        let mut state = self.state.lock().unwrap();
        let scripted = || state.scripts.get_mut(&request.operation)?.pop_front();
        let fault = behaved.or_else(scripted)?;
        match &fault {
            AwsFault::Refused(refusal) => state.record(request, &Err(refusal.clone())),
            AwsFault::RequestLost => state.record(request, &Ok(Value::Null)),
            _ => {}
        }
        Some(fault)
    }

    /// Does what is asked and records it, both in one moment.
    async fn carry_out(
        &self,
        request: &mut AwsRequest,
        fault: Option<&AwsFault>,
    ) -> Result<Value, Refusal> {
        if request.operation == "ReceiveMessage" {
            return self.receive(request).await;
        }
        let mut state = self.state.lock().unwrap();
        let done = state.principal_of(request).and_then(|_| match request.service {
            "sqs" => sqs::carry_out(&mut state, request, fault),
            "events" => bus::carry_out(&mut state, request, fault).map(|it| (it, Vec::new())),
            _ => sts::carry_out(&mut state, request).map(|it| (it, Vec::new())),
        });
        let done = done.map(|(answer, messages)| {
            request.messages = messages;
            answer
        });
        state.record(request, &done);
        state.changes.send_replace(());
        done
    }

    /// Receives, and waits for messages as long as the request says.
    async fn receive(&self, request: &mut AwsRequest) -> Result<Value, Refusal> {
        let mut changes = self.state.lock().unwrap().changes.subscribe();
        let end = sqs::wait_of(request).map(|wait| Instant::now() + wait);
        loop {
            let next = {
                let mut state = self.state.lock().unwrap();
                let looked = look(&mut state, request, &end);
                if let Some(done) = looked.transpose() {
                    state.record(request, &done);
                    return done;
                }
                let appears = state.queue_at(request).ok().and_then(|it| it.next_appearance());
                appears.into_iter().chain(end.clone().ok()).min()
            };
            let next = next.unwrap_or_else(Instant::now);
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }
}

/// One look of a request that receives: its answer, or nothing while it waits.
fn look(
    state: &mut State,
    request: &mut AwsRequest,
    end: &Result<Instant, Refusal>,
) -> Result<Option<Value>, Refusal> {
    state.principal_of(request)?;
    let end = end.clone()?;
    let Some((answer, messages)) = sqs::try_to_receive(state, request)? else {
        return Ok((end <= Instant::now()).then(|| json!({})));
    };
    request.messages = messages;
    Ok(Some(answer))
}

impl State {
    fn record(&mut self, request: &AwsRequest, done: &Result<Value, Refusal>) {
        let (status, answer) = match done {
            Ok(Value::Null) => (0, Value::Null),
            Ok(answer) => (200, answer.clone()),
            Err(error) => (error.status, json!({ "code": error.code, "message": error.message })),
        };
        self.calls.push(Arc::new(AwsCall { asked: request.clone(), status, answer }));
    }
}

fn written(request: &AwsRequest, done: &Result<Value, Refusal>) -> Response {
    match done {
        Ok(answer) if request.service == "sts" => {
            text(200, "text/xml", sts::answer_xml(&request.operation, answer))
        }
        Ok(answer) => text(200, content_type(request.service), without_nulls(answer)),
        Err(refusal) => refused(request.service, refusal),
    }
}

fn refused(service: &str, refusal: &Refusal) -> Response {
    if service == "sts" {
        return text(refusal.status, "text/xml", sts::error_xml(refusal));
    }
    let (code, message) = (refusal.code.as_str(), &refusal.message);
    if service == "events" {
        let body = json!({ "__type": code, "message": message }).to_string();
        return text(refusal.status, content_type(service), body);
    }
    // SQS names an error as its JSON protocol does, and in a header as its query protocol did.
    let shape = match code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code) {
        "NonExistentQueue" => "QueueDoesNotExist",
        other => other,
    };
    let body = json!({ "__type": format!("com.amazonaws.sqs#{shape}"), "message": message });
    let mut response = text(refusal.status, content_type(service), body.to_string());
    let kind = if refusal.status < 500 { "Sender" } else { "Receiver" };
    let query = format!("{code};{kind}").parse().unwrap();
    response.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), query);
    response
}

fn content_type(service: &str) -> &'static str {
    if service == "sqs" { "application/x-amz-json-1.0" } else { "application/x-amz-json-1.1" }
}

fn text(status: u16, content_type: &'static str, body: String) -> Response {
    let headers = [
        (HeaderName::from_static("content-type"), content_type.to_owned()),
        (HeaderName::from_static("x-amzn-requestid"), new_uuid()),
    ];
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

/// Members without a value are not sent.
fn without_nulls(answer: &Value) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|_, value| !value.is_null());
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut answer = answer.clone();
    strip(&mut answer);
    answer.to_string()
}

/// The head of an answer, and then the connection breaks.
fn broken() -> Response {
    let cut =
        stream::once(async { Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset)) });
    Response::new(Body::from_stream(cut))
}
