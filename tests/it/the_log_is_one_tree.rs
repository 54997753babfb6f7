//! The whole log is one tree: what two consumers saw can be compared, what was written stays as it was,
//! and others' tools read it.

use std::collections::HashMap;
use std::process::Output;
use std::time::Duration;

use base64_simd::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Checkpoint, Error, Hash, Tile, TileHashReader, TileReader, check_record, check_tree,
    prove_record, prove_tree, record_hash,
};

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock};
use sealway::event::EventDigest;
use sealway::eventlog::ProofAccess;
use sealway::transparency::{LeafData, TreeHash, TreeRoot, verify_consistency, verify_inclusion};

use crate::harness::{Receiver, TestGateway, assert_members_are_documented, eventually, program};

const DAY: Duration = Duration::from_hours(24);

/// What a path of the log answers, to whoever asks.
struct Served {
    status: u16,
    media_type: String,
    policy: String,
    bytes: Vec<u8>,
}

async fn served(gateway: &TestGateway, path: &str, key: Option<&str>) -> Served {
    let mut request = gateway.request(Method::GET, path);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let answer = request.send().await.unwrap();
    let header = |name: &str| {
        let value = answer.headers().get(name);
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let (media_type, policy) = (header("content-type"), header("cache-control"));
    let status = answer.status().as_u16();
    Served { status, media_type, policy, bytes: answer.bytes().await.unwrap().to_vec() }
}

/// The verifier key of the log, as its command line tells it.
pub fn verifier_key(gateway: &TestGateway) -> String {
    let settings = gateway.path("gateway.yaml");
    let text = format!("issuer: {}\nkeys: {{ directory: keys }}\n", gateway.issuer());
    std::fs::write(&settings, text).unwrap();
    let told = program().arg("--config").arg(settings).args(["log", "key"]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

/// The log's checkpoint, as another library verifies and reads it.
async fn checkpoint(gateway: &TestGateway, key: &str) -> Checkpoint {
    let found = served(gateway, "/log/checkpoint", None).await;
    assert_eq!((found.status, &*found.media_type), (200, "text/plain; charset=utf-8"));
    assert_eq!(found.policy, "no-cache");
    let note = Note::from_bytes(&found.bytes).unwrap();
    let verifiers = VerifierList::new(vec![Box::new(StandardVerifier::new(key).unwrap())]);
    let (verified, others) = note.verify(&verifiers).unwrap();
    assert_eq!((verified.len(), others.len()), (1, 0));
    let checkpoint = Checkpoint::from_bytes(note.text()).unwrap();
    let origin = gateway.issuer().replace("http://", "") + "/log";
    assert_eq!((checkpoint.origin(), verified[0].name()), (&*origin, &*origin));
    assert_eq!(checkpoint.extension(), "");
    checkpoint
}

/// Tiles that were fetched over HTTP, for another library.
struct Fetched(HashMap<String, Vec<u8>>);

impl Fetched {
    async fn of(gateway: &TestGateway, size: u64) -> Self {
        let mut tiles = HashMap::new();
        for tile in Tile::new_tiles(8, 0, size) {
            // Their paths name the height of tiles, as Go's do.
            let path = tile.path().replace("tile/8/", "");
            let found = served(gateway, &format!("/log/tile/{path}"), None).await;
            assert_eq!((found.status, &*found.media_type), (200, "application/octet-stream"));
            assert_eq!(found.policy, "public, max-age=31536000, immutable");
            tiles.insert(path, found.bytes);
        }
        Self(tiles)
    }
}

impl TileReader for Fetched {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(tiles.iter().map(|tile| self.0[&tile.path().replace("tile/8/", "")].clone()).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// The entries of a bundle.
fn entries(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        entries.push(entry.to_vec());
        bytes = rest;
    }
    entries
}

fn hash(text: &Value) -> TreeHash {
    text.as_str().unwrap().parse().unwrap()
}

fn tree(value: &Value) -> TreeRoot {
    TreeRoot { size: value["size"].as_u64().unwrap(), root: hash(&value["root"]) }
}

fn proof(answer: &Value) -> Vec<TreeHash> {
    answer["proof"].as_array().unwrap().iter().map(hash).collect()
}

fn theirs(hashes: &[TreeHash]) -> Vec<Hash> {
    hashes.iter().map(|hash| Hash(hash.to_bytes())).collect()
}

#[tokio::test]
async fn others_tools_verify_the_note_and_prove_from_our_tiles_what_we_prove() {
    let mut gateway = TestGateway::start().await;
    let key = verifier_key(&gateway);
    let empty = checkpoint(&gateway, &key).await;
    assert_eq!((empty.size(), *empty.hash()), (0, tlog_tiles::EMPTY_HASH));
    let ids = gateway.orders(1..=260).await;
    let before = checkpoint(&gateway, &key).await;
    assert_eq!(before.size(), 260);
    gateway.restart().await;
    gateway.order(261).await;

    let now = checkpoint(&gateway, &key).await;

    assert_eq!(now.size(), 261);
    let tiles = Fetched::of(&gateway, now.size()).await;
    let reader = TileHashReader::new(now.size(), *now.hash(), &tiles);
    let consistency = prove_tree(now.size(), before.size(), &reader).unwrap();
    check_tree(&consistency, now.size(), *now.hash(), before.size(), *before.hash()).unwrap();
    let ours = gateway.get("/log/proof/consistency?from=260").await;
    assert_eq!(theirs(&proof(&ours)), consistency);
    assert_eq!(tree(&ours["from"]).root.to_bytes(), before.hash().0);

    let full = served(&gateway, "/log/tile/entries/000", None).await;
    let partial = served(&gateway, "/log/tile/entries/001.p/5", None).await;
    let bundles = [entries(&full.bytes), entries(&partial.bytes)].concat();
    assert_eq!(bundles.len(), 261);
    for index in [0, 255, 256, 259] {
        let entry = &bundles[usize::try_from(index).unwrap()];
        let made = prove_record(now.size(), index, &reader).unwrap();
        check_record(&made, now.size(), *now.hash(), index, record_hash(entry)).unwrap();
        let id = &ids[usize::try_from(index).unwrap()];
        let ours = gateway.get(&format!("/log/proof/inclusion?event={id}")).await;
        assert_eq!((&ours["index"], &ours["event"]), (&json!(index), &json!(id)));
        assert_eq!(theirs(&proof(&ours)), made);
        let digest: EventDigest = ours["digest"].as_str().unwrap().parse().unwrap();
        assert_eq!(*entry, LeafData::new(id.parse().unwrap(), digest).as_bytes());
    }
    for path in ["0/001", "0/001.p/6", "1/000.p/2", "2/000.p/1", "entries/002.p/1", "x", "0/0"] {
        let found = served(&gateway, &format!("/log/tile/{path}"), None).await;
        assert_eq!(found.status, 404, "{path}");
    }
}

#[tokio::test]
async fn two_consumers_find_their_events_in_one_tree_at_their_checkpoints() {
    let gateway = TestGateway::start().await;
    let receivers = [
        Receiver::subscribed(&gateway, "shop").await,
        Receiver::subscribed(&gateway, "audit").await,
    ];
    gateway.orders(1..=3).await;
    let mut heads = Vec::new();
    for receiver in &receivers {
        let arrivals = receiver.wait_for_delivered(3).await;
        let path = format!("/subscriptions/{}/checkpoint", receiver.name());
        let head = eventually("a checkpoint behind all", async || {
            let token = gateway.get(&path).await;
            let checkpoint = receiver.read_checkpoint(token.as_str().unwrap()).unwrap();
            (checkpoint.sequence == 3).then_some(checkpoint.tree.unwrap())
        })
        .await;
        assert_eq!((head.first, head.tree.size), (1, 3));
        for arrival in arrivals {
            // From what stands in the token alone.
            let digest = arrival.opened.digest().unwrap();
            let leaf = LeafData::new(arrival.id().parse().unwrap(), digest);
            let path = format!("/log/proof/inclusion?event={}&size=3", arrival.id());
            let answer = gateway.get(&path).await;
            let index = answer["index"].as_u64().unwrap();
            assert_eq!(verify_inclusion(&leaf, index, &proof(&answer), &head.tree), Ok(()));
            let other = LeafData::new(leaf_id(&answer), EventDigest::from_bytes([0; 32]));
            assert!(verify_inclusion(&other, index, &proof(&answer), &head.tree).is_err());
        }
        heads.push(head);
    }
    assert_eq!(heads[0], heads[1], "both were shown one history");

    gateway.order(4).await;
    let answer = gateway.get("/log/proof/consistency?from=3").await;
    let now = tree(&answer["to"]);
    assert_eq!(verify_consistency(&heads[0].tree, &now, &proof(&answer)), Ok(()));
}

fn leaf_id(answer: &Value) -> sealway::event::EventId {
    answer["event"].as_str().unwrap().parse().unwrap()
}

/// Runs `sealway log proof` as nobody in particular.
fn log_proof(gateway: &TestGateway, arguments: &[&str]) -> (Option<i32>, String) {
    let ended: Output = program()
        .args(["--gateway", &gateway.issuer(), "log", "proof"])
        .args(arguments)
        .env("SEALWAY_CALLER_KEY", gateway.admin())
        .output()
        .unwrap();
    let told = [ended.stdout, ended.stderr].concat();
    (ended.status.code(), String::from_utf8(told).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_checks_proofs_against_what_the_caller_knows() {
    let gateway = TestGateway::start().await;
    let ids = gateway.orders(1..=5).await;
    let root = gateway.get("/log/proof/consistency?from=3&to=3").await["to"]["root"].clone();
    let root = root.as_str().unwrap();
    let zero = TreeHash::from_bytes([0; 32]).to_string();

    let (code, told) = log_proof(&gateway, &["inclusion", &ids[1]]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("is leaf 1 of the tree of 5 leaves"), "{told}");
    assert!(told.contains("this is the gateway's word: the root and the digest."), "{told}");
    let known = ["inclusion", &ids[1], "--size", "3", "--root", root];
    let (code, told) = log_proof(&gateway, &known);
    assert_eq!(code, Some(0));
    assert!(told.contains("the gateway's word: the digest."), "{told}");
    let answer = gateway.get(&format!("/log/proof/inclusion?event={}", ids[1])).await;
    let digest = answer["digest"].as_str().unwrap();
    let (_, told) = log_proof(&gateway, &[&known[..], &["--digest", digest]].concat());
    assert!(told.starts_with("proved") && !told.contains("word"), "{told}");
    let (_, told) = log_proof(&gateway, &["--output", "json", "inclusion", &ids[1]]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["gateways-word"], json!(["the root", "the digest"]));
    assert_members_are_documented(&told, "docs/transparency.md");
    let wrong = ["inclusion", &ids[1], "--size", "3", "--root", &zero];
    assert_eq!(log_proof(&gateway, &wrong).0, Some(1));
    let digest = EventDigest::from_bytes([0; 32]).to_string();
    assert_eq!(log_proof(&gateway, &["inclusion", &ids[1], "--digest", &digest]).0, Some(1));

    let known = ["consistency", "--from", "3", "--from-root", root];
    let (code, told) = log_proof(&gateway, &known);
    assert_eq!(code, Some(0), "{told}");
    let kept = gateway.path("kept.note");
    std::fs::write(&kept, served(&gateway, "/log/checkpoint", None).await.bytes).unwrap();
    gateway.order(6).await;
    let kept = ["consistency", "--note", kept.to_str().unwrap()];
    let (code, told) = log_proof(&gateway, &kept);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("the tree of 6 leaves begins with that of 5"), "{told}");
    let (code, told) = log_proof(&gateway, &["consistency", "--from", "3", "--from-root", &zero]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("not proved"), "{told}");
}

#[tokio::test]
async fn questions_that_no_tree_answers_are_refused() {
    let gateway = TestGateway::start().await;
    let ids = gateway.orders(1..=2).await;
    let status = async |path: &str| gateway.call(Method::GET, path, None).await.status;
    let nowhere = "00000000000000000000000000";
    for (path, expected) in [
        ("inclusion".to_owned(), 422),
        (format!("inclusion?event={}&index=1", ids[0]), 422),
        ("inclusion?event=x".to_owned(), 422),
        (format!("inclusion?event={nowhere}"), 404),
        (format!("inclusion?event={}&size=1", ids[1]), 422),
        ("inclusion?index=2".to_owned(), 422),
        ("inclusion?index=0&size=3".to_owned(), 422),
        ("inclusion?index=18446744073709551615".to_owned(), 422),
        ("inclusion?index=-1".to_owned(), 400),
        ("consistency".to_owned(), 400),
        ("consistency?from=3".to_owned(), 422),
        ("consistency?from=2&to=1".to_owned(), 422),
        ("consistency?from=1&to=3".to_owned(), 422),
    ] {
        assert_eq!(status(&format!("/log/proof/{path}")).await, expected, "{path}");
    }
    assert_eq!(gateway.get("/log/proof/consistency?from=0").await["proof"], json!([]));
}

#[tokio::test]
async fn proofs_and_tiles_can_be_kept_from_strangers() {
    let gateway = TestGateway::with(None, |config| config.log.proofs = ProofAccess::Granted).await;
    let id = gateway.order(1).await;
    let consumer = gateway.add_caller("shop", &["consume:shop"]).await;
    let inclusion = format!("/log/proof/inclusion?event={id}");
    for path in
        ["/log/checkpoint", "/log/tile/0/000.p/1", "/log/proof/consistency?from=1", &inclusion]
    {
        assert_eq!(served(&gateway, path, None).await.status, 401, "{path}");
        let found = served(&gateway, path, Some(&consumer)).await;
        assert_eq!(found.status, 200, "{path}");
        assert!(!found.policy.contains("public"), "{path}: {}", found.policy);
    }
}

#[tokio::test]
async fn what_retention_has_dropped_is_still_in_the_tree() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.log.retention.age = Some(HumanDuration(DAY));
    })
    .await;
    let ids = gateway.orders(1..=258).await;
    let event = gateway.get(&format!("/log/proof/inclusion?event={}", ids[3])).await;
    clock.advance(2 * DAY);
    eventually("the log is empty", async || {
        clock.advance(Duration::from_mins(5));
        let listed = gateway.get("/events").await;
        listed["events"].as_array().unwrap().is_empty().then_some(())
    })
    .await;

    let answer = gateway.get("/log/proof/inclusion?index=3").await;

    let digest = event["digest"].as_str().unwrap().parse().unwrap();
    let leaf = LeafData::new(ids[3].parse().unwrap(), digest);
    assert_eq!(verify_inclusion(&leaf, 3, &proof(&answer), &tree(&answer["tree"])), Ok(()));
    assert_eq!(served(&gateway, "/log/tile/0/000", None).await.status, 200);
    let gone = served(&gateway, "/log/tile/entries/000", None).await;
    assert_eq!(gone.status, 410, "all of this bundle was dropped");
    let rest = served(&gateway, "/log/tile/entries/001.p/2", None).await;
    assert_eq!(rest.status, 200, "of the last bundle more may come");
    let hashes = served(&gateway, "/log/tile/0/001.p/2", None).await.bytes;
    let entries: Vec<u8> =
        entries(&rest.bytes).iter().flat_map(|entry| record_hash(entry).0).collect();
    assert_eq!(entries, hashes);
}

#[tokio::test]
async fn a_bundle_proves_that_its_events_are_in_the_tree_of_its_last_place() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.orders(1..=7).await;
    receiver.wait_for_delivered(7).await;
    let settled = async || {
        let bundle = gateway.request(Method::GET, "/subscriptions/shop/evidence");
        let text = bundle.bearer_auth(gateway.admin()).send().await.unwrap().text().await.unwrap();
        (text.matches("\"kind\":\"event\"").count() == 7).then_some(text)
    };
    let text = eventually("all are in the bundle", settled).await;
    let file = gateway.path("bundle.ndjson");
    let verify = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let ended =
            program().args(["--output", "json", "evidence", "verify"]).arg(&file).output().unwrap();
        (ended.status.code(), serde_json::from_slice::<Value>(&ended.stdout).unwrap())
    };

    let (code, said) = verify(&text);

    assert_eq!((code, &said["flaws"]), (Some(4), &json!([])), "{said}");
    assert_eq!((&said["unproved"], &said["tree"]["size"]), (&json!(0), &json!(7)));
    let root = gateway.get("/log/proof/consistency?from=7&to=7").await["to"]["root"].clone();
    assert_eq!(said["tree"]["root"], root);
    let (code, said) = verify(&text.replacen("\"index\":3", "\"index\":2", 1));
    assert_eq!(code, Some(1), "{said}");
}

