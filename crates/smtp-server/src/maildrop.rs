//! Takes what programs have left in the maildrop while the server was down.
//!
//! Everybody may put a file there, so nothing in it is believed: links are not followed, only plain files with one name are
//! read, and the owner of the file is the user that submits it. A file goes the way of any message of that user, through a
//! session of its own, and is removed when the message is durable. What cannot be taken is put aside, with a line in the log.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use smtp_io::{Connection, now};
use smtp_mail::Report;
use smtp_mail::maildrop::{DroppedEnvelope, ENVELOPE_OCTETS_MAX, UNFINISHED_SUFFIX};
use smtp_proto::client::{ClientConfig, ClientSession, CloseReason, Event};
use smtp_proto::{ContentFacts, Domain, EnhancedStatus, Envelope, Rcpt, RemoteReply, ReplyClass};
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::log;
use crate::submit::Submission;

/// How often it is looked for files.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Files of one user that are taken in a look: the rest is for the next.
const FILES_PER_USER_MAX: usize = 100;
/// Files of all users that are taken in a look.
const FILES_PER_LOOK_MAX: usize = 1000;
/// A file that is still being written after so long has been given up.
const UNFINISHED_MAX: Duration = Duration::from_hours(24);
/// Everybody may put files in, nobody can list them, and nobody but the owner can take them away.
const MODE: u32 = 0o1733;
/// Where files are put aside.
const REFUSED: &str = "refused";
/// There are more recipients than one transaction may have (RFC 3463 §3.6).
const TOO_MANY_RECIPIENTS: EnhancedStatus = EnhancedStatus::new(4, 5, 3);

/// The maildrop at work.
#[derive(Debug)]
pub(crate) struct Maildrop {
    directory: PathBuf,
    submission: Submission,
    stopping: watch::Receiver<bool>,
    /// What could neither be taken nor put aside, so that it is told once.
    stuck: HashSet<OsString>,
    /// The folder could not be read the last time, which is told.
    unreadable: bool,
    /// The file that the last look found unreadable for a shortage, which is told.
    short_of: Option<OsString>,
}

/// A file of the maildrop, as it is submitted.
#[derive(Debug)]
struct Dropped {
    /// Whose it is.
    uid: u32,
    envelope: Envelope,
    content: Bytes,
}

/// Why a file is not submitted.
#[derive(Debug)]
enum Unreadable {
    /// It is no message of the maildrop; whose it is, where that is known.
    Unfit(Option<u32>, String),
    /// Something is the matter with this machine, and not with the file.
    Shortage(io::Error),
}

/// Who or what a file waits for.
enum Waits {
    /// Its user: the next file of the same user would wait too.
    User(u32),
    /// The machine.
    Machine(io::Error),
}

/// What is in the folder.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    /// The files that are whole, with their owners.
    files: Vec<(u32, OsString)>,
    /// Of what was stuck, what is still there.
    stuck: HashSet<OsString>,
}

/// What became of a file.
enum Outcome {
    /// The message is durable.
    Taken,
    /// Not now.
    Later,
    /// Never, and why.
    Refused(String),
}

impl Maildrop {
    /// The maildrop of the configuration in force; another folder takes a start of the server.
    pub(crate) fn new(submission: Submission, stopping: watch::Receiver<bool>) -> Self {
        let directory = submission.shared.config().submit.maildrop.clone();
        Self { directory, submission, stopping, stuck: HashSet::new(), unreadable: false, short_of: None }
    }

