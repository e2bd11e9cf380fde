//! Opening the queue on disk: lock, index, replay, and what a crash has left behind.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use smtp_mail::MessageId;

use super::ballast::Ballast;
use super::clean::Cleaner;
use super::commit::Writer;
use super::hot::HotContent;
use super::index::{Database, DatabaseError, Index};
use super::layer::MetaRow;
use super::ledger::Ledger;
use super::log::{Log, LogPosition, Segments};
use super::replay::{ReplayError, Replayed, decode_error, replay};
use super::state::apply;
use super::{BODIES, DiskStore, INDEX, LOG, Opened, QUARANTINE, REBUILD_MARK, at_path};
use crate::disk::Disk;
use crate::row::BodyPlace;
use crate::store::{ReadError, WriteError};
use crate::{OpenError, QueueConfig, StartReport};

/// What the index may need of the disk to be brought up to date.
const START_OCTETS_MIN: u64 = 8 << 20;

/// The lock of the queue's directory, held as long as this lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    fn take(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join("lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(at_path(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Without its number the error is still as true.
                let _ = file.read_to_string(&mut holder);
                let pid = holder.trim().parse().ok();
                return Err(OpenError::Locked { directory: directory.to_owned(), pid });
            }
            Err(error) => return Err(at_path(&path)(error.into())),
        }
        // For people only: whether it is locked is for the system to say.
        let noted = file.set_len(0).and_then(|()| file.rewind());
        let _ = noted.and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

pub(super) fn open(config: &QueueConfig, disk: Arc<dyn Disk>, rebuild: bool) -> Result<Opened, OpenError> {
    let directory = config.directory.clone();
    make_directories(&directory)?;
    let lock = Arc::new(Lock::take(&directory)?);
    let ballast = ballast_with_room_to_start(config, disk.as_ref());
    let mut report = StartReport::default();
    let (database, meta) = open_database(&directory, rebuild, &mut report)?;
    let segments = Arc::new(Segments::new(directory.join(LOG)));
    let index = Arc::new(Index::new(Arc::clone(&disk), directory.clone(), database, meta.unwrap_or_default()));
    let flusher = index.start_flushing().map_err(|source| OpenError::Thread { source })?;
    let log_at = |end, next| Log::new(Arc::clone(&disk), Arc::clone(&segments), config.segment_octets, end, next);
    let mut writer = Writer {
        log: log_at(LogPosition::default(), 1),
        directory: directory.clone(),
        segments: Arc::clone(&segments),
        index: Arc::clone(&index),
        flusher: Some(flusher),
        ledger: Arc::new(Ledger::default()),
        hot: Arc::new(HotContent::new(config.hot_memory_octets)),
        pauses: Vec::new(),
        cleaner: Cleaner::new(config.log_slack_octets),
        ballast,
        free_octets_min: config.free_octets_min,
        lock: Arc::clone(&lock),
        disk: Arc::clone(&disk),
    };
    let from = meta.unwrap_or_default().watermark;
    let replayed = bring_up_to_date(&segments, &index, from).map_err(|error| replay_error(error, &directory))?;
    index.settle_down().map_err(flush_error)?;
    if rebuild || report.rebuilt {
        // What the mark asks for is done.
        remove_if_there(&directory.join(REBUILD_MARK))?;
    }
    writer.log = log_at(replayed.end, replayed.next_segment);
    writer.pauses = index.pauses().map_err(read_error)?;
    count(&segments, &index, &writer.ledger)?;
    for damage in &replayed.damage {
        writer.ledger.set_damaged(damage.segment_number);
    }
    // Beside damage they may be what is left of a message.
    let aside = (!replayed.damage.is_empty()).then(|| directory.join(QUARANTINE));
    report.orphan_bodies = remove_orphans(&directory, &index, aside.as_deref())?;
    writer.restore_ballast();
    report.replayed = replayed.records;
    report.torn_octets = replayed.torn_octets;
    report.damage = replayed.damage.into_iter().map(|damage| damage.damage).collect();
    let store = DiskStore {
        directory,
        disk,
        segments,
        ledger: Arc::clone(&writer.ledger),
        hot: Arc::clone(&writer.hot),
        index: Arc::clone(&index),
        _lock: lock,
    };
    let (last_id, pauses) = (index.last_id(), writer.pauses.clone());
    Ok(Opened { store: Arc::new(store), writer: Box::new(writer), report, last_id, pauses })
}

/// The ballast; given up where the disk has no room to start.
fn ballast_with_room_to_start(config: &QueueConfig, disk: &dyn Disk) -> Ballast {
    let mut ballast = Ballast::new(config.directory.join("ballast"), config.ballast_octets);
    // A disk that cannot be asked is not taken for a full one.
    if disk.free_octets(&config.directory).is_ok_and(|free| free < START_OCTETS_MIN) && ballast.release() {
        tracing::warn!("the disk is full: the ballast of the queue is given up for the start");
    }
    ballast
}

fn make_directories(directory: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::DirBuilderExt;

    // Mail is nobody else's business.
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    for path in [directory.to_owned(), directory.join(LOG), directory.join(BODIES), directory.join(QUARANTINE)] {
        builder.create(&path).map_err(at_path(&path))?;
    }
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(at_path(directory))
}

