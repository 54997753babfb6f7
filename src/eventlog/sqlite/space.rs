//! Keeps the disk from filling up: events are refused while state can still be written.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ambient::Disk;
use crate::eventlog::{DiskLevel, LogError, LogLimits};
use crate::telemetry::{Gauge, Metric, Metrics};

/// How often the disk is asked, and how long events are refused after a write that found it full.
const PERIOD: Duration = Duration::from_secs(1);

/// Below so many times the reserve, operators are warned.
const WARNING: u64 = 4;

/// The room on the data directory's disk, asked about once a second.
pub(super) struct Space {
    directory: PathBuf,
    disk: Arc<dyn Disk>,
    limits: LogLimits,
    used: Gauge,
    seen: Mutex<DiskSeen>,
}

#[derive(Debug)]
struct DiskSeen {
    asked: Option<Instant>,
    level: DiskLevel,
    /// Bytes on the disk that can be written.
    free: u64,
    /// Bytes in the database that are free for reuse.
    reusable: u64,
}

impl Space {
    /// Guards the disk of a directory.
    pub(super) fn new(
        directory: PathBuf,
        disk: Arc<dyn Disk>,
        limits: LogLimits,
        metrics: &Metrics,
    ) -> Self {
        let seen = DiskSeen { asked: None, level: DiskLevel::Enough, free: u64::MAX, reusable: 0 };
        let used = metrics.gauge(Metric::DiskUsed, &[]);
        Self { directory, disk, limits, used, seen: Mutex::new(seen) }
    }

    fn seen(&self) -> MutexGuard<'_, DiskSeen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says why no event can be taken now, if none can.
    pub(super) fn refusal(&self) -> Option<LogError> {
        (self.level() == DiskLevel::Full).then(|| self.full())
    }

    /// The error for a disk that has no room.
    pub(super) fn full(&self) -> LogError {
        LogError::Full {
            place: self.directory.display().to_string(),
            free: self.seen().free,
            reserve: self.limits.reserve_bytes,
            percent: self.limits.refuse_percent,
        }
    }

    /// How full the disk is.
    pub(super) fn level(&self) -> DiskLevel {
        let mut seen = self.seen();
        let now = Instant::now();
        if seen.asked.is_none_or(|asked| now.duration_since(asked) >= PERIOD) {
            seen.asked = Some(now);
            self.ask(&mut seen);
        }
        seen.level
    }

    /// Notes how much of the database's file is free for reuse: that much can be taken without the
    /// file growing.
    pub(super) fn reuse(&self, bytes: u64) {
        self.seen().reusable = bytes;
    }

    /// Notes that a write found the disk full, whatever it says of itself.
    pub(super) fn found_full(&self) {
        let mut seen = self.seen();
        seen.asked = Some(Instant::now());
        self.enter(&mut seen, DiskLevel::Full);
    }

    /// A disk that does not answer is taken to be as it was: a full one shows when it is written.
    fn ask(&self, seen: &mut DiskSeen) {
        let Ok(room) = self.disk.room(&self.directory) else { return };
        seen.free = room.free;
        let occupied = room.total.saturating_sub(room.free);
        // Multiplied out, because a percentage that is rounded is wrong by gigabytes.
        let reaches = |used: u64, percent: u8| {
            u128::from(used) * 100 >= u128::from(room.total) * u128::from(percent)
        };
        let LogLimits { reserve_bytes: reserve, warn_percent, refuse_percent, .. } = self.limits;
        let needed = occupied.saturating_sub(seen.reusable);
        let level = if room.free < reserve || reaches(needed, refuse_percent) {
            DiskLevel::Full
        } else if room.free < reserve.saturating_mul(WARNING) || reaches(occupied, warn_percent) {
            DiskLevel::Low
        } else {
            DiskLevel::Enough
        };
        #[expect(clippy::cast_precision_loss, reason = "a gauge shows a few digits")]
        self.used.set(occupied as f64 / room.total.max(1) as f64);
        self.enter(seen, level);
    }

    fn enter(&self, seen: &mut DiskSeen, level: DiskLevel) {
        if level != seen.level {
            let (directory, free) = (self.directory.display(), seen.free);
            match level {
                DiskLevel::Enough => tracing::info!(%directory, free, "the disk has room again"),
                DiskLevel::Low => tracing::warn!(%directory, free, "the disk is filling up"),
                DiskLevel::Full => {
                    tracing::error!(%directory, free, "the disk is full: no event is taken");
                }
            }
        }
        seen.level = level;
    }
}
