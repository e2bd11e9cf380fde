//! A disk that fails on demand.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::io::Errno;

use super::{Disk, RealDisk};

/// The real disk behind switches.
#[derive(Debug, Default)]
pub(crate) struct FaultyDisk {
    /// Every creation and every write fails with this.
    pub(crate) write_error: Mutex<Option<Errno>>,
    /// The next write stops after so many octets, then fails with EIO.
    pub(crate) tear_next_write: Mutex<Option<usize>>,
    /// Writes fail for want of room as long as this file is there.
    pub(crate) full_until_removed: Mutex<Option<PathBuf>>,
    /// Every write of sled fails.
    pub(crate) index_fails: AtomicBool,
    /// Every sync fails.
    pub(crate) sync_fails: AtomicBool,
    /// The room that is told instead of the real one, where not 0.
    pub(crate) free_octets: AtomicU64,
    /// How many syncs of files there were.
    pub(crate) syncs: AtomicU64,
}

impl FaultyDisk {
    pub(crate) fn fail_writes(&self, error: Option<Errno>) {
        *self.write_error.lock().unwrap() = error;
    }

    fn refuse(&self) -> io::Result<()> {
        if self.full_until_removed.lock().unwrap().as_ref().is_some_and(|path| path.exists()) {
            return Err(Errno::NOSPC.into());
        }
        match *self.write_error.lock().unwrap() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.refuse()?;
        RealDisk.create(path)
    }

    fn write_at(&self, file: &File, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        if let Some(octets) = self.tear_next_write.lock().unwrap().take() {
            let mut whole = slices.iter().flat_map(|slice| slice.to_vec()).collect::<Vec<u8>>();
            whole.truncate(octets);
            RealDisk.write_at(file, &mut [IoSlice::new(&whole)], offset)?;
            return Err(Errno::IO.into());
        }
        self.refuse()?;
        RealDisk.write_at(file, slices, offset)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if self.sync_fails.load(Ordering::Relaxed) {
            return Err(Errno::IO.into());
        }
        RealDisk.sync_file(file)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_directory(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn before_index_write(&self) -> io::Result<()> {
        if self.index_fails.load(Ordering::Relaxed) { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    fn free_octets(&self, path: &Path) -> io::Result<u64> {
        match self.free_octets.load(Ordering::Relaxed) {
            0 => RealDisk.free_octets(path),
            octets => Ok(octets),
        }
    }
}
