//! Files of a witness, each replaced as a whole and durable before it counts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// No file of a witness is longer.
const LONGEST: u64 = 128 * 1024;

/// Reads a file; nothing if it is not there.
pub(super) fn read(place: &Path) -> io::Result<Option<String>> {
    let file = match File::open(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Writes a file in place of the one before, for its owner alone.
pub(super) fn write(place: &Path, text: &str) -> io::Result<()> {
    let new = place.with_extension("new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, place)?;
    place.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
