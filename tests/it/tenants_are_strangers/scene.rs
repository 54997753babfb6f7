//! One of everything that can belong to somebody, and callers to whom none of it belongs.

use serde_json::{Value, json};

use crate::harness::{Receiver, Reply, TestGateway, eventually};

/// A gateway on which the consumer `owner` has one of everything.
pub struct Scene {
    pub gateway: TestGateway,
    receivers: [Receiver; 2],
    /// The key of the consumer whose it all is.
    pub owner: String,
    /// Callers to whom nothing of it belongs.
    pub strangers: Vec<Stranger>,
    /// An event that the owner was sent.
    pub event: String,
    /// A dead letter beside the one that is dismissed.
    pub spare_letter: u64,
    letter: u64,
    replay: String,
    redrive: String,
    quarantined: String,
    grant: String,
    access_request: String,
    /// The subscription as its owner wrote it.
    pub document: Value,
    /// Another one for the owner, as only the owner may make it.
    pub another: Value,
}

/// A caller to whom nothing belongs.
pub struct Stranger {
    pub name: &'static str,
    pub key: String,
    scopes: &'static [&'static str],
}

impl Stranger {
    /// Whether it has a scope of one of these kinds.
    pub fn is_one_of(&self, kinds: &[&str]) -> bool {
        let kind = |scope: &&str| scope.split(':').next().is_some_and(|kind| kinds.contains(&kind));
        self.scopes.iter().any(kind)
    }
}

/// Who is a stranger to what the consumer `owner` has, and to operators.
const STRANGERS: &[(&str, &[&str])] = &[
    ("other", &["consume:other"]),
    ("publisher", &["publish:nowhere"]),
    ("domain", &["domain:nowhere"]),
    ("reader", &["read-data"]),
    ("several", &["consume:other", "publish:nowhere", "domain:nowhere"]),
];

impl Scene {
    /// Sets it up; sinks hang from then on, so that nothing of it ends by itself.
    pub async fn set() -> Self {
        let gateway = TestGateway::start().await;
        let (owner, other) =
            (Receiver::start(&gateway, "owner").await, Receiver::start(&gateway, "other").await);
        let wish = json!({ "config": { "maximumRetryAttempts": 0 } });
        gateway.subscribe(&owner, wish.clone()).await;
        gateway.subscribe(&other, json!({ "types": ["Never.Happens"] })).await;
        let pulled = json!({ "id": "pulled", "sink": null, "protocol": "PULL" });
        gateway.post("/subscriptions", &owner.document(pulled.clone())).await;
        let keys = gateway.add_caller("owner", &["consume:owner"]).await;
        let mut strangers = Vec::new();
        for (name, scopes) in STRANGERS {
            strangers.push(Stranger { name, key: gateway.add_caller(name, scopes).await, scopes });
        }
        owner.answer_next([Reply::Status(500), Reply::Status(500), Reply::Status(500)]);
        let events = gateway.orders([1, 2, 3]).await;
        let letters = numbers_of_letters(&gateway).await;
        owner.answer(Reply::Hang);
        let document = owner.document(wish);
        let another = owner.document(json!({ "id": "another" }));
        let mut scene = Self {
            gateway,
            receivers: [owner, other],
            owner: keys,
            strangers,
            event: events[0].clone(),
            spare_letter: letters[2],
            letter: letters[0],
            replay: String::new(),
            redrive: String::new(),
            quarantined: String::new(),
            grant: String::new(),
            access_request: String::new(),
            document,
            another,
        };
        scene.begin_jobs(&events[1]).await;
        scene
    }

