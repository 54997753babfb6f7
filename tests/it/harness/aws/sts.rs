//! Roles as STS has them: who may take one, and for how long; its query protocol and XML.

use std::time::Duration;

use serde_json::{Value, json};

use sealway::ambient::{Clock as _, SystemClock};
use sealway::event::Timestamp;

use crate::harness::aws::call::AwsRequest;
use crate::harness::aws::fault::Refusal;
use crate::harness::aws::message::new_uuid;
use crate::harness::aws::state::{State, account_of};

/// A role that may be taken.
pub struct Role {
    pub external_id: Option<String>,
    /// The principals that may take it; `None`: all.
    pub trusted: Option<Vec<String>>,
    /// How long a session lasts at most; a request may ask for less.
    pub session: Duration,
}

impl Default for Role {
    fn default() -> Self {
        Self { external_id: None, trusted: None, session: Duration::from_hours(1) }
    }
}

/// Credentials that were given to somebody who took a role.
pub struct Session {
    /// The role's ARN.
    pub role: String,
    pub name: String,
    pub token: String,
    pub expires: Timestamp,
}

/// Does one operation and gives its result, a tree of texts.
pub fn carry_out(state: &mut State, request: &AwsRequest) -> Result<Value, Refusal> {
    match request.operation.as_str() {
        "AssumeRole" => assume_role(state, request),
        "GetCallerIdentity" => Ok(identity(state, request)),
        other => Err(Refusal::new(400, "InvalidAction", other)),
    }
}

fn assume_role(state: &mut State, request: &AwsRequest) -> Result<Value, Refusal> {
    let text = |name| request.text(name).unwrap_or_default();
    let (arn, name) = (text("RoleArn"), text("RoleSessionName"));
    let asked = match request.text("DurationSeconds").map(str::parse) {
        None => Duration::from_hours(1),
        Some(Ok(seconds @ 900..=43_200)) => Duration::from_secs(seconds),
        Some(_) => {
            let message = "DurationSeconds must be between 900 and 43200";
            return Err(Refusal::new(400, "ValidationError", message));
        }
    };
    let trusted = |role: &&Role| {
        let trusts = |trusted: &Vec<String>| trusted.contains(&request.principal);
        let knows = |id: &String| request.text("ExternalId") == Some(id);
        role.trusted.as_ref().is_none_or(trusts) && role.external_id.as_ref().is_none_or(knows)
    };
    let Some(role) = state.roles.get(arn).filter(trusted) else {
        let who = &request.principal;
        let action = "is not authorized to perform: sts:AssumeRole on resource:";
        return Err(Refusal::new(403, "AccessDenied", format!("User: {who} {action} {arn}")));
    };
    let expires = SystemClock.now().after(role.session.min(asked));
    let number = state.sessions.len();
    let (key, token) = (format!("ASIASTUB{number:012}"), new_uuid());
    let session = Session { role: arn.to_owned(), name: name.to_owned(), token, expires };
    let user = json!({ "Arn": session_arn(&session), "AssumedRoleId": format!("AROASTUB:{name}") });
    let credentials = json!({
        "AccessKeyId": key,
        "SecretAccessKey": new_uuid(),
        "SessionToken": session.token,
        "Expiration": expires.to_string(),
    });
    state.sessions.insert(key, session);
    Ok(json!({ "AssumedRoleUser": user, "Credentials": credentials }))
}

fn identity(state: &State, request: &AwsRequest) -> Value {
    let session = state.sessions.get(&request.access_key);
    let arn = session.map_or_else(|| request.principal.clone(), session_arn);
    json!({ "Arn": arn, "UserId": request.access_key, "Account": account_of(&request.principal) })
}

/// `arn:aws:sts::444455556666:assumed-role/deliver/sealway`.
fn session_arn(session: &Session) -> String {
    let role = session.role.rsplit('/').next().unwrap_or_default();
    format!("arn:aws:sts::{}:assumed-role/{role}/{}", account_of(&session.role), session.name)
}

/// The answer's text.
pub fn answer_xml(operation: &str, result: &Value) -> String {
    let result = xml(&format!("{operation}Result"), result);
    let namespace = "https://sts.amazonaws.com/doc/2011-06-15/";
    let metadata = xml("ResponseMetadata", &json!({ "RequestId": new_uuid() }));
    format!("<{operation}Response xmlns=\"{namespace}\">{result}{metadata}</{operation}Response>")
}

/// An error's text.
pub fn error_xml(refusal: &Refusal) -> String {
    let kind = if refusal.status < 500 { "Sender" } else { "Receiver" };
    let error = json!({ "Type": kind, "Code": refusal.code, "Message": refusal.message });
    xml("ErrorResponse", &json!({ "Error": error, "RequestId": new_uuid() }))
}

fn xml(name: &str, value: &Value) -> String {
    let inner = match value {
        Value::Object(members) => members.iter().map(|(name, value)| xml(name, value)).collect(),
        Value::String(text) => text.replace('&', "&amp;").replace('<', "&lt;"),
        other => other.to_string(),
    };
    format!("<{name}>{inner}</{name}>")
}
