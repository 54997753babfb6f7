//! Bundles in a folder of this machine.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::fs;

use crate::archive::spool::{digest_of, make_directory, remove_if_there, sync_directory};
use crate::archive::{ArchiveError, BundleStore};
use crate::event::TokenDigest;

/// A folder. A file is gathered in it and then gets its name, so that nobody sees half of one, and none
/// takes the place of another: two gateways may have one folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Takes a folder, which is made when it is needed.
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

#[async_trait]
impl BundleStore for Folder {
    fn spool(&self) -> PathBuf {
        self.0.clone()
    }

    async fn put(&self, name: &str, spool: &Path, sha256: TokenDigest) -> Result<(), ArchiveError> {
        let place = self.0.join(name);
        if let Some(found) = digest_of(&place).await? {
            return if found == sha256 {
                sync_directory(&place).await?;
                remove_if_there(spool).await
            } else {
                Err(ArchiveError::Taken(name.to_owned()))
            };
        }
        if digest_of(spool).await? != Some(sha256) {
            return Err(ArchiveError::SpoolGone);
        }
        if let Some(directory) = place.parent() {
            make_directory(directory).await?;
        }
        if !name_once(spool, &place).await? {
            // Another gateway was here since.
            return if digest_of(&place).await? == Some(sha256) {
                sync_directory(&place).await?;
                remove_if_there(spool).await
            } else {
                Err(ArchiveError::Taken(name.to_owned()))
            };
        }
        sync_directory(&place).await?;
        sync_directory(spool).await
    }
}

/// Gives a file its name, unless there is one of that name; says whether it has it.
async fn name_once(spool: &Path, place: &Path) -> Result<bool, ArchiveError> {
    match fs::hard_link(spool, place).await {
        Ok(()) => remove_if_there(spool).await.map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        // The file system knows no second name of a file.
        Err(error)
            if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) =>
        {
            fs::rename(spool, place).await.map_err(ArchiveError::io("rename", spool))?;
            Ok(true)
        }
        Err(error) => Err(ArchiveError::io("name", spool)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::archive::Spool;

    #[tokio::test]
    async fn a_bundle_is_there_once_and_nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path().join("evidence"));
        let subscription = "shop".parse().unwrap();
        let gathered = async |text: &[u8]| {
            let mut spool = Spool::create(&folder.spool(), &subscription).await.unwrap();
            spool.write(text).await.unwrap();
            (Spool::place(&folder.spool(), &subscription), spool.finish().await.unwrap())
        };
        let place = directory.path().join("evidence/shop/1.ndjson");

        let (spool, sha256) = gathered(b"one\n").await;
        folder.put("shop/1.ndjson", &spool, sha256).await.unwrap();

        assert!(!spool.exists());
        assert_eq!(std::fs::read(&place).unwrap(), b"one\n");
        assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
        let parent = place.parent().unwrap();
        assert_eq!(std::fs::metadata(parent).unwrap().permissions().mode() & 0o777, 0o700);
        folder.put("shop/1.ndjson", &spool, sha256).await.unwrap();
        let (spool, other) = gathered(b"two\n").await;
        let taken = folder.put("shop/1.ndjson", &spool, other).await;
        assert!(matches!(taken, Err(ArchiveError::Taken(_))), "{taken:?}");
        assert_eq!(std::fs::read(&place).unwrap(), b"one\n");
        // As of another gateway that has given the name away since it was looked.
        assert!(!name_once(&spool, &place).await.unwrap());
        assert_eq!(std::fs::read(&place).unwrap(), b"one\n");
        // As of a gateway that ended between the two names.
        let second = Spool::place(&folder.spool(), &subscription);
        std::fs::remove_file(&second).unwrap();
        std::fs::hard_link(&place, &second).unwrap();
        gathered(b"three\n").await;
        assert_eq!(std::fs::read(&place).unwrap(), b"one\n");
        let gone = folder.put("shop/2.ndjson", &spool, sha256).await;
        assert!(matches!(gone, Err(ArchiveError::SpoolGone)), "another's bytes: {gone:?}");
    }
}