    async fn begin_jobs(&mut self, redriven: &str) {
        let id = |answer: &Value| answer["id"].as_str().unwrap().to_owned();
        let (gateway, wish) = (&self.gateway, json!({ "from": self.event }));
        self.replay = id(&gateway.post("/subscriptions/owner/replays", &wish).await);
        let redrive = "/subscriptions/owner/dead-letters/redrive";
        let wish = json!({ "from": redriven, "to": redriven, "rate": 1 });
        self.redrive = id(&gateway.post(redrive, &wish).await);
        let wish = json!({ "consumer": "owner", "publication": "orders/Order.Created" });
        self.grant = id(&gateway.post("/grants", &wish).await).replace('/', "%2F");
        self.access_request = id(&gateway.post("/access-requests", &wish).await);
        let broken = json!({
            "specversion": "1.0", "id": "broken", "source": "order-service",
            "type": "OrderCreated", "data": { "id": 7, "amount": "confidential" },
        });
        let path = "/events?manner=asynchronous";
        let media_type = "application/cloudevents+json";
        let kept = gateway.send_text(path, media_type, broken.to_string()).await;
        assert_eq!(kept.status, 202, "{}", kept.body);
        let listed = gateway.get("/quarantine").await;
        let entry = &listed["quarantined"][0]["id"];
        self.quarantined = entry.as_str().map_or_else(|| entry.to_string(), str::to_owned);
        assert!(self.receivers[1].arrivals().is_empty(), "no event concerns the other");
    }

    /// A path with what exists in the place of its parameters, and with what does not.
    pub fn paths(&self, path: &str) -> [String; 2] {
        let (mut there, mut nowhere) = (path.to_owned(), path.to_owned());
        for (name, exists, missing) in self.things(path) {
            there = there.replace(name, &exists);
            nowhere = nowhere.replace(name, missing);
        }
        assert!(!there.contains('{'), "{there}: say in `Scene::things` what stands there");
        [there, nowhere]
    }

    /// What stands in a path for a parameter, and what might and does not exist.
    fn things(&self, path: &str) -> Vec<(&'static str, String, &'static str)> {
        const NO_ULID: &str = "00000000000000000000000000";
        let thing = |name, exists: &str, missing| (name, exists.to_owned(), missing);
        let first = path.split('/').nth(1).unwrap_or_default();
        let fetched = ["/events", "/poll", "/stream"].iter().any(|end| path.ends_with(end));
        match first {
            "subscriptions" => vec![
                thing("{id}", if fetched { "pulled" } else { "owner" }, "nobody"),
                thing("{number}", &self.letter.to_string(), "99999"),
            ],
            "replays" => vec![thing("{id}", &self.replay, NO_ULID)],
            "redrives" => vec![thing("{id}", &self.redrive, NO_ULID)],
            "events" => vec![thing("{id}", &self.event, NO_ULID)],
            "quarantine" => vec![thing("{id}", &self.quarantined, "99999")],
            "grants" => vec![thing("{id}", &self.grant, "nothing")],
            "access-requests" => vec![thing("{id}", &self.access_request, "nothing")],
            "external-ids" => vec![thing("{consumer}", "owner", "nobody")],
            "problems" => vec![thing("{code}", "not-found", "nothing")],
            "log" => {
                vec![thing("{path}", "0/000.p/1", "0/999"), thing("{incarnation}", "1", "9")]
            }
            "contracts" => vec![thing("{path}", "orders.yaml", "nothing.yaml")],
            "schemas" => vec![
                thing("{domain}", "orders", "nothing"),
                thing("{event}", "Order.Created", "Nothing"),
                thing("{name}", "OrderCreated", "Nothing"),
                thing("{version}", "1.0.0", "9.9.9"),
            ],
            "service" => vec![
                thing("{service}", "AWSEvents", "Nothing"),
                thing("{operation}", "PutEvents", "Nothing"),
            ],
            _ => Vec::new(),
        }
    }

    /// Words that stand in an answer only if something of the owner is told.
    pub fn told_by(&self) -> Vec<&str> {
        let words = [self.receivers[0].address(), &self.event, &self.replay, &self.redrive];
        words.into_iter().chain(["\"owner\"", "\"pulled\"", "confidential"]).collect()
    }
}

async fn numbers_of_letters(gateway: &TestGateway) -> Vec<u64> {
    eventually("three dead letters", async || {
        let listed = gateway.get("/subscriptions/owner/dead-letters").await;
        let letters = listed["deadLetters"].as_array().unwrap();
        let numbers = letters.iter().map(|letter| letter["id"].as_u64().unwrap());
        let numbers: Vec<_> = numbers.collect();
        (numbers.len() == 3).then_some(numbers)
    })
    .await
}
