//! A witness cosigns one history of a log, and whoever believes it sees offline what the gateway's operator
//! has done alone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use signed_note::{Note, StandardVerifier, VerifierList};

use sealway::ambient::HumanDuration;
use sealway::config::Config;
use sealway::keys::NoteSigningKey;
use sealway::transparency::{
    AddCheckpoint, Frontier, LogNote, NoteKey, NoteSignature, SignedNote, TreeHash, WitnessKey,
};

use crate::harness::{
    Receiver, TestGateway, WITNESS, WitnessProcess, eventually, free_port, program,
};
use crate::the_log_is_one_tree::verifier_key;

const NEVER: Duration = Duration::from_hours(24);

/// A gateway with a consumer and some events, and a witness that knows its log; it is asked at each start,
/// and for a bundle.
async fn witnessed(events: u64) -> (TestGateway, Receiver, WitnessProcess) {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    gateway.orders(1..=events).await;
    receiver.wait_for_delivered(usize::try_from(events).unwrap()).await;
    let witness = WitnessProcess::of(&[&verifier_key(&gateway)]);
    gateway.restart_with(asking(&witness)).await;
    cosigned(&gateway, &witness, events).await;
    (gateway, receiver, witness)
}

fn asking(witness: &WitnessProcess) -> impl FnOnce(&mut Config) + use<> {
    let setting = witness.setting();
    |config| {
        config.log.witnesses = vec![setting];
        config.log.witness_interval = HumanDuration(NEVER);
    }
}

async fn checkpoint(gateway: &TestGateway) -> SignedNote {
    let answer = gateway.request(Method::GET, "/log/checkpoint").send().await.unwrap();
    answer.text().await.unwrap().parse().unwrap()
}

/// Waits until the checkpoint is of so many leaves, and cosigned.
async fn cosigned(gateway: &TestGateway, witness: &WitnessProcess, size: u64) -> SignedNote {
    let key: WitnessKey = witness.key().parse().unwrap();
    eventually("a cosigned checkpoint", async || {
        let note = checkpoint(gateway).await;
        let said: LogNote = note.text.parse().unwrap();
        (key.verify(&note).is_ok() && said.tree.size == size).then_some(note)
    })
    .await
}

/// Exports once so many events are in the bundle.
async fn export(gateway: &TestGateway, events: usize) -> String {
    eventually("all are in the bundle", async || {
        let bundle = gateway.request(Method::GET, "/subscriptions/shop/evidence");
        let text = bundle.bearer_auth(gateway.admin()).send().await.unwrap().text().await.unwrap();
        (text.matches("\"kind\":\"event\"").count() == events).then_some(text)
    })
    .await
}

/// Verifies a bundle with the gateway's keys, and whatever else is known.
async fn verify(gateway: &TestGateway, bundle: &str, more: &[&str]) -> (i32, Value) {
    let (file, keys) = (gateway.path("bundle.ndjson"), gateway.path("jwks.json"));
    fs::write(&file, bundle).unwrap();
    fs::write(&keys, gateway.get("/.well-known/jwks.json").await.to_string()).unwrap();
    let mut command = program();
    command.args(["--output", "json", "evidence", "verify"]).arg(&file).arg("--jwks").arg(keys);
    let ended = command.args(more).output().unwrap();
    let said = serde_json::from_slice(&ended.stdout);
    let said = said.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&ended.stderr)));
    (ended.status.code().unwrap(), said)
}

