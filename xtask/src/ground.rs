//! Where servers under test keep their files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process;

/// A place on a disk, with a folder for each server; all of it is removed at the end, and nothing before.
///
/// ext4 puts new files near the folder that they are in, and where many files were removed not long ago, making one
/// becomes slow: a server would pay for what the one before it has left. So nothing is removed between runs, and the
/// folders are spread over the disk, as far as the file system knows how.
#[derive(Debug)]
pub(crate) struct Ground {
    folder: TempDir,
    taken: AtomicUsize,
}

impl Ground {
    /// A new place.
    ///
    /// # Errors
    /// When there is no room in `/var/tmp`.
    pub(crate) fn new() -> Result<Self> {
        // Not in /tmp, which may be memory: a server must pay for its syncs.
        let folder = tempfile::Builder::new().prefix("smtp-xtask-").tempdir_in("/var/tmp");
        let folder = folder.context("cannot make a folder in /var/tmp")?;
        make_open(folder.path())?;
        // The mark of a folder whose folders have nothing to do with each other. Other file systems do not know it.
        let spread = process::output(Command::new("chattr").arg("+T").arg(folder.path()));
        if spread.is_err() {
            println!("the folders of the servers cannot be spread over the disk; they may lie side by side");
        }
        Ok(Self { folder, taken: AtomicUsize::new(0) })
    }

    /// A new folder in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn take(&self) -> Result<PathBuf> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(number.to_string());
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        make_open(&path)?;
        Ok(path)
    }
}

/// Postfix works as users of its own.
fn make_open(path: &Path) -> Result<()> {
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, open).with_context(|| format!("cannot open {}", path.display()))
}