    /// Takes files until the server stops.
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.blocking(|directory| prepare(&directory)).await {
            return log::maildrop_unusable(&self.directory, &error);
        }
        while !*self.stopping.borrow_and_update() {
            self.look().await;
            tokio::select! {
                changed = self.stopping.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Takes what is there now.
    async fn look(&mut self) {
        let stuck = self.stuck.clone();
        let files = match self.blocking(move |directory| list(&directory, &stuck)).await {
            Ok(Listed { files, stuck }) => {
                self.stuck = stuck;
                self.unreadable = false;
                files
            }
            Err(error) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    log::maildrop_unusable(&self.directory, &error);
                }
                return;
            }
        };
        // Whoever must wait once in a look need not be tried again in it.
        let mut waiting = HashSet::new();
        let mut short_of = None;
        for (uid, name) in files {
            if *self.stopping.borrow() {
                return;
            }
            if waiting.contains(&uid) {
                continue;
            }
            match self.take(name.clone()).await {
                Some(Waits::User(uid)) => drop(waiting.insert(uid)),
                Some(Waits::Machine(error)) if short_of.is_none() => {
                    if self.short_of.as_ref() != Some(&name) {
                        log::maildrop_unusable(&self.directory.join(&name), &error);
                    }
                    short_of = Some(name);
                }
                Some(Waits::Machine(_)) | None => {}
            }
        }
        self.short_of = short_of;
    }

    /// Takes a file, or says what it waits for.
    async fn take(&mut self, name: OsString) -> Option<Waits> {
        let config = self.submission.shared.config();
        let octets_max = config.limits.message_octets.saturating_add(ENVELOPE_OCTETS_MAX as u64);
        let domain = Domain::Name(config.submit.domain.clone());
        let path = self.directory.join(&name);
        let dropped = self.blocking(move |_| Ok(dropped(&path, octets_max, &domain))).await;
        let (uid, outcome) = match dropped.unwrap_or_else(|error| Err(Unreadable::Shortage(error))) {
            // Whose file was opened says who submits it, whatever stood there when the folder was listed.
            Ok(dropped) => (Some(dropped.uid), self.submit(dropped).await),
            // It has gone since the folder was listed.
            Err(Unreadable::Shortage(error)) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(Unreadable::Shortage(error)) => return Some(Waits::Machine(error)),
            Err(Unreadable::Unfit(uid, reason)) => (uid, Outcome::Refused(reason)),
        };
        match outcome {
            Outcome::Taken => self.settle(name, |directory, name| fs::remove_file(directory.join(name))).await,
            Outcome::Later => return uid.map(Waits::User),
            Outcome::Refused(reason) => {
                log::dropped_refused(&name, uid, &reason);
                let number = self.submission.shared.queue().next_id();
                self.settle(name, move |directory, name| put_aside(directory, name, &number.to_string())).await;
            }
        }
        None
    }

    /// Takes a file out of the way. One that stays is not tried again until the server is started anew.
    async fn settle(&mut self, name: OsString, act: impl FnOnce(&Path, &OsStr) -> io::Result<()> + Send + 'static) {
        let moved = name.clone();
        if let Err(error) = self.blocking(move |directory| act(&directory, &moved)).await {
            log::maildrop_unusable(&self.directory.join(&name), &error);
            self.stuck.insert(name);
        }
    }

    /// Sends a file through a session of its owner's.
    async fn submit(&self, dropped: Dropped) -> Outcome {
        let Dropped { uid, envelope, content } = dropped;
        let Ok((ours, theirs)) = UnixStream::pair() else { return Outcome::Later };
        let serving = tokio::spawn(self.submission.clone().serve(theirs, uid));
        let config = ClientConfig::new("localhost".parse().expect("localhost is a name"));
        let session = ClientSession::new(Arc::new(config), None, now());
        let connection = Connection::new(ours, session);
        let mut submitting = Submitting { connection, refusals: Vec::new(), taken: false };
        let outcome = submitting.run(envelope, &content).await;
        drop(submitting);
        // A panic of it is counted and told there.
        let _ = serving.await;
        outcome
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(PathBuf) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let directory = self.directory.clone();
        tokio::task::spawn_blocking(move || work(directory)).await.map_err(io::Error::other)?
    }
}

/// The client's side of the session that takes a file in.
struct Submitting {
    connection: Connection<ClientSession>,
    refusals: Vec<String>,
    /// The message is durable for some: who submitted the file again would send it to them twice.
    taken: bool,
}

