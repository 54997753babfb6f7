//! What is killed, stopped or slow in the middle of a batch loses nothing and takes nothing twice.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::a_queue_is_a_source::scene::{FIFO, QUEUE, Scene, envelope, numbers};
use crate::harness::aws::{AwsRequest, QueueCounts, StubMessage};
use crate::harness::{Number, eventually, number_from_environment};

/// The ids of the envelopes that are in the log of a gateway, whether it runs or not.
struct Logged {
    seen: HashSet<String>,
    position: i64,
}

impl Logged {
    /// Reads what was added since this was asked last.
    fn read(&mut self, directory: &Path) {
        let file = directory.join("data/sealway.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let log = Connection::open_with_flags(file, flags).unwrap();
        log.busy_timeout(Duration::from_secs(10)).unwrap();
        let sql = "SELECT position, envelope_id FROM events WHERE position > ? ORDER BY position";
        let mut statement = log.prepare(sql).unwrap();
        let mut rows = statement.query([self.position]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            self.position = row.get(0).unwrap();
            let envelope: String = row.get(1).unwrap();
            assert!(self.seen.insert(envelope.clone()), "{envelope} is in the log twice");
        }
    }
}

/// Has the stub look, each time that messages are to be deleted, whether the log has them. Gives the
/// bodies of those that it had not, and what the log has.
fn watch_deletions(scene: &Scene) -> (Arc<Mutex<Vec<String>>>, Arc<Mutex<Logged>>) {
    let early = Arc::new(Mutex::new(Vec::new()));
    let logged = Arc::new(Mutex::new(Logged { seen: HashSet::new(), position: 0 }));
    let directory = scene.gateway.directory().to_path_buf();
    let (noted, known) = (Arc::clone(&early), Arc::clone(&logged));
    scene.stub.behave(move |request: &AwsRequest| {
        if request.operation == "DeleteMessageBatch" {
            let mut known = known.lock().unwrap();
            known.read(&directory);
            let is_unknown = |message: &&Arc<StubMessage>| {
                let body: serde_json::Value = serde_json::from_str(&message.body).unwrap();
                !known.seen.contains(body["id"].as_str().unwrap())
            };
            let unknown = request.messages.iter().filter(is_unknown);
            noted.lock().unwrap().extend(unknown.map(|message| message.body.clone()));
        }
        None
    });
    (early, logged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_killed_five_times_takes_each_message_once_and_deletes_none_too_early() {
    let count = number_from_environment("SEALWAY_QUEUE_MESSAGES", 10_000);
    let settings = ", pollers: 4, visibility-timeout: 2s";
    let mut scene = Scene::prepared(QUEUE, settings).await;
    let (early, logged) = watch_deletions(&scene);
    for number in 1..=count {
        scene.queue.send(envelope(&format!("e-{number}"), number).to_string());
    }

    for kill in 1..=5 {
        scene.gateway.serve().await;
        let left = usize::try_from(count * (6 - kill) / 6).unwrap();
        eventually(format!("{left} messages are left"), async || {
            (scene.queue.messages().len() <= left).then_some(())
        })
        .await;
        scene.gateway.kill();
    }
    scene.gateway.serve().await;
    scene.queue.wait_until_empty().await;

    assert_eq!(*early.lock().unwrap(), Vec::<String>::new(), "deleted before it was in the log");
    let mut logged = logged.lock().unwrap();
    logged.read(scene.gateway.directory());
    assert_eq!(logged.seen.len() as u64, count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_stays_invisible_while_the_log_stalls_for_three_times_its_timeout() {
    let stub_settings = ", visibility-timeout: 2s";
    let mut scene = Scene::prepared(QUEUE, stub_settings).await;
    scene.gateway = scene.gateway.with_disk();
    scene.gateway.serve().await;
    scene.gateway.disk().set(Number::SyncMicros, 6_500_000);

    scene.queue.send(envelope("e-1", 1).to_string());
    scene.stub.wait_for_calls("ChangeMessageVisibilityBatch", 6).await;
    scene.gateway.disk().set(Number::SyncMicros, 500);
    scene.queue.wait_until_empty().await;

    let receives = scene.stub.calls_of("ReceiveMessage");
    let handed = receives.iter().flat_map(|call| &call.asked.messages).count();
    assert_eq!(handed, 1, "the message was received again");
    assert_eq!(numbers(&scene.events().await), [1]);
    assert!(scene.metric("extended_total", "").await >= 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_asked_to_stop_finishes_its_batch_and_leaves_the_rest_visible() {
    let mut scene = Scene::prepared(QUEUE, ", pollers: 2").await;
    for number in 1..=500 {
        scene.queue.send(envelope(&format!("e-{number}"), number).to_string());
    }
    scene.gateway.serve().await;
    let is_begun = async || (scene.queue.messages().len() < 450).then_some(());
    eventually("some messages are deleted", is_begun).await;

    let ended = scene.gateway.stop().await;
    assert!(ended.success(), "{}", scene.gateway.log());
    let left = scene.queue.counts();
    assert_eq!(left, QueueCounts { visible: left.visible, in_flight: 0, delayed: 0 });
    assert!(left.visible > 0, "it stopped in the middle");

    scene.gateway.serve().await;
    scene.queue.wait_until_empty().await;
    let mut all = numbers(&scene.events().await);
    all.sort_unstable();
    assert_eq!(all, (1..=500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_group_cross_in_the_order_in_which_they_were_sent_also_after_a_kill() {
    let mut scene = Scene::prepared(FIFO, ", pollers: 3, visibility-timeout: 2s").await;
    for number in 1..=300_u64 {
        let message = StubMessage::new(envelope(&format!("e-{number}"), number).to_string());
        scene.queue.send(message.group(&format!("group-{}", number % 3)));
    }
    scene.gateway.serve().await;
    let is_begun = async || (scene.queue.messages().len() < 200).then_some(());
    eventually("some messages are deleted", is_begun).await;
    scene.gateway.kill();
    scene.gateway.serve().await;
    scene.queue.wait_until_empty().await;

    let all = numbers(&scene.events().await);
    assert_eq!(all.len(), 300);
    for group in 0..3 {
        let of_group: Vec<u64> = all.iter().copied().filter(|n| n % 3 == group).collect();
        assert!(of_group.is_sorted(), "{of_group:?}");
    }
}
