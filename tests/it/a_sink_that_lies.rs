//! A sink that breaks the rules of HTTP costs only its own attempt, within a bound, and the attempt
//! has the verdict that docs/delivery.md gives it.

use std::io::{ErrorKind, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use sealway::ambient::{Clock as _, HumanDuration, ManualClock, SystemClock, Tasks};

use sealway::keys::{SigningAlgorithm, SigningKey};

use crate::harness::{Receiver, TestGateway, eventually, never_within};

/// What is said instead of an honest answer.
#[derive(Clone)]
enum Lie {
    /// These bytes; then the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes; then the connection is reset.
    Reset(Vec<u8>),
    /// The first bytes, and then the others again and again, until the gateway hangs up.
    Endless(Vec<u8>, Vec<u8>),
    /// The same, one byte after the other with a pause.
    Dripping(Vec<u8>),
    /// What an honest consumer says, with more announced than comes.
    Promising,
}

impl Lie {
    fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    fn endless(first: &str, then: &str) -> Self {
        Self::Endless(first.as_bytes().to_vec(), then.as_bytes().repeat(64))
    }
}

/// Stands before an honest consumer and answers in its place when it is told a lie.
struct Liar {
    address: String,
    state: Arc<State>,
    tasks: Tasks,
}

struct State {
    honest: String,
    lie: Mutex<Option<Lie>>,
    /// How many bytes the gateway has taken of the last lie.
    taken: Mutex<usize>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

impl Liar {
    fn before(receiver: &Receiver) -> Self {
        // What it has said and nobody has read shall be little.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = format!("http://{}/events", listener.local_addr().unwrap());
        let honest = receiver.address().trim_start_matches("http://").trim_end_matches("/events");
        let state = Arc::new(State {
            honest: honest.to_owned(),
            lie: Mutex::default(),
            taken: Mutex::default(),
        });
        let tasks = Tasks::new();
        let (serving, shared) = (tasks.clone(), Arc::clone(&state));
        tasks.spawn(async move {
            let stop = serving.stopping().clone();
            while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
                let shared = Arc::clone(&shared);
                serving.spawn(async move {
                    // Whoever hangs up has heard enough.
                    let _ = shared.serve(accepted.unwrap().0).await;
                });
            }
        });
        Self { address, state, tasks }
    }

    fn say(&self, lie: Option<Lie>) {
        *self.state.lie.lock().unwrap() = lie;
        *self.state.taken.lock().unwrap() = 0;
    }
}

impl State {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let request = read_request(&mut stream).await?;
            let lie = self.lie.lock().unwrap().clone();
            match lie {
                None => stream.write_all(&self.honest_answer(&request).await?).await?,
                Some(Lie::Promising) => {
                    let answer = self.honest_answer(&request).await?;
                    let answer = String::from_utf8(answer).unwrap();
                    stream.write_all(promising(&answer).as_bytes()).await?;
                    return stream.shutdown().await;
                }
                Some(lie) => return self.tell(lie, stream).await,
            }
        }
    }

    async fn honest_answer(&self, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut honest = TcpStream::connect(&self.honest).await?;
        honest.write_all(request).await?;
        let mut answer = vec![0; 64 * 1024];
        let length = honest.read(&mut answer).await?;
        answer.truncate(length);
        Ok(answer)
    }

    async fn tell(&self, lie: Lie, mut stream: TcpStream) -> std::io::Result<()> {
        match lie {
            Lie::Bytes(bytes) => {
                stream.write_all(&bytes).await?;
                stream.shutdown().await
            }
            Lie::Reset(bytes) => {
                stream.write_all(&bytes).await?;
                // On this machine what was said has arrived by now: the reset comes after it.
                stream.set_zero_linger()
            }
            Lie::Endless(first, then) => {
                stream.write_all(&first).await?;
                loop {
                    stream.write_all(&then).await?;
                    *self.taken.lock().unwrap() += then.len();
                }
            }
            Lie::Dripping(bytes) => {
                for byte in bytes.iter().cycle() {
                    stream.write_all(&[*byte]).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(())
            }
            Lie::Promising => unreachable!("it is told with an honest answer"),
        }
    }
}