/// Why a transaction has ended before all in it had an answer.
enum Ended {
    /// The server takes nothing at the moment.
    Later(String),
    /// It refuses the message, whoever that is for.
    Refused(String),
}

impl Submitting {
    /// Submits the file to everybody, in as many transactions as the server takes them in (RFC 5321 §4.5.3.1.10).
    async fn run(&mut self, mut envelope: Envelope, content: &Bytes) -> Outcome {
        match self.connection.next_event().await {
            Ok(Event::Ready(_)) => {}
            Ok(Event::Refused { reply, .. }) if reply.class() == ReplyClass::Permanent => {
                return Outcome::Refused(shown(&reply));
            }
            _ => return Outcome::Later,
        }
        let facts = ContentFacts::of(content);
        while !envelope.recipients.is_empty() {
            match self.transact(&envelope, &facts, content).await {
                Ok(put_off) => envelope.recipients = put_off,
                Err(Ended::Later(_)) if !self.taken => return Outcome::Later,
                Err(Ended::Later(reason) | Ended::Refused(reason)) => {
                    self.refusals.push(reason);
                    break;
                }
            }
        }
        if self.refusals.is_empty() { Outcome::Taken } else { Outcome::Refused(self.refusals.join("; ")) }
    }

    /// One transaction, to its end. Those that the server has put off as too many at once, while it took others.
    async fn transact(
        &mut self,
        envelope: &Envelope,
        facts: &ContentFacts,
        content: &Bytes,
    ) -> Result<Vec<Rcpt>, Ended> {
        let begun = self.connection.session().begin(envelope, facts, now());
        begun.map_err(|error| Ended::Refused(error.to_string()))?;
        let mut content = Some(content.clone());
        let mut too_many = Vec::new();
        let mut taken = false;
        loop {
            let event = self.connection.next_event().await.map_err(|error| Ended::Later(error.to_string()))?;
            match event {
                Event::Recipient { index, reply } => match reply.class() {
                    ReplyClass::Completion => {}
                    _ if reply.status() == Some(TOO_MANY_RECIPIENTS) => too_many.push((index, reply)),
                    ReplyClass::Transient if !self.taken => return Err(Ended::Later(shown(&reply))),
                    _ => self.refusals.push(shown(&reply)),
                },
                Event::MailDataWanted => {
                    let session = self.connection.session();
                    // What the session has refused meanwhile is told by the next event.
                    let _ = match content.take() {
                        Some(content) => session.send_mail_data(content, now()),
                        None => session.finish_mail_data(now()),
                    };
                }
                Event::Delivered { .. } => taken = true,
                Event::Finished => break,
                Event::Refused { reply, .. } if reply.class() == ReplyClass::Permanent => {
                    return Err(Ended::Refused(shown(&reply)));
                }
                Event::Refused { reply, .. } => return Err(Ended::Later(shown(&reply))),
                Event::Closed(CloseReason::Content(fault)) => return Err(Ended::Refused(fault.to_string())),
                Event::Closed(reason) => return Err(Ended::Later(reason.to_string())),
                _ => return Err(Ended::Later("the session is out of step".to_owned())),
            }
        }
        self.taken |= taken;
        if taken {
            return Ok(too_many.into_iter().map(|(index, _)| envelope.recipients[index].clone()).collect());
        }
        // A server that took nobody will not take these alone, nor later.
        self.refusals.extend(too_many.iter().map(|(_, reply)| shown(reply)));
        Ok(Vec::new())
    }
}

fn shown(reply: &RemoteReply) -> String {
    reply.escaped(Report::TEXT_OCTETS_MAX)
}

/// Makes the folders, where they are not there, and sees that they are ours.
fn prepare(directory: &Path) -> io::Result<()> {
    make(directory, MODE)?;
    make(&directory.join(REFUSED), 0o700)
}

fn make(directory: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(directory) {
        Ok(()) => fs::set_permissions(directory, Permissions::from_mode(mode))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let found = fs::symlink_metadata(directory)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("{} is not a folder of this server's user", directory.display())));
    }
    Ok(())
}

