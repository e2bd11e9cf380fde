//! One Maildir: its directories, opened without following a link, and the files in them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Advice, AtFlags, CWD, Mode, OFlags, fadvise, fdatasync, fsync, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::error::{Doing, MailboxError};
use super::template::Place;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open Maildir.
#[derive(Debug)]
pub(super) struct Mailbox {
    path: PathBuf,
    tmp: OwnedFd,
    new: Arc<OwnedFd>,
}

impl Mailbox {
    /// Opens the Maildir, and makes it first where it is missing.
    pub(super) fn open(place: &Place<'_>) -> Result<Self, MailboxError> {
        let mut path = place.base.to_path_buf();
        // The base is the operator's: links in it are meant.
        let base = openat(CWD, &path, DIRECTORY, Mode::empty());
        let mut directory = base.map_err(|errno| error(Doing::OpenBase, &path, errno))?;
        for component in &place.components {
            path.push(component);
            directory = open_or_make(directory.as_fd(), component, &path)?;
        }
        let open = |name| open_or_make(directory.as_fd(), name, &path.join(name));
        let (tmp, new) = (open("tmp")?, Arc::new(open("new")?));
        // Nothing of ours is in `cur`, but readers expect it: it is there as soon as `new` is.
        match mkdirat(&directory, "cur", Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(Self { path, tmp, new }),
            Err(errno) => Err(error(Doing::MakeDirectory, &path.join("cur"), errno)),
        }
    }

    /// A file of that name in `tmp`, which must be new.
    pub(super) fn create(&self, name: String) -> Result<TmpFile<'_>, MailboxError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.tmp, &name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(TmpFile { mailbox: self, name, file: Arc::new(file.into()), moved: false }),
            Err(errno) => Err(error(Doing::Create, &self.path, errno)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What waits until the names in `new` are durable, on any thread.
    pub(super) fn new_sync(&self) -> Sync {
        Sync::Names(Arc::clone(&self.new))
    }

    /// What such a wait came to.
    pub(super) fn synced(&self, synced: io::Result<()>) -> Result<(), MailboxError> {
        let failed =
            |source| MailboxError::Io { doing: Doing::Sync, path: self.path.clone(), source: Arc::new(source) };
        synced.map_err(failed)
    }
}

fn open_or_make(parent: BorrowedFd<'_>, name: &str, path: &Path) -> Result<OwnedFd, MailboxError> {
    let open = || openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
    match open() {
        Err(Errno::NOENT) => {}
        opened => return opened.map_err(|errno| error(Doing::OpenDirectory, path, errno)),
    }
    match mkdirat(parent, name, Mode::RWXU) {
        // Made by another delivery just now.
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(error(Doing::MakeDirectory, path, errno)),
    }
    fsync(parent).map_err(|errno| error(Doing::Sync, path, errno))?;
    open().map_err(|errno| error(Doing::OpenDirectory, path, errno))
}

fn error(doing: Doing, path: &Path, errno: Errno) -> MailboxError {
    MailboxError::Io { doing, path: path.to_path_buf(), source: Arc::new(errno.into()) }
}

/// A file in `tmp`; removed when dropped, unless it has been moved.
#[derive(Debug)]
pub(super) struct TmpFile<'a> {
    mailbox: &'a Mailbox,
    name: String,
    pub(super) file: Arc<File>,
    moved: bool,
}

/// A wait for the disk.
#[derive(Debug)]
pub(super) enum Sync {
    Octets(Arc<File>),
    Names(Arc<OwnedFd>),
}

impl Sync {
    pub(super) fn wait(self) -> io::Result<()> {
        match self {
            Self::Octets(file) => fdatasync(&file)?,
            Self::Names(directory) => fsync(&directory)?,
        }
        Ok(())
    }
}

impl<'a> TmpFile<'a> {
    /// Has the disk begin with the octets, without waiting. What is written of several files by the time that the first of them is
    /// waited for need not be waited for one by one.
    pub(super) fn begin_sync(&self) {
        // Of the ways to say so this one has a safe interface; pages on their way to the disk stay in memory. Whether the octets
        // get there is what the wait tells.
        let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
    }

    /// What waits until the octets are durable, on any thread.
    pub(super) fn sync(&self) -> Sync {
        Sync::Octets(Arc::clone(&self.file))
    }

    /// What such a wait came to.
    pub(super) fn synced(self, synced: io::Result<()>) -> Result<Self, MailboxError> {
        self.mailbox.synced(synced)?;
        Ok(self)
    }

    /// Moves it to `new`, where readers look for it; returns the mailbox, whose directory is to be synced.
    pub(super) fn move_to_new(mut self) -> Result<&'a Mailbox, MailboxError> {
        renameat(&self.mailbox.tmp, &self.name, &*self.mailbox.new, &self.name)
            .map_err(|errno| error(Doing::Move, &self.mailbox.path, errno))?;
        self.moved = true;
        Ok(self.mailbox)
    }

    /// The error of an operation on the file.
    pub(super) fn error(&self, doing: Doing, source: io::Error) -> MailboxError {
        MailboxError::Io { doing, path: self.mailbox.path.clone(), source: Arc::new(source) }
    }
}

impl Drop for TmpFile<'_> {
    fn drop(&mut self) {
        if !self.moved {
            // The delivery has failed already; a file that stays is removed by IMAP servers in time.
            let _ = unlinkat(&self.mailbox.tmp, &self.name, AtFlags::empty());
        }
    }
}