/// Opens sled; where it cannot be opened, or is not to be trusted, it is set aside and begun anew.
fn open_database(
    directory: &Path,
    rebuild: bool,
    report: &mut StartReport,
) -> Result<(Database, Option<MetaRow>), OpenError> {
    let path = directory.join(INDEX);
    let marked = directory.join(REBUILD_MARK).exists();
    if !rebuild && !marked {
        match Database::open(&path) {
            Ok(opened) => {
                // Without a row about itself it is new, or was lost: all of the log is read.
                report.rebuilt = opened.1.is_none() && has_segments(directory)?;
                return Ok(opened);
            }
            Err(DatabaseError::Damaged { path, reason }) => {
                tracing::error!(path = %path.display(), reason, "the index of the queue is damaged: it is made anew from the log");
            }
            Err(error) => return Err(database_error(error, directory)),
        }
    }
    report.rebuilt = true;
    report.index_set_aside = set_aside(directory, &path)?;
    // The mark stays until the new index is complete: a rebuild that is cut short is begun again.
    let mark = directory.join(REBUILD_MARK);
    std::fs::write(&mark, b"").map_err(at_path(&mark))?;
    Database::open(&path).map_err(|error| database_error(error, directory))
}

fn has_segments(directory: &Path) -> Result<bool, OpenError> {
    let log = directory.join(LOG);
    let numbers = Segments::new(log.clone()).numbers().map_err(at_path(&log))?;
    Ok(!numbers.is_empty())
}

/// Moves the index out of the way, under a name that is free.
fn set_aside(directory: &Path, path: &Path) -> Result<Option<PathBuf>, OpenError> {
    if !path.exists() {
        return Ok(None);
    }
    let names = (1..).map(|number| directory.join(format!("{INDEX}.aside.{number}")));
    let aside = names.into_iter().find(|name| !name.exists()).expect("there is always another number");
    std::fs::rename(path, &aside).map_err(at_path(path))?;
    Ok(Some(aside))
}

/// Replays what the index does not have yet.
fn bring_up_to_date(segments: &Segments, index: &Index, from: LogPosition) -> Result<Replayed, ReplayError> {
    replay(segments, from, &mut |group, end| {
        index.wait_for_room().map_err(|error| ReplayError::Index(Box::new(error)))?;
        let mut known = Vec::with_capacity(group.len());
        for record in group {
            known.push(index.message(record.head.id).map_err(|error| ReplayError::Index(Box::new(error)))?.is_some());
        }
        let mut result = Ok(());
        index.apply(end, group.len(), |layer| {
            result = group.iter().zip(known).try_for_each(|(record, known)| apply(record, known, layer));
        });
        result.map_err(decode_error)
    })
}

/// Counts what is alive.
fn count(segments: &Segments, index: &Index, ledger: &Ledger) -> Result<(), OpenError> {
    let log = segments.directory();
    for number in segments.numbers().map_err(at_path(log))? {
        let path = segments.path(number);
        let octets = std::fs::metadata(&path).map_err(at_path(&path))?.len();
        ledger.set_segment(number, octets);
    }
    let counted = index.each_message(&mut |row| {
        ledger.add(&row);
        ControlFlow::Continue(())
    });
    counted.map_err(read_error)
}

/// Removes body files that no message names, or puts them aside: of drafts that a crash cut short, and of messages that are
/// finished.
fn remove_orphans(directory: &Path, index: &Index, aside: Option<&Path>) -> Result<u64, OpenError> {
    let bodies = directory.join(BODIES);
    let mut removed = 0;
    for entry in std::fs::read_dir(&bodies).map_err(at_path(&bodies))? {
        let entry = entry.map_err(at_path(&bodies))?;
        let id: Option<MessageId> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let row = id.map(|id| index.message(id)).transpose().map_err(read_error)?.flatten();
        if row.is_none_or(|row| row.body != BodyPlace::File) {
            let path = entry.path();
            let moved = match aside {
                Some(aside) => std::fs::rename(&path, aside.join(entry.file_name())),
                None => std::fs::remove_file(&path),
            };
            moved.map_err(at_path(&path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn remove_if_there(path: &Path) -> Result<(), OpenError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at_path(path)(error)),
        _ => Ok(()),
    }
}

fn database_error(error: DatabaseError, directory: &Path) -> OpenError {
    match error {
        DatabaseError::Path { path, source } => OpenError::Path { path, source },
        DatabaseError::Newer { found, known } => {
            OpenError::NewerFormat { directory: directory.to_owned(), found, known }
        }
        error @ DatabaseError::Damaged { .. } => OpenError::Index { source: Box::new(error) },
    }
}

fn replay_error(error: ReplayError, directory: &Path) -> OpenError {
    match error {
        ReplayError::Read { path, source } => OpenError::Path { path, source },
        ReplayError::Newer { found, known } => OpenError::NewerFormat { directory: directory.to_owned(), found, known },
        error @ ReplayError::Index(_) => OpenError::Index { source: Box::new(error) },
    }
}

fn read_error(error: ReadError) -> OpenError {
    OpenError::Index { source: Box::new(error) }
}

fn flush_error(error: WriteError) -> OpenError {
    OpenError::Index { source: Box::new(error) }
}