/// The files that are whole, and not `stuck`. Those that were given up while they were written are removed.
fn list(directory: &Path, stuck: &HashSet<OsString>) -> io::Result<Listed> {
    let (mut turns, mut still_stuck) = (Turns::default(), HashSet::new());
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == REFUSED {
            continue;
        }
        if stuck.contains(&name) {
            still_stuck.insert(name);
            continue;
        }
        // No link is followed. It may have gone meanwhile.
        let Ok(found) = entry.metadata() else { continue };
        if !name.as_encoded_bytes().ends_with(UNFINISHED_SUFFIX.as_bytes()) {
            turns.add(found.uid(), name);
        } else if is_given_up(&found) {
            // Another look will come to it if not this one.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(Listed { files: turns.in_order(), stuck: still_stuck })
}

/// Files in turn: however many one user has, the first of every other comes before the second of that one.
#[derive(Default)]
struct Turns {
    of_user: HashMap<u32, usize>,
    files: Vec<(usize, u32, OsString)>,
}

impl Turns {
    fn add(&mut self, uid: u32, name: OsString) {
        let turn = self.of_user.entry(uid).or_default();
        if *turn < FILES_PER_USER_MAX {
            self.files.push((*turn, uid, name));
            *turn += 1;
        }
    }

    fn in_order(mut self) -> Vec<(u32, OsString)> {
        self.files.sort_by_key(|(turn, ..)| *turn);
        self.files.truncate(FILES_PER_LOOK_MAX);
        self.files.into_iter().map(|(_, uid, name)| (uid, name)).collect()
    }
}

fn is_given_up(found: &Metadata) -> bool {
    found.modified().is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|since| since > UNFINISHED_MAX))
}

/// Moves a file into the folder of what was refused, where that name is taken under `number`; removes an empty folder.
fn put_aside(directory: &Path, name: &OsStr, number: &str) -> io::Result<()> {
    let (path, refused) = (directory.join(name), directory.join(REFUSED));
    if fs::symlink_metadata(&path)?.is_dir() {
        return fs::remove_dir(path);
    }
    // Nobody else writes there, so that what is free stays free.
    let is_free = fs::symlink_metadata(refused.join(name)).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    fs::rename(path, if is_free { refused.join(name) } else { refused.join(number) })
}

/// The message in a file.
fn dropped(path: &Path, octets_max: u64, domain: &Domain) -> Result<Dropped, Unreadable> {
    let (uid, file) = read(path, octets_max).map_err(|error| {
        if is_about_file(&error) { Unreadable::Unfit(None, error.to_string()) } else { Unreadable::Shortage(error) }
    })?;
    let unfit = |reason: String| Unreadable::Unfit(Some(uid), reason);
    let (envelope, content_at) = DroppedEnvelope::parse(&file).map_err(|error| unfit(error.to_string()))?;
    let completed = envelope.complete(file.slice(content_at..), domain);
    let (envelope, content) = completed.map_err(|error| unfit(error.to_string()))?;
    Ok(Dropped { uid, envelope, content })
}

/// Whether a file cannot be read for what it is: our own words, a link, a socket, or one that its owner has closed to us.
/// All else (no more descriptors, no memory, a fault of the disk) passes, and the file is as good as before.
fn is_about_file(error: &io::Error) -> bool {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        None => error.kind() == io::ErrorKind::Other,
        Some(code) => [Errno::LOOP, Errno::NXIO, Errno::ACCESS, Errno::PERM].contains(&code),
    }
}

/// The owner of a file, and its octets.
fn read(path: &Path, octets_max: u64) -> io::Result<(u32, Bytes)> {
    // Neither a link is followed, nor a pipe waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    if found.nlink() != 1 {
        return Err(io::Error::other("it has more than one name"));
    }
    let mut octets = Vec::new();
    file.take(octets_max + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > octets_max {
        return Err(io::Error::other(format!("it has more than {octets_max} octets")));
    }
    Ok((found.uid(), octets.into()))
}

#[cfg(test)]
mod tests;
