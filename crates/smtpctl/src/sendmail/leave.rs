//! A message left in the maildrop while the server is down.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use smtp_mail::maildrop::{DroppedEnvelope, UNFINISHED_SUFFIX};

use super::session::RECIPIENTS_MAX;

/// The server is another user and must read it. Nobody can find it, since the folder cannot be listed and the name cannot be
/// guessed.
const MODE: u32 = 0o644;

/// Leaves a message for the server: a file for each [`RECIPIENTS_MAX`] recipients, which it takes in one transaction unless it
/// is told to take fewer. When this returns it survives a power cut.
///
/// # Errors
/// The folder is not there or takes nothing: nothing is left then.
pub(super) fn leave(maildrop: &Path, envelope: &DroppedEnvelope, content: &[u8]) -> io::Result<()> {
    let mut files = Files::default();
    let left = files.leave(maildrop, envelope, content);
    if left.is_err() {
        files.remove();
    }
    left
}

/// The files of a message, none of which may be left alone.
#[derive(Default)]
struct Files {
    /// Of each the name while it is being written, then the name under which it is found.
    names: Vec<(PathBuf, PathBuf)>,
}

impl Files {
    fn leave(&mut self, maildrop: &Path, envelope: &DroppedEnvelope, content: &[u8]) -> io::Result<()> {
        let mut file = None;
        for recipients in envelope.recipients.chunks(RECIPIENTS_MAX) {
            let name = random_name()?;
            let unfinished = maildrop.join(format!("{name}{UNFINISHED_SUFFIX}"));
            self.names.push((unfinished.clone(), maildrop.join(name)));
            let envelope = DroppedEnvelope { recipients: recipients.to_vec(), ..envelope.clone() };
            file = Some(write(&unfinished, &envelope, content)?);
        }
        // Whatever fails for lack of room has failed by now.
        for (unfinished, finished) in &self.names {
            fs::rename(unfinished, finished)?;
        }
        match file {
            // The folder cannot be opened, so it cannot be synced alone.
            Some(file) => Ok(rustix::fs::syncfs(file)?),
            None => Ok(()),
        }
    }

    fn remove(&self) {
        for (unfinished, finished) in &self.names {
            // One of the two is there, or neither.
            let _ = fs::remove_file(unfinished);
            let _ = fs::remove_file(finished);
        }
    }
}

fn write(path: &Path, envelope: &DroppedEnvelope, content: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(envelope.encode().as_bytes())?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(file)
}

fn random_name() -> io::Result<String> {
    let mut octets = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(octets)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use smtp_mail::maildrop::Reports;

    use super::*;

    fn envelope() -> DroppedEnvelope {
        let recipients = smtp_mail::address_list::parse(b"root").unwrap();
        DroppedEnvelope { sender: None, full_name: None, recipients, reports: Reports::default() }
    }

    #[test]
    fn a_message_is_whole_and_readable_under_a_name_that_cannot_be_guessed() {
        let maildrop = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            leave(maildrop.path(), &envelope(), b"Subject: x\r\n").unwrap();
        }
        let files: Vec<_> = fs::read_dir(maildrop.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 2);
        for file in files {
            assert_eq!(file.file_name().len(), 32);
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, MODE);
            let text = fs::read_to_string(file.path()).unwrap();
            assert_eq!(text, "smtp-server-maildrop 1\nfrom:\nto:root\n\nSubject: x\r\n");
        }
    }

    #[test]
    fn each_hundred_recipients_have_a_file_of_their_own() {
        let maildrop = tempfile::tempdir().unwrap();
        let list: Vec<String> = (0..250).map(|number| format!("user{number}")).collect();
        let recipients = smtp_mail::address_list::parse(list.join(", ").as_bytes()).unwrap();
        leave(maildrop.path(), &DroppedEnvelope { recipients, ..envelope() }, b"Subject: x\r\n").unwrap();
        let mut counts = Vec::new();
        let mut found = Vec::new();
        for file in fs::read_dir(maildrop.path()).unwrap() {
            let octets = fs::read(file.unwrap().path()).unwrap();
            let (envelope, content) = DroppedEnvelope::parse(&octets).unwrap();
            assert_eq!(&octets[content..], b"Subject: x\r\n");
            counts.push(envelope.recipients.len());
            found.extend(envelope.recipients.iter().map(ToString::to_string));
        }
        counts.sort_unstable();
        found.sort_unstable_by_key(|name| name[4..].parse::<u32>().unwrap());
        assert_eq!((counts, found), (vec![50, 100, 100], list));
    }

    #[test]
    fn without_a_folder_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let error = leave(&directory.path().join("missing"), &envelope(), b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
