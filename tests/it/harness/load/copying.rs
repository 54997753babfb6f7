//! A backup that is taken beside a gateway that may die meanwhile.

use std::path::PathBuf;
use std::process::{Child, Output, Stdio};

use rusqlite::{Connection, OpenFlags};
use tokio::time::Instant;

use sealway::event::EventId;

use crate::harness::load::Promised;
use crate::harness::{Process, eventually};

/// A copy of a log that is being made, by a process of its own.
pub struct Copying {
    place: PathBuf,
    begun: Instant,
    child: Child,
}

impl Copying {
    /// Begins to copy the log of a gateway.
    pub fn begin(gateway: &Process, name: &str) -> Self {
        let place = gateway.directory().join(name);
        let mut command = gateway.command(&["log", "backup", place.to_str().unwrap()]);
        let begun = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        Self { place, begun, child }
    }

    /// Waits until it is made, and says what is wrong with it: it must be sound, and hold everything
    /// that was promised before it was begun, but for what every subscription has settled.
    pub async fn faults(mut self, gateway: &Process, promised: &Promised) -> Vec<String> {
        eventually("the backup is made", async || self.child.try_wait().unwrap()).await;
        let made = self.child.wait_with_output().unwrap();
        let verified = gateway.run(&["log", "verify", self.place.to_str().unwrap()]);
        let failed = |output: &Output| !output.status.success();
        if let Some(output) = [&made, &verified].into_iter().find(|output| failed(output)) {
            return vec![format!("a backup: {output:?}")];
        }
        let copy = Connection::open_with_flags(&self.place, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let copy = copy.unwrap();
        let mut faults = Vec::new();
        let (low_watermark, dropped): ([u8; 16], i64) = copy
            .query_row("SELECT id, position FROM floors", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let settled: i64 =
            copy.query_row("SELECT min(settled) FROM cursors", [], |row| row.get(0)).unwrap();
        if dropped > settled {
            faults.push(format!("a backup: {dropped} is dropped, and only {settled} settled"));
        }
        let low_watermark = EventId::from_bytes(low_watermark);
        let mut held = copy.prepare("SELECT 1 FROM events WHERE id = ?").unwrap();
        for (id, promise) in promised {
            let before = promise.at < self.begun && *id > low_watermark;
            if before && !held.exists([id.to_bytes()]).unwrap() {
                faults.push(format!("a backup: {id} was promised before and is not in it"));
            }
        }
        std::fs::remove_file(&self.place).unwrap();
        faults
    }
}