/// An answer of which fifty bytes more are announced than come.
fn promising(answer: &str) -> String {
    let announced = answer.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let more = announced.parse::<usize>().unwrap() + 50;
    answer.replace(&format!("content-length: {announced}"), &format!("content-length: {more}"))
}

/// Reads one request with its body.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Ok(request);
        }
    }
}

/// A lie, and what the list of attempts says of it: the status, the verdict, how its words begin.
type Case = (&'static str, Lie, (Option<u16>, &'static str, &'static str));

fn bomb() -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..64 {
        packed.write_all(&zeros).unwrap();
    }
    let packed = packed.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    [head.as_bytes(), &packed].concat()
}

/// Early hints, each with a field more than the one before: 60 KB.
fn hints() -> Vec<u8> {
    let hint = |fields| {
        let fields = "link: </events>; rel=preload\r\n".repeat(fields);
        format!("HTTP/1.1 103 Early Hints\r\n{fields}\r\n")
    };
    (0..64).map(hint).collect::<String>().into_bytes()
}

/// Answers that are no HTTP, or not whole.
fn broken() -> Vec<Case> {
    let none = |words| (None, "retry", words);
    vec![
        ("nothing at all", Lie::text(""), none("connection-broken")),
        ("garbage", Lie::text("\0\u{1}\u{2} no http\r\n\r\n"), none("connection-broken")),
        ("HTTP/0.9", Lie::text("<html>all is well</html>"), none("connection-broken")),
        ("another protocol", Lie::text("SSH-2.0-OpenSSH_9.6\r\n"), none("connection-broken")),
        ("half a status line", Lie::text("HTTP/1.1 20"), none("connection-broken")),
        ("half of the headers", Lie::text("HTTP/1.1 200 OK\r\ncontent-le"), none("connection")),
        (
            "a length that is none",
            Lie::text("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
            none("connection-broken"),
        ),
        (
            "two lengths",
            Lie::text("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\nokok"),
            none("connection-broken"),
        ),
        ("a reset", Lie::Reset(Vec::new()), none("connection-broken")),
        (
            "endless headers",
            Lie::endless("HTTP/1.1 200 OK\r\n", "x-more: and more and more and more\r\n"),
            none("connection-broken"),
        ),
        (
            "one endless header",
            Lie::endless("HTTP/1.1 200 OK\r\nx-more: ", "and more and more "),
            none("connection-broken"),
        ),
        (
            "interim answers without end",
            Lie::endless("", "HTTP/1.1 100 Continue\r\n\r\n"),
            none("connection-broken"),
        ),
        (
            "interim answers that say more and more",
            Lie::Endless(Vec::new(), hints()),
            none("connection-broken"),
        ),
        (
            "interim answers and an answer that is too late",
            Lie::Bytes([&hints().repeat(8)[..], b"HTTP/1.1 204 No Content\r\n\r\n"].concat()),
            none("connection-broken"),
        ),
        (
            "a line without end",
            Lie::endless("HTTP/1.1 200 ", "so it is and "),
            none("connection-broken"),
        ),
        (
            "headers that drip",
            Lie::Dripping(b"HTTP/1.1 200 OK\r\nx-more: and more\r\nx-more: ".to_vec()),
            none("timeout"),
        ),
        (
            "a status of four digits",
            Lie::text("HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n"),
            none("connection-broken"),
        ),
    ]
}

/// Answers whose heads are whole and whose bodies are not: the head decides.
fn cut() -> Vec<Case> {
    let yes = |status, words| (Some(status), "delivered", words);
    let no = |status, words| (Some(status), "retry", words);
    vec![
        (
            "less than was announced",
            Lie::text("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"),
            yes(200, "body-cut"),
        ),
        (
            "a chunk that is none",
            Lie::text("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n"),
            yes(200, "body-cut"),
        ),
        (
            "chunks without a last one",
            Lie::text("HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"),
            yes(201, "body-cut"),
        ),
        (
            "a yes and then a reset",
            Lie::Reset(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_vec()),
            yes(200, "body-cut"),
        ),
        (
            "a body that drips",
            Lie::Dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec()),
            yes(200, "body-stalled"),
        ),
        (
            "a no of which less comes than was announced",
            Lie::text("HTTP/1.1 503 Busy\r\ncontent-length: 50\r\n\r\nno"),
            no(503, "body-cut: no"),
        ),
        (
            "a no and then a reset",
            Lie::Reset(b"HTTP/1.1 422 No\r\ncontent-length: 50\r\n\r\n".to_vec()),
            no(422, "body-cut"),
        ),
        (
            "a no that drips",
            Lie::Dripping(b"HTTP/1.1 500 No\r\ncontent-length: 100000\r\n\r\n".to_vec()),
            no(500, "body-stalled"),
        ),
    ]
}

