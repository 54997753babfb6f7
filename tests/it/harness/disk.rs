//! A disk for a [`Process`](super::Process) that can be cut off, fill up, fail and lie.
//!
//! `tests/power_cut/disk.c` is preloaded into the gateway; both share one file of numbers.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// A number that the disk goes by or counts, in the order of `disk.c`.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// The seed of what says what is thrown away.
    Seed,
    /// The power goes at this change of a file or directory; 0 for never.
    CutAtWrite,
    /// The power goes at this sync, before it has happened; 0 for never.
    CutAtSync,
    /// Syncs say yes and do nothing.
    Lies,
    /// By so many bytes files may still grow.
    Room,
    /// So many syncs fail, and what they were to keep is never written.
    FailSyncs,
    /// A sync takes so many microseconds.
    SyncMicros,
    /// How many changes there were.
    Writes,
    /// How many syncs there were.
    Syncs,
    /// 1 once the power is gone.
    Cut,
    /// Pages that were not synced when it went.
    Unsynced,
    /// Those of them that were thrown away, whole or in part.
    Thrown,
    /// Changes of directories that were undone.
    Undone,
}

/// A disk below one directory.
pub struct Disk {
    below: PathBuf,
    spare: TempDir,
    numbers: File,
}

impl Disk {
    /// A disk that keeps its word, of everything below a directory.
    pub fn below(directory: &Path) -> Self {
        let spare = tempfile::tempdir().unwrap();
        let options = File::options().create_new(true).read(true).write(true).clone();
        let numbers = options.open(spare.path().join("numbers")).unwrap();
        numbers.set_len(4096).unwrap();
        let disk = Self { below: directory.canonicalize().unwrap(), spare, numbers };
        disk.heal();
        disk
    }

    /// Begins to count anew and to keep its word.
    pub fn heal(&self) {
        self.numbers.write_all_at(&[0; 4096], 0).unwrap();
        self.set(Number::Room, u64::MAX);
        self.set(Number::SyncMicros, 500);
    }

    /// Sets a number, also while the gateway runs.
    pub fn set(&self, number: Number, value: u64) {
        self.numbers.write_all_at(&value.to_le_bytes(), number as u64 * 8).unwrap();
    }

    /// Reads a number.
    pub fn get(&self, number: Number) -> u64 {
        let mut bytes = [0; 8];
        self.numbers.read_exact_at(&mut bytes, number as u64 * 8).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// Puts this disk below the program.
    pub fn put_below(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library())
            .env("SEALWAY_DISK", self.spare.path().join("numbers"))
            .env("SEALWAY_DISK_DIRECTORY", &self.below);
    }
}

/// Compiles the library once for each test program.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power_cut/disk.c");
        let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let fresh = place.join(format!("disk-{}.so", std::process::id()));
        let built = Command::new("cc")
            .args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
            .arg(&fresh)
            .arg(source)
            .args(["-ldl", "-pthread"])
            .output()
            .expect("the C compiler `cc`, which Rust links with, is missing");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        // Another test program may be using the old one.
        let library = place.join("disk.so");
        std::fs::rename(fresh, &library).unwrap();
        library
    })
}
