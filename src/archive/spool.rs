//! A bundle while it is gathered.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::fs::{self, DirBuilder, File, OpenOptions};
use tokio::io::{AsyncWriteExt as _, BufWriter};

use crate::archive::ArchiveError;
use crate::event::{SubscriptionId, TokenDigest};

/// A file of its owner alone that is written line by line.
pub struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
    /// Bytes that were written.
    pub bytes: u64,
}

impl Spool {
    /// Where the bundle of a subscription is gathered.
    pub fn place(directory: &Path, subscription: &SubscriptionId) -> PathBuf {
        directory.join(format!(".{subscription}.part"))
    }

    /// Begins anew. What was not finished before goes, and is not written over: it may be the second name of
    /// a bundle, of a gateway that ended before it could take that away.
    ///
    /// # Errors
    ///
    /// Later: the disk.
    pub async fn create(
        directory: &Path,
        subscription: &SubscriptionId,
    ) -> Result<Self, ArchiveError> {
        make_directory(directory).await?;
        let path = Self::place(directory, subscription);
        let mut options = OpenOptions::new();
        options.create_new(true).write(true).mode(0o600);
        remove_if_there(&path).await?;
        let file = options.open(&path).await.map_err(ArchiveError::io("write", &path))?;
        Ok(Self { path, file: BufWriter::new(file), hash: Sha256::new(), bytes: 0 })
    }

    /// Adds a line.
    ///
    /// # Errors
    ///
    /// Later: the disk.
    pub async fn write(&mut self, line: &[u8]) -> Result<(), ArchiveError> {
        self.hash.update(line);
        self.bytes += line.len() as u64;
        self.file.write_all(line).await.map_err(ArchiveError::io("write", &self.path))
    }

    /// Makes it durable; gives the digest of its bytes.
    ///
    /// # Errors
    ///
    /// Later: the disk.
    pub async fn finish(mut self) -> Result<TokenDigest, ArchiveError> {
        let failed = |action| ArchiveError::io(action, &self.path);
        self.file.flush().await.map_err(failed("write"))?;
        self.file.get_ref().sync_all().await.map_err(failed("write"))?;
        sync_directory(&self.path).await?;
        Ok(TokenDigest::from_bytes(self.hash.finalize().into()))
    }
}

/// Makes a directory of its owner alone, and those above it.
pub(super) async fn make_directory(directory: &Path) -> Result<(), ArchiveError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(directory).await.map_err(ArchiveError::io("make", directory))
}

/// Makes what was renamed or made in the directory of a file durable.
pub(super) async fn sync_directory(file: &Path) -> Result<(), ArchiveError> {
    let Some(directory) = file.parent() else { return Ok(()) };
    let failed = ArchiveError::io("sync", directory);
    let sync = async { File::open(directory).await?.sync_all().await };
    sync.await.map_err(failed)
}

/// Removes a file, if it is there.
pub(super) async fn remove_if_there(path: &Path) -> Result<(), ArchiveError> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(ArchiveError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// The digest of a file's bytes; nothing if it is not there.
pub(super) async fn digest_of(path: &Path) -> Result<Option<TokenDigest>, ArchiveError> {
    use tokio::io::AsyncReadExt as _;
    let failed = || ArchiveError::io("read", path);
    let mut file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed()(error)),
    };
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        let count = file.read(&mut buffer).await.map_err(failed())?;
        if count == 0 {
            return Ok(Some(TokenDigest::from_bytes(hash.finalize().into())));
        }
        hash.update(buffer.get(..count).unwrap_or_default());
    }
}
