//! A file of no use but its room: given up when there is none, so that the server can still start, settle and deliver its way
//! out of a full disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};

/// The file.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    octets: u64,
    there: bool,
}

impl Ballast {
    /// The ballast of a queue, as an earlier process may have left it.
    pub(super) fn new(path: PathBuf, octets: u64) -> Self {
        let there = octets > 0 && std::fs::metadata(&path).is_ok_and(|facts| facts.len() == octets);
        Self { path, octets, there }
    }

    /// Takes the room, where there is so much. Its absence is no error: without room there is none to keep.
    pub(super) fn restore(&mut self) {
        if self.is_missing() {
            self.there = self.allocate().is_ok();
            if !self.there {
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let file: File = OpenOptions::new().create(true).truncate(true).write(true).open(&self.path)?;
        // Room that is really taken: a file that is merely long takes none.
        fallocate(&file, FallocateFlags::empty(), 0, self.octets)?;
        file.sync_all()
    }

    /// Whether there should be one and is none.
    pub(super) fn is_missing(&self) -> bool {
        !self.there && self.octets > 0
    }

    /// Gives the room up. Whether there was any to give.
    pub(super) fn release(&mut self) -> bool {
        std::mem::take(&mut self.there) && std::fs::remove_file(&self.path).is_ok()
    }
}