#[tokio::test]
async fn a_tree_that_was_tampered_with_is_found_on_disk() {
    let mut gateway = TestGateway::start().await;
    gateway.orders(1..=300).await;
    gateway.stop().await;
    let data = gateway.path("data");
    let verify = || {
        let ended = program().args(["log", "verify"]).arg(&data).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
    };
    let (code, told) = verify();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("300 leaves of the tree"), "{told}");

    let change = |sql: &str| {
        let database = rusqlite::Connection::open(data.join("sealway.db")).unwrap();
        assert_eq!(database.execute(sql, []).unwrap(), 1, "{sql}");
    };
    change("UPDATE tree_nodes SET hash = zeroblob(32)");
    let (code, told) = verify();
    assert_eq!(code, Some(1));
    assert!(told.contains("hash 0 of level 1 is not that of its leaves"), "{told}");
    change("UPDATE tree_leaves SET hashes = zeroblob(512) WHERE number = 17");
    let (_, told) = verify();
    assert!(told.contains("leaf 272 is not that of its entry"), "{told}");
    change("DELETE FROM tree_leaves WHERE number = 2");
    let (_, told) = verify();
    assert!(told.contains("leaves 0 to 255 are missing"), "{told}");
}

#[tokio::test]
async fn a_lost_note_key_is_told_and_not_replaced() {
    let mut gateway = TestGateway::start().await;
    let key = verifier_key(&gateway);
    let file = gateway.path("keys").join("note-key.json");
    let elsewhere = gateway.path("kept");
    gateway.stop().await;
    std::fs::rename(&file, &elsewhere).unwrap();

    let refusal = gateway.refusal().await;

    assert!(refusal.contains("note-key") && refusal.contains("sealway keys adopt"), "{refusal}");
    assert!(!file.exists());
    std::fs::rename(&elsewhere, &file).unwrap();
    gateway.start_again().await;
    assert_eq!(verifier_key(&gateway), key);
    // Base64 may have plus signs of its own.
    let base64 = key.splitn(3, '+').nth(2).unwrap();
    assert_eq!(STANDARD.decode_to_vec(base64).unwrap().len(), 33);
}