async fn metric(gateway: &TestGateway, outcome: &str) -> bool {
    let text = gateway.get("/metrics").await;
    let line =
        format!("sealway_witness_requests_total{{witness=\"{WITNESS}\",outcome=\"{outcome}\"}}");
    text.as_str().unwrap().contains(&line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_witness_has_cosigned_stands_in_the_checkpoint_and_in_bundles() {
    let (mut gateway, receiver, mut witness) = witnessed(3).await;
    let log = verifier_key(&gateway);
    let note = checkpoint(&gateway).await.to_string();

    let theirs = Note::from_bytes(note.as_bytes()).unwrap();
    let verifiers = VerifierList::new(vec![Box::new(StandardVerifier::new(&log).unwrap())]);
    let (by_log, by_others) = theirs.verify(&verifiers).unwrap();
    assert_eq!((by_log.len(), by_others.len()), (1, 1), "{note}");
    assert_eq!(by_others[0].name().to_string(), WITNESS);

    // Nobody asks for a day; the bundle asks by itself.
    gateway.order(4).await;
    receiver.wait_for_delivered(4).await;
    let bundle = export(&gateway, 4).await;
    let known = ["--witness-key", &witness.key(), "--log-key", &log];
    let (code, said) = verify(&gateway, &bundle, &known).await;
    assert_eq!((code, &said["verdict"]), (0, &json!("valid")), "{said}");
    assert_eq!(said["cosignatures"][0]["witness"], WITNESS);
    assert_eq!(said["cosignatures"][0]["size"], 4);
    assert!(metric(&gateway, "cosigned").await);

    let kept = gateway.path("kept.note");
    fs::write(&kept, &note).unwrap();
    let with_kept = [&known[..], &["--note", kept.to_str().unwrap()]].concat();
    let (code, said) = verify(&gateway, &bundle, &with_kept).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = verify(&gateway, &bundle, &["--log-key", &log]).await;
    assert_eq!((code, &said["notes"]), (0, &json!(1)), "{said}");

    // What was cosigned outlives a restart without the witness.
    let before = cosigned(&gateway, &witness, 4).await;
    witness.kill();
    gateway.restart().await;
    assert_eq!(checkpoint(&gateway).await, before);
    let (code, said) = verify(&gateway, &export(&gateway, 4).await, &known).await;
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_goes_on_without_its_witness_and_says_so() {
    let mut gateway = TestGateway::start().await;
    let receiver = Receiver::subscribed(&gateway, "shop").await;
    let mut witness = WitnessProcess::of(&[&verifier_key(&gateway)]);
    let key = witness.key();
    witness.kill();
    gateway.restart_with(asking(&witness)).await;
    gateway.orders(1..=2).await;
    receiver.wait_for_delivered(2).await;

    let note = checkpoint(&gateway).await;
    let bundle = export(&gateway, 2).await;

    assert_eq!(note.signatures.len(), 1, "the log's own");
    assert!(note.text.contains("\n2\n"), "{}", note.text);
    eventually("the failure is counted", async || {
        metric(&gateway, "unreached").await.then_some(())
    })
    .await;
    assert_eq!(verify(&gateway, &bundle, &[]).await.0, 0);
    let (code, said) = verify(&gateway, &bundle, &["--witness-key", &key]).await;
    assert_eq!(code, 1);
    assert!(said["flaws"][0]["problem"].as_str().unwrap().contains("0 of the witnesses"), "{said}");
}

fn copy_directory(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Takes away what would tell the gateway that its log was set back, as its operator can.
fn forget_checkpoints(gateway: &TestGateway) {
    let _ = fs::remove_file(gateway.path("data/checkpoint.json"));
    for entry in fs::read_dir(gateway.path("keys")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(".log-") {
            fs::remove_file(path).unwrap();
        }
    }
}

/// That a bundle says nothing to whoever believes the witness, and is whole to everybody else.
async fn refused(gateway: &TestGateway, witness: &WitnessProcess, events: usize, says: &str) {
    let bundle = export(gateway, events).await;
    let (code, said) = verify(gateway, &bundle, &[]).await;
    assert_eq!((code, &said["verdict"]), (0, &json!("valid")), "{said}");
    let (code, said) = verify(gateway, &bundle, &["--witness-key", &witness.key()]).await;
    assert_eq!(code, 1, "{said}");
    let problem = said["flaws"][0]["problem"].as_str().unwrap();
    assert!(problem.contains(says), "{problem}");
    assert!(metric(gateway, "other-history").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_set_back_and_goes_on_otherwise_is_not_cosigned() {
    let (mut gateway, receiver, witness) = witnessed(3).await;
    gateway.stop().await;
    copy_directory(&gateway.path("data"), &gateway.path("before"));
    gateway.start_again().await;
    gateway.order(4).await;
    receiver.wait_for_delivered(4).await;
    let known = ["--witness-key", &witness.key()];
    let bundle = export(&gateway, 4).await;
    let (code, said) = verify(&gateway, &bundle, &known).await;
    assert_eq!(code, 0, "{said}");
    let shown = cosigned(&gateway, &witness, 4).await;
    gateway.stop().await;

    copy_directory(&gateway.path("before"), &gateway.path("data"));
    forget_checkpoints(&gateway);
    gateway.start_again().await;
    // A rewind: nothing in it is another one, and it is shorter than what the witness has seen.
    eventually("the witness refuses", async || {
        metric(&gateway, "other-history").await.then_some(())
    })
    .await;
    // Two histories: another event takes the place of the one that was shown.
    gateway.order(5).await;
    receiver.wait_for_delivered(5).await;
    refused(&gateway, &witness, 4, "cosigned a tree with the last event").await;

    // Whoever kept the checkpoint has the proof without asking anybody.
    let kept = gateway.path("kept.note");
    fs::write(&kept, shown.to_string()).unwrap();
    let with_kept = [&known[..], &["--note", kept.to_str().unwrap()]].concat();
    let other = export(&gateway, 4).await;
    let (_, said) = verify(&gateway, &other, &with_kept).await;
    assert!(said["flaws"].to_string().contains("two histories"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_rewritten_is_not_cosigned() {
    let (mut gateway, receiver, witness) = witnessed(3).await;
    gateway.stop().await;
    let database = rusqlite::Connection::open(gateway.path("data/sealway.db")).unwrap();
    let read = |row: &rusqlite::Row<'_>| row.get(0);
    let mut hashes: Vec<u8> =
        database.query_row("SELECT hashes FROM tree_leaves", [], read).unwrap();
    hashes[..32].fill(0);
    assert_eq!(database.execute("UPDATE tree_leaves SET hashes = ?1", [hashes]).unwrap(), 1);
    drop(database);
    gateway.start_again().await;
    gateway.order(4).await;
    receiver.wait_for_delivered(4).await;

    let answer = gateway.request(Method::GET, "/subscriptions/shop/evidence");
    let bundle = answer.bearer_auth(gateway.admin()).send().await.unwrap().text().await.unwrap();

    assert!(!bundle.contains("\"kind\":\"note\""), "what was cosigned is not of this log");
    assert!(metric(&gateway, "other-history").await);
    let (code, said) = verify(&gateway, &bundle, &["--witness-key", &witness.key()]).await;
    assert_eq!(code, 1);
    assert!(said["flaws"].to_string().contains("0 of the witnesses"), "{said}");
}

/// A log of its own, which signs whatever a test wants.
struct OtherLog(NoteSigningKey);

impl OtherLog {
    const ORIGIN: &str = "other.example/log";

    fn key(&self) -> NoteKey {
        NoteKey::new(Self::ORIGIN, self.0.public()).unwrap()
    }

    /// A request to cosign a tree of so many leaves, all of them this byte.
    fn request(&self, old: u64, (size, leaf): (u64, u8)) -> AddCheckpoint {
        let mut tree = Frontier::empty();
        (0..size).for_each(|_| tree.push(TreeHash::from_bytes([leaf; 32]), |_, _, _| {}));
        let origin = Self::ORIGIN.to_owned();
        let text = LogNote { origin, tree: tree.root() }.to_string();
        let signatures = vec![self.key().signature(self.0.sign(text.as_bytes()).unwrap())];
        AddCheckpoint { old, proof: Vec::new(), note: SignedNote { text, signatures } }
    }
}

/// Asks a witness; gives status, media type and body.
async fn ask(witness: &WitnessProcess, body: impl ToString) -> (u16, String, String) {
    let request = reqwest::Client::new().post(format!("{}/add-checkpoint", witness.url()));
    let answer = request.body(body.to_string()).send().await.unwrap();
    let media_type = answer.headers().get("content-type").map(|value| value.to_str().unwrap());
    let (status, media_type) =
        (answer.status().as_u16(), media_type.unwrap_or_default().to_owned());
    (status, media_type, answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_witness_answers_as_the_protocol_has_it_also_after_a_crash() {
    let log = OtherLog(NoteSigningKey::generate().unwrap());
    let mut witness = WitnessProcess::of(&[&log.key().to_string()]);
    let key: WitnessKey = witness.key().parse().unwrap();

    let first = log.request(0, (3, 1));
    let (status, _, body) = ask(&witness, &first).await;
    assert_eq!(status, 200, "{body}");
    let line: NoteSignature = body.trim_end().parse().unwrap();
    let note = SignedNote { signatures: vec![line], ..first.note.clone() };
    assert!(key.verify(&note).is_ok());
    witness.kill();
    witness.start();

    let size = (409, "text/x.tlog.size".to_owned(), "3\n".to_owned());
    assert_eq!(ask(&witness, log.request(0, (3, 1))).await, size, "it has not forgotten");
    assert_eq!(
        ask(&witness, log.request(3, (3, 1))).await.0,
        200,
        "the same again, with a new date"
    );
    assert_eq!(ask(&witness, log.request(3, (3, 2))).await, size, "another tree of this size");
    assert_eq!(ask(&witness, log.request(2, (2, 1))).await, size, "a smaller one");
    assert_eq!(ask(&witness, log.request(3, (5, 1))).await.0, 422, "one without a proof");
    assert_eq!(ask(&witness, log.request(9, (5, 1))).await.0, 400);
    assert_eq!(ask(&witness, "old 1\n").await.0, 400);
    assert_eq!(ask(&witness, "x".repeat(80_000)).await.0, 400);
    let stranger = OtherLog(NoteSigningKey::generate().unwrap());
    assert_eq!(ask(&witness, stranger.request(3, (3, 1))).await.0, 403);
    let mut unknown = log.request(0, (3, 1));
    unknown.note.text = unknown.note.text.replace("other.example", "elsewhere.example");
    assert_eq!(ask(&witness, unknown).await.0, 404);
    let get = reqwest::get(format!("{}/add-checkpoint", witness.url())).await.unwrap();
    assert_eq!(get.status().as_u16(), 405);
    assert_eq!(
        ask(&witness, log.request(3, (3, 1))).await.0,
        200,
        "none of it has changed anything"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_histories_at_once_the_witness_cosigns_one() {
    let log = OtherLog(NoteSigningKey::generate().unwrap());
    let witness = WitnessProcess::of(&[&log.key().to_string()]);
    let requests: Vec<String> = (0..16).map(|leaf| log.request(0, (7, leaf)).to_string()).collect();

    let asked = requests.iter().map(|request| ask(&witness, request));
    let answers = futures_util::future::join_all(asked).await;

    let cosigned = answers.iter().filter(|(status, ..)| *status == 200).count();
    assert_eq!(cosigned, 1, "{answers:?}");
    assert!(answers.iter().all(|(status, ..)| [200, 409].contains(status)), "{answers:?}");
}

#[test]
fn a_witness_is_one_process_under_one_name_and_does_not_begin_anew() {
    let log = OtherLog(NoteSigningKey::generate().unwrap());
    let mut witness = WitnessProcess::of(&[&log.key().to_string()]);
    let run = |witness: &WitnessProcess, name: &str, directory: &Path| {
        let ended = witness.command(name, directory).output().unwrap();
        (ended.status.code().unwrap(), String::from_utf8(ended.stderr).unwrap())
    };
    let directory = witness.directory();

    let (code, told) = run(&witness, WITNESS, &directory);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("another witness uses"), "{told}");
    witness.kill();
    let (code, told) = run(&witness, "witness.example/w2", &directory);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("is called witness.example/w1"), "{told}");
    let elsewhere = directory.join("elsewhere");
    let (code, told) = run(&witness, "no name", &elsewhere);
    assert_eq!(code, 2, "{told}");
    fs::write(directory.join("witness-key.json"), "{}").unwrap();
    let (code, told) = run(&witness, WITNESS, &directory);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("is not what a witness has written"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_whose_memory_is_damaged_cosigns_nothing() {
    let log = OtherLog(NoteSigningKey::generate().unwrap());
    let witness = WitnessProcess::of(&[&log.key().to_string()]);
    assert_eq!(ask(&witness, log.request(0, (3, 1))).await.0, 200);
    let notes = fs::read_dir(witness.directory()).unwrap().map(|entry| entry.unwrap().path());
    let kept =
        notes.into_iter().find(|path| path.extension().is_some_and(|e| e == "note")).unwrap();
    let text = fs::read_to_string(&kept).unwrap();

    for damaged in
        [String::new(), text.replacen("\n3\n", "\n1\n", 1), text.get(..40).unwrap().to_owned()]
    {
        fs::write(&kept, damaged).unwrap();
        for (old, size) in [(0, 3), (1, 3), (3, 3)] {
            assert_eq!(ask(&witness, log.request(old, (size, 1))).await.0, 500);
        }
    }
    fs::write(&kept, text).unwrap();
    assert_eq!(ask(&witness, log.request(3, (3, 1))).await.0, 200);
}

#[test]
fn keys_and_settings_that_cannot_work_are_told() {
    let verify = |more: &[&str]| {
        let mut command = program();
        command.args(["evidence", "verify", "/nowhere", "--issuer", "x"]).args(more);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let log = OtherLog(NoteSigningKey::generate().unwrap()).key().to_string();
    let key = WitnessKey::new(WITNESS, [7; 32]).unwrap().to_string();
    assert!(verify(&["--witness-key", &log]).contains("signs notes, as logs do"));
    assert!(verify(&["--witness-key", "x"]).contains("not the key of a witness"));
    assert!(verify(&["--witness-key", &key, "--witnesses", "2"]).contains("2 of 1 keys cannot be"));
    assert!(verify(&["--note", "x"]).contains("--witness-key"));

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gateway.yaml");
    let check = |log: &str| {
        fs::write(&file, format!("log: {log}\n")).unwrap();
        let ended = program().arg("--config").arg(&file).args(["config", "show"]).output().unwrap();
        String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap()
    };
    let one = format!("{{ url: 'http://127.0.0.1:{}', key: '{key}' }}", free_port());
    assert!(check(&format!("{{ witnesses: [{one}, {one}] }}")).contains("is there twice"));
    let query = one.replace("', key", "/?x=1', key");
    assert!(
        check(&format!("{{ witnesses: [{query}] }}")).contains("http or https address without")
    );
    assert!(
        check(&format!("{{ witnesses: [{}] }}", one.replace(&key, &log))).contains("signs notes")
    );
    assert!(check("{ witness-interval: 1ms }").contains("use 1s to 1day"));
    let fine = check(&format!("{{ witnesses: [{one}] }}"));
    assert!(fine.contains(WITNESS) && !fine.contains("error"), "{fine}");
}
