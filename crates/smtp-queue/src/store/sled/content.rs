//! Reading header block and body of a message, and seeing that they are what was written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use smtp_mail::{Body, Content};

use super::log::{LogPosition, Segments};
use super::record::{HEAD_OCTETS, RecordHead};
use crate::body::body_path;
use crate::row::{BodyPlace, MessageRow};
use crate::store::ContentError;

/// A body of up to this length is read into memory; a longer one is left where it lies once it has been looked through.
const READ_OCTETS_MAX: usize = 64 << 10;

/// Reads the content of a message that lies in the log, its body perhaps in `bodies`.
pub(super) fn read(segments: &Segments, bodies: &std::path::Path, row: &MessageRow) -> Result<Content, ContentError> {
    let path = segments.path(row.place.segment);
    let damaged = || ContentError::Damaged { place: format!("{} at {}", path.display(), row.place.offset) };
    if row.body == BodyPlace::Quarantine {
        return Err(ContentError::Damaged { place: "it is in quarantine".to_owned() });
    }
    let at_path = |source: io::Error| read_error(source, path.clone());
    let file = segments.file(row.place.segment).map_err(at_path)?;
    let in_log = if row.body == BodyPlace::Log { row.body_octets } else { 0 };
    let kept = if in_log <= READ_OCTETS_MAX as u64 { in_log } else { 0 };
    let meta_octets = row.place.meta_octets as usize;
    let header_octets = row.header_octets as usize;
    let first_octets = HEAD_OCTETS + meta_octets + header_octets + usize::try_from(kept).map_err(|_| damaged())?;
    let mut octets = BytesMut::zeroed(first_octets);
    file.read_exact_at(&mut octets, u64::from(row.place.offset)).map_err(at_path)?;
    let head = decode_head(&octets, row).ok_or_else(damaged)?;
    let fits = head.id == row.id
        && head.meta_octets == row.place.meta_octets
        && head.header_octets == row.header_octets
        && u64::from(head.body_octets) == in_log;
    if !fits {
        return Err(damaged());
    }
    let mut content = octets.split_off(HEAD_OCTETS + meta_octets).freeze();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&content);
    let body_offset = u64::from(row.place.offset) + first_octets as u64;
    if kept < in_log {
        add_file(&mut sum, &file, body_offset, in_log).map_err(at_path)?;
    }
    if sum.finalize() != head.content_crc {
        return Err(damaged());
    }
    let header = content.split_to(header_octets);
    let body = match row.body {
        BodyPlace::File => open_body(body_path(bodies, row.id), row.body_octets)?,
        _ if kept < in_log => Body::File { file, offset: body_offset, octets: in_log },
        _ => Body::Memory(content),
    };
    Ok(Content::new(header, body))
}

fn decode_head(octets: &[u8], row: &MessageRow) -> Option<RecordHead> {
    let head = octets.first_chunk::<HEAD_OCTETS>()?;
    RecordHead::decode(head, LogPosition::new(row.place.segment, row.place.offset)).ok()
}

fn open_body(path: PathBuf, octets: u64) -> Result<Body, ContentError> {
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(source) => return Err(read_error(source, path)),
    };
    match file.metadata() {
        Ok(facts) if facts.len() == octets => Ok(Body::File { file: Arc::new(file), offset: 0, octets }),
        Ok(facts) => {
            let place = format!("{} has {} octets of {octets}", path.display(), facts.len());
            Err(ContentError::Damaged { place })
        }
        Err(source) => Err(ContentError::Read { path, source }),
    }
}

/// A file that is missing or too short does not come back; all other errors may pass.
fn read_error(source: io::Error, path: PathBuf) -> ContentError {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => {
            ContentError::Damaged { place: format!("{}: {source}", path.display()) }
        }
        _ => ContentError::Read { path, source },
    }
}

fn add_file(sum: &mut crc32fast::Hasher, file: &File, offset: u64, octets: u64) -> io::Result<()> {
    let mut piece = vec![0; READ_OCTETS_MAX];
    let mut done = 0;
    while done < octets {
        let now = usize::try_from(octets - done).unwrap_or(usize::MAX).min(READ_OCTETS_MAX);
        let piece = &mut piece[..now];
        file.read_exact_at(piece, offset + done)?;
        sum.update(piece);
        done += now as u64;
    }
    Ok(())
}