/// Answers that are whole as far as they are read.
fn whole() -> Vec<Case> {
    let yes = |status| (Some(status), "delivered", "");
    let no = |status, words| (Some(status), "retry", words);
    vec![
        (
            "more than was announced",
            Lie::text("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok and much more"),
            yes(200),
        ),
        (
            "an interim answer first",
            Lie::text("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
            yes(204),
        ),
        (
            "early hints first",
            Lie::Bytes([&hints()[..], b"HTTP/1.1 204 No Content\r\n\r\n"].concat()),
            yes(204),
        ),
        (
            "over a hundred fields",
            Lie::text(&format!("HTTP/1.1 204 No Content\r\n{}\r\n", "x-more: x\r\n".repeat(300))),
            yes(204),
        ),
        (
            "a folded field",
            Lie::text("HTTP/1.1 204 No Content\r\nx-more: a\r\n and more\r\n\r\n"),
            yes(204),
        ),
        (
            "two answers, of which the second would close the subscription",
            Lie::text(
                "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
            ),
            yes(204),
        ),
        (
            "a yes that names another address",
            Lie::text(
                "HTTP/1.1 200 OK\r\nlocation: http://127.0.0.1:9/\r\nrefresh: 0; url=/\r\n\
                 content-length: 2\r\n\r\nok",
            ),
            yes(200),
        ),
        (
            "a redirection",
            Lie::text(
                "HTTP/1.1 308 Permanent Redirect\r\nlocation: http://127.0.0.1:9/\r\n\
                 content-length: 5\r\n\r\nmoved",
            ),
            no(308, "moved"),
        ),
        (
            "a redirection without an address",
            Lie::text("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n"),
            no(302, ""),
        ),
        ("a bomb", Lie::Bytes(bomb()), yes(200)),
        (
            "an endless body",
            Lie::endless("HTTP/1.1 200 OK\r\n\r\n", "and more and more and more "),
            yes(200),
        ),
        (
            "an endless body in chunks",
            Lie::endless(
                "HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n",
                "20\r\nand more and more and more, then\r\n",
            ),
            yes(202),
        ),
        ("999", Lie::text("HTTP/1.1 999 So What\r\ncontent-length: 0\r\n\r\n"), no(999, "")),
        ("101", Lie::text("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"), no(101, "")),
        ("304", Lie::text("HTTP/1.1 304 Not Modified\r\n\r\n"), no(304, "")),
    ]
}

/// The newest attempt at an event, once its outcome is written.
async fn attempt(gateway: &TestGateway, clock: &ManualClock, id: &str) -> Value {
    let path = format!("/subscriptions/liar/attempts?event={id}");
    eventually(format!("an attempt at {id}"), async || {
        clock.advance(Duration::from_millis(50));
        gateway.get(&path).await["attempts"].get(0).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_lie_costs_one_attempt_within_a_bound_and_no_event() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.delivery.timeout.0 = Duration::from_secs(2);
        // No second attempt before the sink has come to its senses.
        config.delivery.retries = vec![HumanDuration(Duration::from_hours(1)); 3];
        config.delivery.breaker.failures = 1000;
        config.delivery.breaker.share = 100;
    })
    .await;
    let (receiver, neighbor) =
        (Receiver::start(&gateway, "liar").await, Receiver::start(&gateway, "neighbor").await);
    let liar = Liar::before(&receiver);
    gateway.subscribe(&receiver, json!({ "sink": liar.address })).await;
    gateway.subscribe(&neighbor, json!({})).await;
    let mut delivered = Vec::new();
    let mut later = Vec::new();

    for (number, (name, lie, (status, verdict, words))) in
        (1..).zip(whole().into_iter().chain(cut()).chain(broken()))
    {
        liar.say(Some(lie));
        let begun = Instant::now();
        let id = gateway.order(number).await;
        neighbor.wait_for_delivered(usize::try_from(number).unwrap()).await;
        let asked = Instant::now();
        gateway.get("/health/live").await;
        assert!(asked.elapsed() < Duration::from_secs(1), "{name}: {:?}", asked.elapsed());
        let found = attempt(&gateway, &clock, &id).await;
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}: {:?}", begun.elapsed());
        assert_eq!(found["status"], json!(status), "{name}: {found}");
        assert_eq!(found["verdict"], verdict, "{name}: {found}");
        assert!(found["detail"].as_str().unwrap().starts_with(words), "{name}: {found}");
        // What is read, and what lies in the buffers of both ends, is all that an endless answer
        // can be.
        let taken = *liar.state.taken.lock().unwrap();
        assert!(taken < 2 * 1024 * 1024, "{name}: {taken} bytes were taken");
        if verdict == "delivered" { &mut delivered } else { &mut later }.push(id);
    }

    // The sink comes to its senses: what was not taken comes, and nothing that was.
    liar.say(None);
    let shown = gateway.get("/subscriptions/liar").await;
    assert_eq!(shown["state"], "active", "{shown}");
    let everything = eventually("the rest comes", async || {
        clock.advance(Duration::from_mins(2));
        let ids = receiver.delivered_ids();
        later.iter().all(|id| ids.contains(id)).then_some(ids)
    })
    .await;
    assert!(delivered.iter().all(|id| !everything.contains(id)), "a yes is a yes");
    assert_eq!(neighbor.chain().0, (delivered.len() + later.len()) as u64);
}

