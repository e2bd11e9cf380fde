//! The file-system operations that the log depends on, in one place, so that tests can make each of them fail.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::Path;

/// What the store asks of the file system.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Creates a file that must not exist yet, for reading and writing.
    fn create(&self, path: &Path) -> io::Result<File>;

    /// Writes all of `slices` from `offset` on.
    fn write_at(&self, file: &File, slices: &mut [IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Makes the octets of a file, and its length, durable.
    fn sync_file(&self, file: &File) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Removes a name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Called before sled writes: its own operations do not pass through here.
    fn before_index_write(&self) -> io::Result<()> {
        Ok(())
    }

    /// The octets that can still be written by this process to the file system of `path`.
    fn free_octets(&self, path: &Path) -> io::Result<u64>;
}

/// The operating system's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    }

    fn write_at(&self, file: &File, slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        // IOV_MAX of Linux.
        const SLICES_MAX: usize = 1024;
        let mut rest = slices;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let now = &rest[..rest.len().min(SLICES_MAX)];
            match rustix::io::pwritev(file, now, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        // Never tried again after an error: the kernel may have dropped the pages that it could not write.
        Ok(rustix::fs::fdatasync(file)?)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn free_octets(&self, path: &Path) -> io::Result<u64> {
        let facts = rustix::fs::statvfs(path)?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}

#[cfg(test)]
pub(crate) mod faults;
