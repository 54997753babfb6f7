//! Keeps the disk from filling up: events are refused while state can still be written.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use crate::eventlog::Error;

/// How often the disk is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// Below so many times the reserve, operators are warned.
const WARNING: u64 = 4;

/// The free space of the data directory's disk, asked about once a second.
#[derive(Debug)]
pub(super) struct Space {
    directory: PathBuf,
    reserve: u64,
    asked: Option<Instant>,
    level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Enough,
    Low,
    Full { free: u64 },
}

impl Space {
    /// Guards a directory's disk, of which `reserve` bytes stay free.
    pub(super) const fn new(directory: PathBuf, reserve: u64) -> Self {
        Self { directory, reserve, asked: None, level: Level::Enough }
    }

    /// Says why no event can be taken now, if none can.
    pub(super) fn refusal(&mut self) -> Option<Error> {
        let now = Instant::now();
        if self.asked.is_none_or(|asked| now.duration_since(asked) >= PERIOD) {
            self.asked = Some(now);
            self.ask();
        }
        match self.level {
            Level::Enough | Level::Low => None,
            Level::Full { free } => Some(Error::Full {
                place: self.directory.display().to_string(),
                free,
                reserve: self.reserve,
            }),
        }
    }

    /// A disk that does not answer is taken to be as it was: a full one shows when it is written.
    fn ask(&mut self) {
        let Ok(free) = fs4::available_space(&self.directory) else { return };
        let level = if free < self.reserve {
            Level::Full { free }
        } else if free < self.reserve.saturating_mul(WARNING) {
            Level::Low
        } else {
            Level::Enough
        };
        if std::mem::discriminant(&level) != std::mem::discriminant(&self.level) {
            let directory = self.directory.display();
            match level {
                Level::Enough => tracing::info!(%directory, free, "the disk has room again"),
                Level::Low => tracing::warn!(%directory, free, "the disk is filling up"),
                Level::Full { .. } => {
                    tracing::error!(%directory, free, "the disk is full: no event is taken");
                }
            }
        }
        self.level = level;
    }
}
