//! Every route of the OpenAPI description, called by everybody to whom what it serves does not belong.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::routes::{Door, Meant, ROUTES, Route};
use super::scene::{Scene, Stranger};

/// Headers of an answer that differ from request to request.
const OF_THE_REQUEST: [&str; 4] = ["date", "x-request-id", "ratelimit", "ratelimit-policy"];

/// An answer to the byte.
#[derive(Debug, PartialEq)]
struct Whole {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Whole {
    fn problem(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["type"].as_str().unwrap_or_default().trim_start_matches("/problems/").to_owned()
    }

    fn brief(&self) -> String {
        format!("{} {}", self.status, self.body.chars().take(200).collect::<String>())
    }
}

/// The routes that the gateway says it has.
async fn described(scene: &Scene) -> BTreeSet<String> {
    let description = scene.gateway.get("/openapi.json").await;
    let paths = description["paths"].as_object().unwrap();
    let named = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods
            .filter(|method| *method != "parameters")
            .map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    named.collect()
}

fn request(scene: &Scene, route: &Route, path: &str, key: Option<&str>) -> RequestBuilder {
    let (method, _) = route.name.split_once(' ').unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let is_put = method == Method::PUT;
    let mut request = scene.gateway.request(method, path);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    // What replaces names what it replaces: anything.
    if is_put {
        request = request.header("if-match", "*");
    }
    match route.body {
        Some(body) if route.name == "POST /events" => {
            let media_type = "application/cloudevents+json";
            request.header("content-type", media_type).body(body(scene).to_string())
        }
        Some(body) => request.json(&body(scene)),
        None => request,
    }
}

async fn ask(scene: &Scene, route: &Route, path: &str, key: Option<&str>) -> Whole {
    let answer = request(scene, route, path, key).send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), kept(answer.headers()));
    // A stream that is served has no end.
    let body = if status == 200 && route.name.ends_with("/stream") {
        String::new()
    } else {
        answer.text().await.unwrap()
    };
    Whole { status, headers, body }
}

fn kept(headers: &HeaderMap) -> Vec<(String, String)> {
    let named = headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    named.filter(|(name, _)| !OF_THE_REQUEST.contains(&name.as_str())).collect()
}

/// What is wrong about how a route answers a stranger, if anything.
async fn met_by(scene: &Scene, route: &Route, stranger: &Stranger) -> Result<(), String> {
    let (_, path) = route.name.split_once(' ').unwrap();
    let [there, nowhere] = scene.paths(path);
    let key = Some(stranger.key.as_str());
    let found = ask(scene, route, &there, key).await;
    let missing = ask(scene, route, &nowhere, key).await;
    let told = scene.told_by().into_iter().find(|word| found.body.contains(word));
    if let (Some(word), false) = (told, route.door == Door::Everybody) {
        return Err(format!("tells {word}: {}", found.brief()));
    }
    let names = |scope: &str| found.status == 403 && found.body.contains(&format!("`{scope}`"));
    let is_right = match route.door {
        Door::Everybody => return same_for_nobody(scene, route, (&there, &found)).await,
        Door::Signers => (400..500).contains(&found.status),
        Door::Owner | Door::Domain => found.status == 404 && found == missing,
        Door::OwnerOr(scope) | Door::DomainOr(scope) => {
            (found.status == 404 || names(scope)) && found == missing
        }
        Door::OwnList(kinds) if stranger.is_one_of(kinds) => found.status == 200,
        Door::OwnList(kinds) => {
            let names_kind = |kind: &&str| names(&format!("{kind}:NAME"));
            names("operate") && kinds.iter().all(names_kind) && found == missing
        }
        Door::Scope(scope) => names(scope) && found == missing,
        Door::OwnScope => {
            found.status == 403
                && ["forbidden", "source-not-allowed"].contains(&found.problem().as_str())
        }
    };
    if is_right {
        return Ok(());
    }
    Err(format!("is answered {}\n  and of what does not exist {}", found.brief(), missing.brief()))
}

/// What everybody is told does not depend on who asks.
async fn same_for_nobody(
    scene: &Scene,
    route: &Route,
    (path, found): (&str, &Whole),
) -> Result<(), String> {
    let bare = ask(scene, route, path, None).await;
    if bare == *found { Ok(()) } else { Err(format!("depends on the caller: {}", bare.brief())) }
}

/// Nobody at all is told so alike, wherever it knocks.
async fn met_by_nobody(scene: &Scene, route: &Route) -> Result<(), String> {
    let (_, path) = route.name.split_once(' ').unwrap();
    let [there, nowhere] = scene.paths(path);
    let found = ask(scene, route, &there, None).await;
    let is_right = match route.door {
        Door::Everybody => true,
        Door::Signers => (400..500).contains(&found.status),
        _ => found.status == 401 && found == ask(scene, route, &nowhere, None).await,
    };
    if is_right { Ok(()) } else { Err(format!("lets nobody in: {}", found.brief())) }
}

/// Those for whom a route is meant are not refused: what strangers were told was not for the body.
async fn meant(scene: &Scene, route: &Route) -> Result<(), String> {
    let (_, path) = route.name.split_once(' ').unwrap();
    let [there, _] = scene.paths(path);
    let is_owners = match route.door {
        Door::Owner | Door::OwnerOr(_) => true,
        Door::OwnList(kinds) => kinds.contains(&"consume"),
        _ => false,
    };
    let key = if is_owners { &scene.owner } else { scene.gateway.admin() };
    let found = ask(scene, route, &there, Some(key)).await;
    // What is there and stands otherwise is 409, and is not what strangers are told.
    let is_right = found.status < 400 || found.status == 409;
    if is_right { Ok(()) } else { Err(format!("refuses whom it serves: {}", found.brief())) }
}

#[tokio::test]
async fn every_route_is_a_wall_to_strangers_and_a_door_to_whom_it_serves() {
    let scene = Box::pin(Scene::set()).await;
    let described = described(&scene).await;
    let known: BTreeSet<_> = ROUTES.iter().map(|route| route.name.to_owned()).collect();
    let mut wrong = String::new();
    for route in described.difference(&known) {
        writeln!(
            wrong,
            "{route} has no line: add `route(\"{route}\", Owner)` to ROUTES in \
             tests/it/tenants_are_strangers/routes.rs, with another `Door` if it is one and with a \
             right body if it takes one"
        )
        .unwrap();
    }
    for route in known.difference(&described) {
        writeln!(wrong, "{route} is not in the OpenAPI description").unwrap();
    }
    for route in ROUTES.iter().filter(|route| described.contains(route.name)) {
        let mut note = |caller: &str, outcome: Result<(), String>| {
            if let Err(problem) = outcome {
                writeln!(wrong, "{}, called by {caller}, {problem}", route.name).unwrap();
            }
        };
        for stranger in &scene.strangers {
            note(stranger.name, met_by(&scene, route, stranger).await);
        }
        note("nobody", met_by_nobody(&scene, route).await);
    }
    for route in ROUTES.iter().filter(|route| route.meant == Meant::Works) {
        if let Err(problem) = meant(&scene, route).await {
            writeln!(wrong, "{} {problem}", route.name).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
