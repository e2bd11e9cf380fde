//! A disk whose power can be cut: ext4, with its journal, in a file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Sparse: it takes what is written to it.
const IMAGE_OCTETS: u64 = 4 << 30;

/// Whether this machine lets us mount file systems, which not every container lets root do.
pub(crate) fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// Whether it lets us mount files.
pub(crate) fn may_mount_files() -> bool {
    Path::new("/dev/loop-control").exists() && may_mount()
}

/// A file system of its own, mounted until it is dropped.
#[derive(Debug)]
pub(crate) struct Disk {
    image: PathBuf,
    mounted: PathBuf,
}

impl Disk {
    /// Makes one, in a file in this folder.
    ///
    /// # Errors
    /// When we are not root, or e2fsprogs is not installed.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let disk = Self { image: folder.join("disk.image"), mounted: folder.join("disk") };
        File::create(&disk.image)?.set_len(IMAGE_OCTETS)?;
        process::output(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image))?;
        fs::create_dir(&disk.mounted)?;
        disk.mount()?;
        Ok(disk)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mounted
    }

    /// Makes all of it durable.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn sync(&self) -> Result<()> {
        process::output(Command::new("sync").arg("--file-system").arg(&self.mounted)).map(drop)
    }

    /// From now on nothing reaches the disk: what was not synced before is gone, the journal's tail with it.
    ///
    /// # Errors
    /// When xfsprogs is not installed.
    pub(crate) fn cut(&self) -> Result<()> {
        // It is that of xfs, and ext4 knows it too.
        let cut = process::output(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.mounted));
        cut.map(drop).context("the power cannot be cut")
    }

    /// Power again. Nobody may have a file of it open.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub(crate) fn restore(&self) -> Result<()> {
        self.unmount()?;
        self.mount()
    }

    fn mount(&self) -> Result<()> {
        process::output(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mounted)).map(drop)
    }

    fn unmount(&self) -> Result<()> {
        process::output(Command::new("umount").arg(&self.mounted)).map(drop)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = self.unmount() {
            eprintln!("warning: {error:#}");
        }
    }
}
