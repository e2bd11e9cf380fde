//! The Unix sockets of the server: made with the right owner and mode from its first moment, and never taken from
//! another server that lives.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::admin::Group;

/// Where the socket is to be, and who may connect.
#[derive(Debug, Clone)]
pub struct SocketConfig {
    /// Its path.
    pub path: PathBuf,
    /// Its permissions; 0660 lets in its owner and its group.
    pub mode: u32,
    /// The group that it is given to; `None`: it stays as it is made.
    pub group: Option<Group>,
}

/// `sun_path` of unix(7), less its end mark and the suffix of [`beside`].
const PATH_OCTETS_MAX: usize = 107 - SUFFIX.len();

const SUFFIX: &str = ".new";

/// A socket that listens. It is removed when this is dropped, if it still is this one.
#[derive(Debug)]
pub struct LocalSocket {
    /// Before the listener, since the order of fields is that of dropping: while the socket is open no other file can
    /// have its identity.
    file: SocketFile,
    listener: UnixListener,
}

/// Why a socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("another server answers at {}: stop it, or give this one another socket", .0.display())]
    InUse(PathBuf),
    /// Something that we did not make stands there.
    #[error("{} exists and is not a socket: move it away, or name another", .0.display())]
    NotASocket(PathBuf),
    /// The path is longer than the system allows.
    #[error("{} is too long for a Unix socket: at most {PATH_OCTETS_MAX} octets", .0.display())]
    TooLong(PathBuf),
    /// The socket could not be given to the group.
    #[error("the socket {} cannot be given to the group {group}: run as a member of it, or name another", path.display())]
    Group {
        /// The path of the socket.
        path: PathBuf,
        /// The name of the group.
        group: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system refused.
    #[error("the socket {} cannot be made", path.display())]
    Io {
        /// The path of the socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl LocalSocket {
    /// Makes the socket. Its directory is made too if only that is missing. A socket that a dead server left behind is
    /// replaced. Must be called within a tokio runtime.
    pub fn bind(config: &SocketConfig) -> Result<Self, BindError> {
        let SocketConfig { path, mode, group } = config;
        if path.as_os_str().len() > PATH_OCTETS_MAX {
            return Err(BindError::TooLong(path.clone()));
        }
        let failed = |source| BindError::Io { path: path.clone(), source };
        make_directory(path).map_err(failed)?;
        make_way(path)?;
        let (listener, file) = place(path, *mode, group.as_ref())?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = UnixListener::from_std(listener).map_err(failed)?;
        Ok(Self { file, listener })
    }

    /// The listener, and the file, which is removed when that is dropped: after the listener, please.
    pub(crate) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }

    /// Waits for the next connection.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else { return Ok(()) };
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // The mode of the socket says who comes in, whatever the umask.
        made => made.and_then(|()| fs::set_permissions(directory, Permissions::from_mode(0o755))),
    }
}

/// Makes sure that nothing stands at `path` but, perhaps, a socket that nobody listens on.
fn make_way(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => Err(BindError::NotASocket(path.to_owned())),
        Ok(_) => match StdStream::connect(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(failed(error)),
            // It is taken, or its queue is full of others who wait.
            _ => Err(BindError::InUse(path.to_owned())),
        },
    }
}

/// Makes the socket under another name, sets owner and mode, then renames it: it never stands at `path` unfinished.
fn place(path: &Path, mode: u32, group: Option<&Group>) -> Result<(StdListener, SocketFile), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    let unfinished = beside(path);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = StdListener::bind(&unfinished).map_err(failed)?;
    let mut file = SocketFile::of(unfinished).map_err(failed)?;
    if let Some(Group { name, gid }) = group {
        let refused = |source| BindError::Group { path: path.to_owned(), group: name.clone(), source };
        chown(&file.path, None, Some(*gid)).map_err(refused)?;
    }
    fs::set_permissions(&file.path, Permissions::from_mode(mode)).map_err(failed)?;
    fs::rename(&file.path, path).map_err(failed)?;
    path.clone_into(&mut file.path);
    Ok((listener, file))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// The file of a socket that we made.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let identity = identity(&path)?;
        Ok(Self { path, identity })
    }
}

impl Drop for SocketFile {
    /// Another server may have put its own there since.
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use rustix::process::getegid;

    use super::*;

    fn bind(path: &Path) -> Result<LocalSocket, BindError> {
        LocalSocket::bind(&SocketConfig { path: path.to_owned(), mode: 0o660, group: None })
    }

    fn own_group() -> Group {
        Group { name: "own".to_owned(), gid: getegid().as_raw() }
    }

    #[tokio::test]
    async fn the_socket_has_its_mode_and_goes_with_its_server() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/control.sock");
        let socket =
            LocalSocket::bind(&SocketConfig { path: path.clone(), mode: 0o640, group: Some(own_group()) }).unwrap();
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!(found.mode() & 0o777, 0o640);
        assert_eq!(found.gid(), getegid().as_raw());
        StdStream::connect(&path).unwrap();
        drop(socket);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_a_dead_server_left_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        drop(StdListener::bind(&path).unwrap());
        drop(StdListener::bind(beside(&path)).unwrap());
        let _socket = bind(&path).unwrap();
        StdStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn a_server_that_lives_keeps_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let first = bind(&path).unwrap();
        let error = bind(&path).unwrap_err();
        assert!(matches!(error, BindError::InUse(_)), "{error:?}");
        StdStream::connect(&path).unwrap();
        drop(first);
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let first = bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = bind(&path).unwrap();
        drop(first);
        StdStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn no_other_file_is_removed_or_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("control.sock"), directory.path().join("precious"));
        fs::write(&other, "precious").unwrap();
        symlink(&other, &path).unwrap();
        assert!(matches!(bind(&path), Err(BindError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    }

    #[tokio::test]
    async fn errors_say_what_to_do() {
        let long = Path::new("/tmp").join("x".repeat(200));
        assert!(matches!(bind(&long), Err(BindError::TooLong(_))));
        let nowhere = Path::new("/nonexistent/directory/control.sock");
        let error = bind(nowhere).unwrap_err();
        assert_eq!(error.to_string(), "the socket /nonexistent/directory/control.sock cannot be made");
    }
}
