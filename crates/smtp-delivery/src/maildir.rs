//! Final delivery into Maildirs: one file a message, written in `tmp`, made durable, moved to `new`.
//!
//! The octets are those received, CRLF and all, under Return-Path and Delivered-To. What is reported as delivered
//! survives a power cut. Several messages can be delivered in one call: what can be waited for together is.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use smtp_mail::header::HeaderBlock;
use smtp_mail::{Attempt, AttemptRecipient, Content, DeliveryResult, LocalUser, Outcome, Report, Stage, trace};
use smtp_proto::{Domain, EnhancedStatus};

use self::error::{Doing, MailboxError};
use self::mailbox::{Mailbox, Sync, TmpFile};
use self::name::UniqueNames;
pub use self::template::{MaildirTemplate, TemplateError};
use self::together::Together;

mod error;
mod mailbox;
mod name;
mod template;
mod together;

/// What is read from the queue, and written into a file, in one piece.
const CHUNK_OCTETS: usize = 256 * 1024;

/// So many files are open at the same time in one call.
const FILES_MAX: usize = 32;

/// Where the Maildirs are.
#[derive(Debug, Clone)]
pub struct MaildirConfig {
    /// The path of a user's Maildir.
    pub template: MaildirTemplate,
    /// The host name that becomes part of file names.
    pub hostname: String,
    /// The users, and what `{domain}` stands for in the path of each: the domain of the first address. Mail for anybody
    /// else fails: it was accepted before the user was taken away.
    pub users: HashMap<LocalUser, Domain>,
}

/// The Maildirs of this host. Shared by reference; its calls block, and so belong where blocking is allowed.
#[derive(Debug)]
pub struct Maildirs {
    config: MaildirConfig,
    names: UniqueNames,
    together: Together,
}

/// One message for one recipient: one file.
#[derive(Clone, Copy)]
struct MessageCopy<'a> {
    attempt: &'a Attempt,
    recipient: &'a AttemptRecipient,
}

impl Maildirs {
    /// Maildirs where the configuration says.
    pub fn new(config: MaildirConfig) -> Self {
        let names = UniqueNames::new(&config.hostname);
        Self { config, names, together: Together::default() }
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        self.config.users.len()
    }

    /// The Maildir of a user; it need not exist. `None`: there is no such user.
    ///
    /// # Errors
    /// The name of the user cannot be part of a path.
    pub fn path_of(&self, user: &LocalUser) -> Result<Option<PathBuf>, TemplateError> {
        let place = self.config.users.get(user).map(|domain| self.config.template.expand(user, domain));
        place.map(|place| place.map(|place| place.path())).transpose()
    }

    /// Delivers messages into the mailboxes of their recipients: an outcome for each recipient of each attempt, in
    /// their order. A recipient that fails does not keep another from being delivered. Blocks until all is durable.
    pub fn deliver(&self, attempts: &[&Attempt]) -> Vec<Vec<Outcome>> {
        let copies: Vec<_> = attempts
            .iter()
            .flat_map(|attempt| attempt.recipients.iter().map(move |recipient| MessageCopy { attempt, recipient }))
            .collect();
        let mut results = copies.chunks(FILES_MAX).flat_map(|some| self.deliver_some(some));
        let mut outcomes = |attempt: &&Attempt| {
            let outcome = |(recipient, result): (&AttemptRecipient, _)| Outcome::new(recipient.number, result);
            attempt.recipients.iter().zip(results.by_ref()).map(outcome).collect()
        };
        attempts.iter().map(&mut outcomes).collect()
    }

