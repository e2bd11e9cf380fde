//! The command line as written.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use smtp_admin::Size;

mod units;

/// Asks and steers the mail server: what is in the queue, what is paused, what goes out now.
///
/// Every command may be cut to its shortest unambiguous beginning: `smtpctl sh q`.
#[derive(Debug, Parser)]
#[command(
    name = "smtpctl",
    version,
    infer_subcommands = true,
    after_help = "Called as `sendmail`, `mailq` or `newaliases`, by that name or as its first word, it is that program: \
                  see `smtpctl sendmail --help`.\n\n\
                  Exit codes: 0 done, 1 failed or nothing matched, 64 usage, 69 the server is not running, \
                  77 not permitted, 78 the configuration is wrong."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The configuration file of the server.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The admin socket, in place of the one that the configuration names.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the queue, a message, the state of the server.
    #[command(subcommand, infer_subcommands = true)]
    Show(Show),
    /// Make the next attempt due now.
    Schedule(OnQueue),
    /// Stop attempts, or the taking of mail, until resumed or for a time.
    #[command(subcommand, infer_subcommands = true)]
    Pause(Pause),
    /// Undo a pause.
    #[command(subcommand, infer_subcommands = true)]
    Resume(Resume),
    /// Delete from the queue; nobody gets a report.
    Remove(Remove),
    /// The same as `pause envelope`.
    Hold(PauseEnvelope),
    /// The same as `resume envelope`.
    Release(OnQueue),
    /// Check that the queue is whole.
    Check(Directory),
    /// Hash a password for the users file: with argon2id, and as keys for SCRAM-SHA-256.
    ///
    /// The password is asked for at a terminal, else read from standard input, to the end of the first line.
    Encrypt(Encrypt),
    /// Say what would become of mail to an address: whom it stands for, into which mailbox or to which next hop it goes, or
    /// why it is refused.
    Route {
        /// The address; without a domain it is one of this machine.
        address: String,
    },
    /// Make the index of the queue anew from its log. The server must be stopped.
    Rebuild(Directory),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Show {
    /// The queue, a line for each recipient, the oldest first; also with the server stopped.
    Queue(Box<Selectors>),
    /// Everything about a message's envelope, or about one recipient of it.
    Envelope {
        /// The id of a message or of a recipient.
        id: String,
    },
    /// The content of a message, octet for octet.
    Message {
        /// The id of a message or of a recipient.
        id: String,
        /// Only the header block.
        #[arg(long)]
        headers: bool,
    },
    /// What runs, what is paused, what is wrong, how much is in the queue.
    Status,
    /// Counters since the start.
    Stats,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Pause {
    /// Hold recipients in the queue.
    Envelope(PauseEnvelope),
    /// Deliver nothing to other servers, or nothing to one domain.
    Mta {
        #[command(subcommand)]
        domain: Option<OneDomain>,
        #[command(flatten)]
        pause: PauseFor,
    },
    /// Deliver nothing into mailboxes.
    Mda {
        #[command(flatten)]
        pause: PauseFor,
    },
    /// Take no mail in.
    Smtp {
        #[command(flatten)]
        pause: PauseFor,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Resume {
    /// Release recipients in the queue.
    Envelope(OnQueue),
    /// Deliver to other servers again, or to one domain.
    Mta {
        #[command(subcommand)]
        domain: Option<OneDomain>,
        #[command(flatten)]
        why: Why,
    },
    /// Deliver into mailboxes again.
    Mda {
        #[command(flatten)]
        why: Why,
    },
    /// Take mail in again.
    Smtp {
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum OneDomain {
    /// Only this domain.
    Domain {
        /// The domain of the recipients.
        domain: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OnQueue {
    #[command(flatten)]
    pub(crate) which: Box<Selectors>,
    #[command(flatten)]
    pub(crate) why: Why,
    /// Only say how many it would be.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PauseEnvelope {
    #[command(flatten)]
    pub(crate) on: OnQueue,
    /// End by itself after this time ("30m", "2h").
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration)]
    pub(crate) period: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    pub(crate) on: OnQueue,
    /// Do not ask; needed for `all` when nobody is at the terminal.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PauseFor {
    /// End by itself after this time ("30m", "2h").
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration, global = true)]
    pub(crate) period: Option<Duration>,
    #[command(flatten)]
    pub(crate) why: Why,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// Why; it goes to the log of the server and is shown with what is paused.
    #[arg(long, value_name = "TEXT", global = true)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Encrypt {
    /// The password; refused without `--insecure-argv`.
    pub(crate) password: Option<String>,
    /// Take the password from the command line, where every user of this machine can see it.
    #[arg(long)]
    pub(crate) insecure_argv: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Directory {
    /// The directory of the queue, in place of the one that the configuration names.
    pub(crate) directory: Option<PathBuf>,
}

/// Which recipients are meant: those to which everything that is given applies.
#[derive(Debug, Default, Args)]
pub(crate) struct Selectors {
    /// Ids of messages or recipients, or `all`.
    #[arg(value_name = "ID|all")]
    pub(crate) targets: Vec<String>,
    /// An id; `-` reads ids from standard input.
    #[arg(long, value_name = "ID")]
    pub(crate) id: Vec<String>,
    /// The reverse-path; "<>" is the null one, "@example.com" any at that domain.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) sender: Option<String>,
    /// The forward-path; "@example.com" any at that domain.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) rcpt: Option<String>,
    /// The domain of the forward-path: "example.com", or "*.example.com".
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// The lane: "local", a domain, or a next hop (`smtp://10.0.0.5:25`).
    #[arg(long, value_name = "LANE")]
    pub(crate) relay: Option<String>,
    /// In the queue for at least this time ("30m", "2d").
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub(crate) older: Option<Duration>,
    /// In the queue for at most this time.
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub(crate) younger: Option<Duration>,
    /// The size of the message: "1MiB" or "+1MiB" for at least, "-10KiB" for at most.
    #[arg(long, value_parser = units::size, allow_hyphen_values = true)]
    pub(crate) size: Option<Size>,
    /// A regular expression for the text of the last reply or error.
    #[arg(long, value_name = "REGEX")]
    pub(crate) error: Option<String>,
    /// Only what is held; `--held=no`: only what is not.
    #[arg(long, value_name = "YES|NO", num_args = 0..=1, require_equals = true, default_missing_value = "yes",
          value_parser = units::yes_or_no)]
    pub(crate) held: Option<bool>,
    /// At most so many, the oldest first.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[cfg(test)]
mod tests;
