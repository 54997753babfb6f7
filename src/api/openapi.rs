//! The API as OpenAPI 3.1, made from the handlers.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::IntoResponse;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::api::{
    access_requests, actions, bus, consent, dead_letters, deliveries, events, evidence, explain,
    exports, external_ids, grants, health, historical_keys, log, log_files, log_incarnations,
    log_proofs, oauth_token, poll, post_events, problem, problem_pages, published, pull,
    quarantine, quarantine_release, queues, receipts, redrives, replays, retries, schemas, secret,
    settings, sink_credential, stream, subscriptions, verify, why,
};
use crate::subscriptions::SubscriptionDocument;

/// The name of the schema of subscriptions as they are shown.
const SHOWN: &str = "ShownSubscription";

/// Every operation, and the schemas that no operation names by itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sealway",
        description = "A secure cross-domain event gateway. Requests that fail are answered with \
                       problems (RFC 9457), whose `type` leads to an explanation.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "public", description = "Open to all"),
        (name = "events", description = "Publish events, and look at them"),
        (name = "subscriptions", description = "Who receives what, where, sealed for which key"),
        (name = "access", description = "Who may hear what: grants, and requests for them"),
        (name = "fetching", description = "Events that consumers fetch themselves"),
        (name = "deliveries", description = "What became of deliveries"),
        (name = "replays", description = "Send a range of events again"),
        (name = "quarantine", description = "Events that broke their contract"),
        (name = "operate", description = "For those who run the gateway")
    ),
    paths(
        bus::call,
        bus::call_of_other_protocol,
        serve,
        published::jwks,
        historical_keys::historical_jwks,
        published::contracts,
        published::contract,
        schemas::schema,
        schemas::old_schema,
        problem_pages::problem,
        health::live,
        health::ready,
        health::metrics,
        settings::settings,
        actions::list,
        log::show,
        log_files::checkpoint,
        log_files::tile,
        log_incarnations::list,
        log_incarnations::checkpoint,
        log_incarnations::tile,
        log_proofs::inclusion,
        log_proofs::consistency,
        queues::list,
        queues::drain,
        post_events::publish,
        consent::answer,
        oauth_token::issue,
        events::list,
        explain::trace,
        events::get,
        grants::list,
        grants::give,
        grants::read,
        grants::change,
        grants::recall,
        access_requests::list,
        access_requests::ask,
        access_requests::read,
        access_requests::approve,
        access_requests::refuse,
        access_requests::withdraw,
        subscriptions::list,
        subscriptions::create,
        subscriptions::read,
        why::why,
        subscriptions::replace,
        subscriptions::remove,
        sink_credential::replace,
        sink_credential::remove,
        verify::verify,
        secret::rotate,
        external_ids::read,
        subscriptions::pause,
        subscriptions::resume,
        subscriptions::checkpoint,
        pull::events,
        poll::poll,
        stream::stream,
        deliveries::attempts,
        receipts::list,
        evidence::export,
        exports::list,
        dead_letters::list,
        dead_letters::counts,
        dead_letters::all_counts,
        dead_letters::dismiss,
        retries::drop_waiting,
        redrives::start,
        redrives::list,
        redrives::read,
        redrives::cancel,
        replays::start,
        replays::list,
        replays::read,
        replays::cancel,
        quarantine::list,
        quarantine::counts,
        quarantine::read,
        quarantine::release,
        quarantine_release::release,
        quarantine::remove,
    ),
    components(schemas(problem::Body))
)]
struct Described;

/// This description of the API, as OpenAPI 3.1.
#[utoipa::path(
    get, path = "/openapi.json", tag = "public",
    operation_id = "openapi_read",
    responses((status = 200, description = "An OpenAPI document"))
)]
pub async fn serve() -> impl IntoResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| openapi().to_string());
    ([(header::CONTENT_TYPE, "application/json")], text.as_str())
}