    /// Writes all, then makes all durable, then moves all, and waits for each directory once: so the disk is waited for
    /// twice, however many there are.
    fn deliver_some(&self, copies: &[MessageCopy<'_>]) -> Vec<DeliveryResult> {
        let mut mailboxes = HashMap::new();
        for user in copies.iter().filter_map(|copy| copy.recipient.user.as_ref()) {
            if let Some(domain) = self.config.users.get(user) {
                mailboxes.entry(user).or_insert_with(|| self.open(user, domain));
            }
        }
        let written: Vec<_> = copies.iter().map(|copy| self.write(&mailboxes, *copy)).collect();
        written.iter().flatten().for_each(TmpFile::begin_sync);
        let waits = written.iter().flatten().map(TmpFile::sync).collect();
        let mut synced = self.together.run(waits, Sync::wait).into_iter();
        let mut durable = || synced.next().expect("each file was waited for");
        let moved: Vec<_> = written.into_iter().map(|file| file?.synced(durable())?.move_to_new()).collect();
        // After an error here the file stays in `new`, since it may have been seen there: the message may come twice,
        // and is not lost.
        let touched: BTreeMap<_, _> = moved.iter().flatten().map(|mailbox| (mailbox.path(), *mailbox)).collect();
        let synced = self.together.run(touched.values().map(|mailbox| mailbox.new_sync()).collect(), Sync::wait);
        let durable = touched.iter().zip(synced).map(|((path, mailbox), synced)| (*path, mailbox.synced(synced)));
        let durable: BTreeMap<_, _> = durable.collect();
        let settled = moved.into_iter().map(|mailbox| durable[mailbox?.path()].clone());
        settled.zip(copies).map(|(settled, copy)| result(&settled, copy.recipient)).collect()
    }

    fn open(&self, user: &LocalUser, domain: &Domain) -> Result<Mailbox, MailboxError> {
        let place = self.config.template.expand(user, domain).map_err(MailboxError::Name)?;
        Mailbox::open(&place)
    }

    fn write<'a>(
        &self,
        mailboxes: &'a HashMap<&LocalUser, Result<Mailbox, MailboxError>>,
        MessageCopy { attempt, recipient }: MessageCopy<'_>,
    ) -> Result<TmpFile<'a>, MailboxError> {
        let path = &recipient.rcpt.forward_path;
        if trace::was_delivered_to(&HeaderBlock::from_bytes(attempt.content.header().clone()), path) {
            return Err(MailboxError::Loop(path.clone()));
        }
        let mailbox = recipient.user.as_ref().and_then(|user| mailboxes.get(user));
        let mailbox = mailbox.ok_or_else(|| MailboxError::NoMailbox(path.clone()))?.as_ref().map_err(Clone::clone)?;
        let fields = trace::return_path(&attempt.mail.reverse_path) + &trace::delivered_to(path);
        let octets = fields.len() as u64 + attempt.content.octets();
        let file = mailbox.create(self.names.next(SystemTime::now(), octets))?;
        match write_content(&file.file, fields, &attempt.content) {
            Ok(()) => Ok(file),
            Err((doing, source)) => Err(file.error(doing, source)),
        }
    }
}

/// Writes the fields and the content; a message of ordinary size in one write.
fn write_content(mut file: &File, fields: String, content: &Content) -> Result<(), (Doing, std::io::Error)> {
    let mut buffer = fields.into_bytes();
    let mut position = 0;
    loop {
        let chunk = content.chunk(position, CHUNK_OCTETS).map_err(|error| (Doing::ReadQueue, error))?;
        if chunk.is_empty() {
            return file.write_all(&buffer).map_err(|error| (Doing::Write, error));
        }
        position += chunk.len() as u64;
        if buffer.len() + chunk.len() <= CHUNK_OCTETS {
            buffer.extend_from_slice(&chunk);
            continue;
        }
        file.write_all(&buffer).and_then(|()| file.write_all(&chunk)).map_err(|error| (Doing::Write, error))?;
        buffer.clear();
    }
}

fn result(settled: &Result<(), MailboxError>, recipient: &AttemptRecipient) -> DeliveryResult {
    let report = match settled {
        Ok(()) => {
            let user = recipient.user.as_ref().map_or("", LocalUser::as_str);
            Report::new(EnhancedStatus::new(2, 0, 0), &format!("delivered to the mailbox of {user}"))
        }
        Err(error) => error.to_report(),
    };
    DeliveryResult::of(report.at_stage(Stage::Mailbox))
}

#[cfg(test)]
mod tests;
