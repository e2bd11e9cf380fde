//! A message left in the maildrop while the server is down.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use smtp_mail::maildrop::{DroppedEnvelope, UNFINISHED_SUFFIX};

/// The server is another user and must read it. Nobody can find it, since the folder cannot be listed and the name cannot be
/// guessed.
const MODE: u32 = 0o644;

/// Leaves a message for the server. When this returns it survives a power cut.
///
/// # Errors
/// The folder is not there or takes nothing: nothing is left then.
pub(super) fn leave(maildrop: &Path, envelope: &DroppedEnvelope, content: &[u8]) -> io::Result<()> {
    let name = random_name()?;
    let (finished, unfinished) = (maildrop.join(&name), maildrop.join(format!("{name}{UNFINISHED_SUFFIX}")));
    let left = write(&unfinished, envelope, content).and_then(|file| {
        fs::rename(&unfinished, &finished)?;
        // The folder cannot be opened, so it cannot be synced alone.
        Ok(rustix::fs::syncfs(file)?)
    });
    if left.is_err() {
        // One of the two is there, or neither.
        let _ = fs::remove_file(&unfinished);
        let _ = fs::remove_file(&finished);
    }
    left
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
    fn without_a_folder_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let error = leave(&directory.path().join("missing"), &envelope(), b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
