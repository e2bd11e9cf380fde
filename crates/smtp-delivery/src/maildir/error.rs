//! Why a message did not get into a mailbox, in words that say what to do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;
use smtp_mail::Report;
use smtp_proto::{EnhancedStatus, ForwardPath};

use super::template::TemplateError;

/// What was being done when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    OpenBase,
    OpenDirectory,
    MakeDirectory,
    Create,
    Write,
    Sync,
    Move,
    ReadQueue,
}

impl Doing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::OpenBase | Self::OpenDirectory => "open",
            Self::MakeDirectory => "make",
            Self::Create => "create a file in",
            Self::Write => "write into",
            Self::Sync => "make durable",
            Self::Move => "move a file to new in",
            Self::ReadQueue => "read the queued message for",
        }
    }
}

/// Why a message did not get into a mailbox. What the machine is to blame for may pass, and so is a deferral.
#[derive(Debug, Clone)]
pub(super) enum MailboxError {
    /// The attempt names no mailbox here.
    NoMailbox(ForwardPath),
    /// It has been here before.
    Loop(ForwardPath),
    Name(TemplateError),
    Io {
        doing: Doing,
        path: PathBuf,
        source: Arc<io::Error>,
    },
}

impl MailboxError {
    pub(super) fn to_report(&self) -> Report {
        let (status, text) = match self {
            Self::NoMailbox(path) => (EnhancedStatus::new(5, 1, 1), format!("{path} is no mailbox of this host")),
            Self::Loop(path) => {
                (EnhancedStatus::new(5, 4, 6), format!("mail loop: it has been delivered to {path} before"))
            }
            Self::Name(error) => (EnhancedStatus::new(4, 3, 5), error.to_string()),
            Self::Io { doing, path, source } => describe(*doing, &path.display().to_string(), source),
        };
        Report::new(status, &text)
    }
}

fn describe(doing: Doing, path: &str, source: &io::Error) -> (EnhancedStatus, String) {
    let system = EnhancedStatus::new(4, 3, 0);
    let configuration = EnhancedStatus::new(4, 3, 5);
    let verb = doing.as_str();
    match Errno::from_io_error(source) {
        _ if doing == Doing::ReadQueue => (system, format!("cannot {verb} {path}: {source}; run smtpctl check")),
        Some(Errno::NOSPC) => {
            (EnhancedStatus::new(4, 3, 1), format!("no room on the file system of {path}: make room there"))
        }
        Some(Errno::DQUOT) => (
            EnhancedStatus::new(4, 2, 2),
            format!("the disk quota at {path} is used up: raise it, or remove mail from the mailbox"),
        ),
        Some(Errno::ROFS) => (system, format!("the file system of {path} is read-only: mount it writable")),
        Some(Errno::ACCESS | Errno::PERM) => {
            (system, format!("no permission to {verb} {path}: give it to the user as whom the server runs"))
        }
        Some(Errno::IO) => (system, format!("cannot {verb} {path}: the disk has failed; see the log of the kernel")),
        Some(Errno::MFILE | Errno::NFILE) => (system, "too many open files: raise LimitNOFILE".to_owned()),
        Some(Errno::LOOP | Errno::NOTDIR) => (
            configuration,
            format!("{path} is a symbolic link, or no directory: put a directory in its place, or correct the path"),
        ),
        Some(Errno::NOENT) if doing == Doing::OpenBase => {
            (configuration, format!("{path} does not exist: make the directory, or correct local.deliver.maildir"))
        }
        _ => (system, format!("cannot {verb} {path}: {source}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(doing: Doing, errno: Errno) -> (String, String) {
        let source = Arc::new(errno.into());
        let report = MailboxError::Io { doing, path: "/var/mail/alice".into(), source }.to_report();
        (report.status.to_string(), report.text().to_owned())
    }

    #[test]
    fn every_error_of_the_disk_is_a_deferral_that_says_what_to_do() {
        for (doing, errno, status, words) in [
            (Doing::Write, Errno::NOSPC, "4.3.1", "make room"),
            (Doing::Write, Errno::DQUOT, "4.2.2", "raise it"),
            (Doing::Sync, Errno::IO, "4.3.0", "log of the kernel"),
            (Doing::Create, Errno::ROFS, "4.3.0", "mount it writable"),
            (Doing::Create, Errno::ACCESS, "4.3.0", "create a file in /var/mail/alice: give it"),
            (Doing::MakeDirectory, Errno::PERM, "4.3.0", "no permission to make"),
            (Doing::OpenDirectory, Errno::LOOP, "4.3.5", "symbolic link"),
            (Doing::OpenBase, Errno::NOENT, "4.3.5", "local.deliver.maildir"),
            (Doing::OpenDirectory, Errno::MFILE, "4.3.0", "LimitNOFILE"),
            (Doing::ReadQueue, Errno::IO, "4.3.0", "smtpctl check"),
            (Doing::Move, Errno::STALE, "4.3.0", "cannot move a file to new in /var/mail/alice"),
        ] {
            let (found, text) = report(doing, errno);
            assert_eq!(found, status, "{text}");
            assert!(text.contains(words), "{text}");
        }
    }
}
