//! The API as OpenAPI 3.1, made from the handlers.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::IntoResponse;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::api::{
    deliveries, events, explain, health, post_events, published, quarantine, replays, subscriptions,
};
use crate::subscriptions::Document;

/// Every operation but `POST /`, which is described by AWS.
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
        (name = "deliveries", description = "What became of deliveries"),
        (name = "replays", description = "Send a range of events again"),
        (name = "quarantine", description = "Events that broke their contract"),
        (name = "operate", description = "For those who run the gateway")
    ),
    paths(
        serve,
        published::jwks,
        published::contracts,
        published::contract,
        published::schema,
        explain::problem,
        health::live,
        health::ready,
        health::metrics,
        post_events::publish,
        events::list,
        events::get,
        subscriptions::list,
        subscriptions::create,
        subscriptions::read,
        subscriptions::replace,
        subscriptions::remove,
        subscriptions::verify,
        subscriptions::pause,
        subscriptions::resume,
        subscriptions::checkpoint,
        deliveries::attempts,
        deliveries::dead_letters,
        deliveries::redrive,
        replays::start,
        replays::list,
        replays::read,
        replays::cancel,
        quarantine::list,
        quarantine::read,
        quarantine::release,
        quarantine::remove,
    )
)]
struct Described;

/// This description of the API, as OpenAPI 3.1.
#[utoipa::path(
    get, path = "/openapi.json", tag = "public",
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
        }});
        components.insert("securitySchemes".to_owned(), schemes);
        if let Some(schemas) = components.get_mut("schemas").and_then(Value::as_object_mut) {
            schemas.extend(subscription());
        }
    }
    let paths = member(&mut described, "paths").into_iter().flat_map(Map::values_mut);
    for operation in paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let tag = operation.pointer("/tags/0").cloned().unwrap_or_default();
        if let Some(operation) = operation.as_object_mut().filter(|_| tag != "public") {
            operation.insert("security".to_owned(), json!([{ "caller": [] }]));
        }
        let body = operation.pointer_mut("/requestBody/content/application~1json/schema");
        if let Some(schema) = body.filter(|_| tag == "subscriptions") {
            *schema = json!({ "$ref": "#/components/schemas/Subscription" });
        }
    }
    described
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
    let mut schema = settings.into_generator().into_root_schema_for::<Document>().to_value();
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

    /// Every method and path of the router, read from its one screen.
    fn routes() -> BTreeSet<String> {
        let screen = include_str!("router.rs").split(".with_state").next().unwrap();
        let mut found = BTreeSet::new();
        for route in screen.split(".route(").skip(1) {
            let path = route.split('"').nth(1).unwrap().replace("{*", "{");
            for method in ["get", "post", "put", "delete"] {
                if route.contains(&format!("{method}(")) {
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
    fn only_public_operations_are_open() {
        let described = openapi();
        for methods in described["paths"].as_object().unwrap().values() {
            for operation in methods.as_object().unwrap().values() {
                let is_public = operation["tags"][0] == "public";
                assert_eq!(is_public, operation.get("security").is_none(), "{operation}");
            }
        }
    }
}
