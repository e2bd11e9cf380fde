//! The demo's tour: three messages from alice, and what becomes of them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use smtp_client::{Client, ClientSettings, ClientTls, Host, NextHop, TlsMode, TlsStart};
use smtp_mail::{Attempt, AttemptRecipient, Body, Content, DeliveryResult, MessageId};
use smtp_proto::{ContentFacts, ForwardPath, Mail, Protocol, Rcpt};
use tokio::sync::broadcast::Receiver;

use super::files::{Addresses, Directory};
use super::page::{End, Story};
use crate::metrics::AttemptResult;
use crate::shared::Attempted;

/// The three local parts, with their domains.
const RECIPIENTS: [(&str, &str); 3] = [("bob", "demo.test"), ("later", "away.test"), ("nobody", "away.test")];
/// The whole tour takes about two seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends the three messages as alice, over STARTTLS with the demo's own authority. Says how the session was protected.
pub(super) async fn send(directory: &Directory, addresses: &Addresses) -> Result<String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(directory.authority())? {
        roots.add(certificate?)?;
    }
    let settings = ClientSettings::new("alice.demo.test".parse()?, ClientTls::new(roots));
    let address = *addresses.submission.first().context("there is no submission listener")?;
    let terms = TlsMode::Verify(TlsStart::StartTls);
    let next_hop = NextHop::new(Host::Name("localhost".to_owned()), address.port(), Protocol::Smtp, terms);
    let mut client = Client::connect(&next_hop, &[address], &Arc::new(settings)).await?;
    let protection = client.tls().unwrap_or("in the clear").to_owned();
    for (local_part, domain) in RECIPIENTS {
        for outcome in client.deliver(&message(local_part, domain)?).await? {
            if let DeliveryResult::Deferred(report) | DeliveryResult::Failed(report) = outcome.result {
                bail!("the message for {local_part}@{domain} was not taken: {report}");
            }
        }
    }
    client.quit().await;
    Ok(format!("STARTTLS, {protection}"))
}

fn message(local_part: &str, domain: &str) -> Result<Attempt> {
    let header = format!(
        "From: Alice <alice@demo.test>\r\nTo: <{local_part}@{domain}>\r\nSubject: A message for {local_part}\r\n\r\n"
    );
    let body = "This is one of the three messages that the demo sends.\r\n";
    let facts = ContentFacts::of(format!("{header}{body}").as_bytes());
    let forward_path: ForwardPath = format!("<{local_part}@{domain}>").parse()?;
    Ok(Attempt {
        id: MessageId::from_raw(1),
        mail: Mail::new("<alice@demo.test>".parse()?),
        recipients: vec![AttemptRecipient { number: 1, rcpt: Rcpt::new(forward_path), original: None, user: None }],
        content: Content::new(header.into(), Body::Memory(body.into())),
        facts,
        received_at: SystemTime::now(),
    })
}

/// Follows the messages until each has come to its end.
pub(super) async fn follow(directory: &Directory, attempts: Receiver<Arc<Attempted>>) -> Result<Vec<Story>> {
    let mut stories = RECIPIENTS.map(|(to, _)| Story { to, ..Story::default() });
    match tokio::time::timeout(PATIENCE, follow_all(directory, attempts, &mut stories)).await {
        Ok(Ok(())) => Ok(stories.into()),
        Ok(Err(error)) => Err(error),
        Err(_) => bail!("after {} s not every message has come to its end: {stories:?}", PATIENCE.as_secs()),
    }
}

async fn follow_all(
    directory: &Directory,
    mut attempts: Receiver<Arc<Attempted>>,
    stories: &mut [Story],
) -> Result<()> {
    let mut bounced: HashMap<&str, String> = HashMap::new();
    while stories.iter().any(|story| story.end.is_none()) {
        let attempted = attempts.recv().await.context("the server has stopped")?;
        let to = attempted.forward_path.to_string();
        if to.starts_with("<alice@") {
            // The only mail for alice is the report.
            if attempted.result == AttemptResult::Delivered
                && let Some((&to, said)) = bounced.iter().next()
            {
                let file = only_file(&directory.maildir("alice"))?;
                let said = said.clone();
                set_end(stories, to, End::Bounced { said, file });
            }
            continue;
        }
        let Some(story) = stories.iter_mut().find(|story| to.starts_with(&format!("<{}@", story.to))) else { continue };
        match attempted.result {
            AttemptResult::Delivered => {
                let file = (story.to == "bob").then(|| only_file(&directory.maildir("bob"))).transpose()?;
                story.end = Some(End::Delivered { after: attempted.age, attempts: attempted.attempts, file });
            }
            AttemptResult::Deferred => story.deferrals.push(attempted.report.text().to_owned()),
            AttemptResult::Failed | AttemptResult::Expired => {
                bounced.insert(story.to, attempted.report.text().to_owned());
            }
        }
    }
    Ok(())
}

fn set_end(stories: &mut [Story], to: &str, end: End) {
    if let Some(story) = stories.iter_mut().find(|story| story.to == to) {
        story.end = Some(end);
    }
}

/// The one message that a fresh Maildir has.
fn only_file(maildir: &Path) -> Result<PathBuf> {
    let new = maildir.join("new");
    let entry = fs::read_dir(&new).ok().and_then(|mut entries| entries.next()).transpose()?;
    Ok(entry.with_context(|| format!("{} has no message", new.display()))?.path())
}