/// The description of the API: what the handlers say, the schema of a subscription, and who may call.
pub fn openapi() -> Value {
    let mut described = serde_json::to_value(Described::openapi()).unwrap_or_default();
    if let Some(components) = member(&mut described, "components") {
        let schemes = json!({ "caller": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key from `sealway callers add`; its scopes say what it opens.",
        }, "apiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "x-api-key",
            "description": "A caller's key, for publishing only.",
        }, "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "A caller's name as user and its key as password, for publishing only.",
        }, "client": {
            "type": "oauth2",
            "description": "A token for publishing, for a caller's name and key.",
            "flows": { "clientCredentials": {
                "tokenUrl": "/oauth/token",
                "scopes": { "publish": "Publish events" },
            } },
        }, "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "AWS Signature Version 4, under an access key of `source.access-keys`.",
        }});
        components.insert("securitySchemes".to_owned(), schemes);
        if let Some(schemas) = components.get_mut("schemas").and_then(Value::as_object_mut) {
            let mut parts = subscription();
            let known = schemas.remove(SHOWN).unwrap_or_default();
            if let Some(document) = parts.get("Subscription") {
                parts.insert(SHOWN.to_owned(), shown(document.clone(), known));
            }
            schemas.extend(parts);
        }
    }
    let paths = member(&mut described, "paths").into_iter().flatten();
    let operations = paths.flat_map(|(path, methods)| {
        let is_credential = path.ends_with("/sink-credential");
        let methods = methods.as_object_mut().into_iter().flat_map(Map::values_mut);
        methods.map(move |operation| (operation, is_credential))
    });
    for (operation, is_credential) in operations {
        let tag = operation.pointer("/tags/0").cloned().unwrap_or_default();
        if let Some(operation) = operation.as_object_mut().filter(|_| tag != "public") {
            operation.entry("security").or_insert_with(|| json!([{ "caller": [] }]));
        }
        if let Some(responses) = member(operation, "responses").filter(|_| tag != "public") {
            responses.entry("4XX").or_insert_with(|| json!({ "description": "A problem" }));
        }
        let body = operation.pointer_mut("/requestBody/content/application~1json/schema");
        // A body that names its schema is described already.
        let is_any = |schema: &&mut Value| schema.get("type").is_some_and(|kind| kind == "object");
        if let Some(schema) = body.filter(|_| tag == "subscriptions").filter(is_any) {
            let name = if is_credential { "SinkCredential" } else { "Subscription" };
            *schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        }
        explain_refusals(operation);
    }
    described
}

/// Says of every refusal without a body of its own that it is a problem, and that each operation that
/// refuses may also fail.
fn explain_refusals(operation: &mut Value) {
    if let Some(responses) = member(operation, "responses").filter(|all| all.contains_key("4XX")) {
        let words = "A problem: later (503, with `Retry-After`), or a failure of the gateway (500)";
        responses.entry("5XX").or_insert_with(|| json!({ "description": words }));
    }
    let responses = member(operation, "responses").into_iter().flatten();
    for (_, response) in responses.filter(|(status, _)| status.starts_with(['4', '5'])) {
        let Some(response) = response.as_object_mut() else { continue };
        response.entry("content").or_insert_with(|| {
            let schema = json!({ "$ref": "#/components/schemas/Problem" });
            json!({ "application/problem+json": { "schema": schema } })
        });
    }
}

/// The schema of a subscription as it is shown: its document, and what the gateway knows of it.
fn shown(document: Value, mut known: Value) -> Value {
    let mut shown = document;
    for name in ["properties", "required"] {
        match (shown.get_mut(name), known.get_mut(name).map(Value::take)) {
            (Some(Value::Object(own)), Some(Value::Object(more))) => own.extend(more),
            (Some(Value::Array(own)), Some(Value::Array(more))) => own.extend(more),
            _ => {}
        }
    }
    if let Some(members) = shown.as_object_mut() {
        // A later version may know more.
        members.remove("additionalProperties");
        members.insert("description".to_owned(), "A subscription, and how it stands".into());
    }
    shown
}

fn member<'a>(tree: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    tree.get_mut(name).and_then(Value::as_object_mut)
}

