//! How much room a disk has.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The room of a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What this process may still write.
    pub free: u64,
    /// What this process could write on an empty disk.
    pub total: u64,
}

/// Tells how much room there is.
pub trait Disk: Send + Sync {
    /// The room of the disk that a directory is on.
    ///
    /// # Errors
    ///
    /// Ours: the system does not tell.
    fn room(&self, directory: &Path) -> io::Result<Room>;
}

/// The machine's disks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn room(&self, directory: &Path) -> io::Result<Room> {
        let stats = fs4::statvfs(directory)?;
        // What is kept for root is neither free nor in use, as `df` counts.
        let withheld = stats.free_space().saturating_sub(stats.available_space());
        let total = stats.total_space().saturating_sub(withheld);
        Ok(Room { free: stats.available_space(), total })
    }
}

/// A disk that is as full as a test says.
#[derive(Clone, Debug)]
pub struct ManualDisk(Arc<Mutex<Room>>);

impl ManualDisk {
    /// Starts empty, with more room than any test needs.
    pub fn empty() -> Self {
        Self::with(Room { free: 1 << 50, total: 1 << 50 })
    }

    /// Starts with this room.
    pub fn with(room: Room) -> Self {
        Self(Arc::new(Mutex::new(room)))
    }

    /// Has this room from now on.
    pub fn set(&self, room: Room) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = room;
    }
}

impl Disk for ManualDisk {
    fn room(&self, _: &Path) -> io::Result<Room> {
        Ok(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
