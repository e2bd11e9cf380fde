//! What the demo prints: a page that explains itself, not a log.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::time::Duration;

use super::files::{Addresses, Directory};

/// What became of one of the demo's messages.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Whom it was for: the local part.
    pub(super) to: &'static str,
    /// How often it was put off, and what was said.
    pub(super) deferrals: Vec<String>,
    /// How it ended.
    pub(super) end: Option<End>,
}

/// How a message ended.
#[derive(Debug)]
pub(super) enum End {
    /// It was delivered.
    Delivered {
        /// Time since it was received.
        after: Duration,
        /// How many attempts it took.
        attempts: u32,
        /// Where it lies, if that is a mailbox here.
        file: Option<PathBuf>,
    },
    /// It was refused for good, and its sender has the report.
    Bounced {
        /// What the other server said.
        said: String,
        /// The report.
        file: PathBuf,
    },
}

/// Everything that is shown.
pub(super) struct Page<'a> {
    pub(super) directory: &'a Directory,
    pub(super) addresses: &'a Addresses,
    /// How the three messages were sent: "STARTTLS TLSv1.3".
    pub(super) sent_by: &'a str,
    pub(super) stories: &'a [Story],
    /// How smtpctl is called from the user's shell.
    pub(super) smtpctl: &'a str,
    /// What comes after the page.
    pub(super) then: Then,
}

/// What comes after the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The demo ends.
    End,
    /// The server stays up, to be tried; in the end the directory is kept, or goes.
    Stay {
        /// It is kept.
        keep: bool,
    },
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n smtp-server demo            sealed: nothing leaves this computer\n")?;
        let first =
            |addresses: &[std::net::SocketAddr]| addresses.first().map_or_else(String::new, ToString::to_string);
        writeln!(f, " SMTP     {:<18} mail for alice and bob @demo.test", first(&self.addresses.smtp))?;
        writeln!(
            f,
            " SUBMIT   {:<18} STARTTLS, mail for anybody   (CA: {})",
            first(&self.addresses.submission),
            self.directory.authority().display()
        )?;
        writeln!(f, " SUBMITS  {:<18} the same with TLS from the first octet", first(&self.addresses.submissions))?;
        writeln!(f, "\n alice has sent three messages ({}):\n", self.sent_by)?;
        for (number, story) in (1..).zip(self.stories) {
            write_story(f, number, story)?;
        }
        match self.then {
            Then::End => writeln!(f, "\n All went as it should. Without --check the server stays up, to be tried."),
            Then::Stay { keep } => self.write_commands(f, keep),
        }
    }
}

impl Page<'_> {
    fn write_commands(&self, f: &mut fmt::Formatter<'_>, keep: bool) -> fmt::Result {
        let configuration = self.directory.configuration();
        let smtp = self.addresses.smtp.first().map_or_else(String::new, ToString::to_string);
        writeln!(f, "\n try, in another terminal:\n")?;
        writeln!(f, "   {} --config {} show status", self.smtpctl, configuration.display())?;
        writeln!(f, "   {} --config {} show queue", self.smtpctl, configuration.display())?;
        writeln!(
            f,
            "   printf 'Subject: hello\\r\\n\\r\\nfrom me\\r\\n' | curl -sS smtp://{smtp} --mail-from you@demo.test \
             --mail-rcpt bob@demo.test -T -"
        )?;
        writeln!(f, "   ls {}", self.directory.maildir("bob").join("new").display())?;
        if keep {
            writeln!(f, "\n Ctrl-C stops; {} is kept.", self.directory.path().display())
        } else {
            writeln!(f, "\n Ctrl-C stops and removes {} (--keep leaves it).", self.directory.path().display())
        }
    }
}

fn write_story(f: &mut fmt::Formatter<'_>, number: usize, story: &Story) -> fmt::Result {
    write!(f, " {number}  alice -> {:<7}", story.to)?;
    if let Some(said) = story.deferrals.last() {
        write!(f, " put off {} times ({said}), then", story.deferrals.len())?;
    }
    match &story.end {
        None => writeln!(f, " still on its way"),
        Some(End::Delivered { after, attempts, file }) => {
            write!(f, " delivered in {}", Seconds(*after))?;
            if *attempts > 1 {
                write!(f, " by attempt {attempts}")?;
            }
            match file {
                Some(file) => writeln!(f, "\n                      {}", file.display()),
                None => writeln!(f),
            }
        }
        Some(End::Bounced { said, file }) => {
            writeln!(f, " bounced ({said}); the report is in alice's Maildir")?;
            writeln!(f, "                      {}", file.display())
        }
    }
}

struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < Duration::from_secs(1) {
            write!(f, "{} ms", self.0.as_millis())
        } else {
            write!(f, "{:.1} s", self.0.as_secs_f64())
        }
    }
}