#[tokio::test]
async fn a_wait_that_makes_no_sense_is_no_wait_and_a_long_one_is_a_day() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "liar").await;
    let liar = Liar::before(&receiver);
    gateway.subscribe(&receiver, json!({ "sink": liar.address })).await;
    for (number, (asked, a_day)) in (1..).zip([
        ("-5", false),
        ("soon", false),
        ("", false),
        ("0", false),
        ("1e9", false),
        ("Thu, 01 Jan 1970 00:00:00 GMT", false),
        ("Thu, 31 Feb 2030 00:00:00 GMT", false),
        ("86401", true),
        ("18446744073709551615", true),
        ("18446744073709551616", true),
        ("Fri, 31 Dec 9999 23:59:59 GMT", true),
    ]) {
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: ";
        liar.say(Some(Lie::text(&format!("{answer}{asked}\r\n\r\n"))));
        let id = gateway.order(number).await;
        attempt(&gateway, &clock, &id).await;
        liar.say(None);
        let come = async || receiver.delivered_ids().contains(&id).then_some(());
        if a_day {
            clock.advance(Duration::from_hours(24) - Duration::from_secs(1));
            never_within(Duration::from_millis(50), asked, come).await;
        }
        // Without a wait the schedule says when: after five seconds, a fifth more or less.
        clock.advance(Duration::from_secs(7));
        eventually(format!("{asked:?} is over"), come).await;
    }
}