/// The schema of a subscription and of its parts, by name.
fn subscription() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schema =
        settings.into_generator().into_root_schema_for::<SubscriptionDocument>().to_value();
    let mut schemas = Map::new();
    if let Some(parts) = schema.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        schemas.append(parts);
    }
    if let Some(own) = schema.as_object_mut() {
        own.remove("components");
    }
    schemas.insert("Subscription".to_owned(), schema);
    schemas
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::subscriptions::GivenDocument;

    /// Every method and path of the router, read from its one screen.
    fn routes() -> BTreeSet<String> {
        let screen = include_str!("router.rs").split("fn after_panic").next().unwrap();
        let mut found = BTreeSet::new();
        for route in screen.split(".route(").skip(1) {
            let path = route.split('"').nth(1).unwrap().replace("{*", "{");
            for method in ["get", "post", "put", "delete", "options"] {
                let is_bus = method == "post" && route.contains("bus_route(");
                if is_bus || route.contains(&format!("{method}(")) {
                    found.insert(format!("{method} {path}"));
                }
            }
        }
        found
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let described = openapi();
        let mut operations = BTreeSet::new();
        for (path, methods) in described["paths"].as_object().unwrap() {
            operations.extend(methods.as_object().unwrap().keys().map(|m| format!("{m} {path}")));
        }

        assert_eq!(operations, routes());
    }

    /// Programs that are made from the description name their functions after them.
    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let described = openapi();
        let mut names = BTreeSet::new();
        for methods in described["paths"].as_object().unwrap().values() {
            for operation in methods.as_object().unwrap().values() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(name.contains('_'), "{name} does not say what of");
                assert!(names.insert(name.to_owned()), "{name} is the name of two operations");
            }
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let described = openapi();
        let text = described.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(described.pointer(pointer).is_some(), "{pointer}");
        }
        assert_eq!(described["components"]["schemas"]["Subscription"]["type"], "object");
    }

    #[test]
    fn every_answer_in_json_has_a_schema() {
        let described = openapi();
        let no_json = [
            "/.well-known/",
            "/health/",
            "/metrics",
            "/contracts/{",
            "/schemas/",
            "/openapi",
            "/problems",
            "/checkpoint",
        ];
        for (path, methods) in described["paths"].as_object().unwrap() {
            let described = methods.as_object().unwrap().iter();
            for (_, operation) in described.filter(|(method, _)| *method != "options") {
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let is_empty = ["202", "204", "304"].contains(&status.as_str());
                    let other = status == "200" && no_json.iter().any(|part| path.contains(part));
                    let has_body = response.get("content").is_some();
                    assert!(has_body || is_empty || other, "{path} {status}");
                }
            }
        }
        let schemas = &described["components"]["schemas"];
        let shown = &schemas[SHOWN]["properties"];
        assert!(shown["sink"].is_object() && shown["progress"].is_object(), "{shown}");
        assert!(schemas["Problem"]["properties"]["detail"].is_object());
    }

    #[test]
    fn whatever_is_shown_of_a_subscription_can_be_sent_back() {
        let described = openapi();
        let shown = &described["components"]["schemas"][SHOWN]["properties"];
        let asked = schemars::schema_for!(SubscriptionDocument).to_value();
        for name in shown.as_object().unwrap().keys() {
            let is_asked = asked["properties"].get(name).is_some();
            assert!(is_asked != GivenDocument::is_told(name), "add `{name}` to `TOLD`");
        }
    }

    /// The embedded bus fails in words of its own.
    fn is_bus(operation: &Value) -> bool {
        operation["security"][0].get("signature").is_some()
    }

    #[test]
    fn only_public_operations_are_open_and_all_others_may_fail() {
        let described = openapi();
        for methods in described["paths"].as_object().unwrap().values() {
            for operation in methods.as_object().unwrap().values() {
                let is_public = operation["tags"][0] == "public";
                assert_eq!(is_public, operation.get("security").is_none(), "{operation}");
                for class in ["4XX", "5XX"] {
                    let may_fail = operation["responses"].get(class).is_some();
                    assert!(is_public || is_bus(operation) || may_fail, "{class}: {operation}");
                }
            }
        }
    }
}