#[tokio::test]
async fn a_wait_is_followed_and_a_farewell_is_one_however_the_body_ends() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::with(Some(clock.clone()), |config| {
        config.delivery.retries = vec![HumanDuration(Duration::from_secs(1)); 3];
    })
    .await;
    let receiver = Receiver::start(&gateway, "liar").await;
    let liar = Liar::before(&receiver);
    gateway.subscribe(&receiver, json!({ "sink": liar.address })).await;

    // A proxy that says so and closes the connection.
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 60\r\ncontent-length: 50\r\n\r\nno";
    liar.say(Some(Lie::text(busy)));
    let id = gateway.order(1).await;
    let found = attempt(&gateway, &clock, &id).await;
    assert_eq!((&found["status"], &found["detail"]), (&json!(503), &json!("body-cut: no")));
    liar.say(None);
    clock.advance(Duration::from_secs(30));
    let come = async || receiver.delivered_ids().contains(&id).then_some(());
    never_within(Duration::from_millis(100), "it asked for a minute", come).await;
    clock.advance(Duration::from_mins(1));
    eventually("the wait is over", come).await;

    // A farewell whose page never ends.
    liar.say(Some(Lie::Dripping(
        b"HTTP/1.1 410 Gone\r\ncontent-length: 100000\r\n\r\n<html>".to_vec(),
    )));
    let id = gateway.order(2).await;
    let found = attempt(&gateway, &clock, &id).await;
    assert_eq!((&found["status"], &found["verdict"]), (&json!(410), &json!("sink-gone")));
    eventually("it is closed", async || {
        (gateway.get("/subscriptions/liar").await["state"] == "closed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_proof_that_is_not_whole_is_none() {
    let clock = ManualClock::at(SystemClock.now());
    let gateway = TestGateway::at(&clock).await;
    let receiver = Receiver::start(&gateway, "liar").await;
    let liar = Liar::before(&receiver);
    // The nonce has come, and the answer has not.
    liar.say(Some(Lie::Promising));
    let signs = SigningKey::generate(SigningAlgorithm::ES256).unwrap();
    let signs = signs.public_jwk().unwrap();
    let receipts = json!({ "receipts": { "jwks": { "keys": [signs] }, "required": true } });
    let wish = json!({ "sink": liar.address, "config": receipts });
    gateway.post("/subscriptions", &receiver.document(wish)).await;
    let pending = eventually("the challenge is judged", async || {
        let shown = gateway.get("/subscriptions/liar").await;
        shown.get("reason").is_some().then_some(shown)
    })
    .await;
    assert_eq!(pending["state"], "pending");
    let reason = pending["reason"].as_str().unwrap();
    assert!(reason.contains("status 200 and not to the end: body-cut"), "{reason}");
    liar.say(None);
    // A place that did not prove itself is left alone for a second.
    clock.advance(Duration::from_secs(2));
    gateway.post("/subscriptions/liar/verify", &json!({})).await;

    // A receipt of which a part has come is none, and the status is told.
    liar.say(Some(Lie::text("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\neyJhbGciOi")));
    let id = gateway.order(1).await;
    let found = attempt(&gateway, &clock, &id).await;
    assert_eq!((&found["status"], &found["verdict"]), (&json!(200), &json!("retry")), "{found}");
    assert_eq!(found["detail"], "no valid receipt: missing (body-cut)", "{found}");
}

#[tokio::test]
async fn a_yes_to_the_challenge_with_another_nonce_proves_nothing() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start(&gateway, "liar").await;
    let liar = Liar::before(&receiver);
    for body in ["{\"challenge\":\"\"}", "{\"challenge\":null}", "{\"challenge\":[]}", "{}", "null"]
    {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        liar.say(Some(Lie::text(&head)));
        let document = receiver.document(json!({ "id": null, "sink": liar.address }));
        let made = gateway.post("/subscriptions", &document).await;
        let path = format!("/subscriptions/{}", made["id"].as_str().unwrap());
        let shown = eventually("the challenge is judged", async || {
            let shown = gateway.get(&path).await;
            shown.get("reason").is_some().then_some(shown)
        })
        .await;
        assert_eq!(shown["state"], "pending", "{body}");
    }
    gateway.order(1).await;
    assert!(receiver.arrivals().is_empty(), "no event goes to a sink that proved nothing");
}
