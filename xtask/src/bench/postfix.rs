//! Debian's Postfix as installed, in a configuration and queue folder of its own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::dovecot::Dovecot;
use super::secure::Secure;
use super::server::Place;
use crate::process;

/// The user that owns the mailbox. Postfix delivers as nobody less than user 100.
const MAILBOX_OWNER: u32 = 65_534;
/// What Debian copies for the processes that run below the queue folder.
const FILES_OF_CHROOT: &[&str] = &["localtime", "services", "resolv.conf", "hosts", "host.conf", "nsswitch.conf"];

/// Starts it, and who it asks for passwords; the command returned stops it.
///
/// # Errors
/// When Postfix is not installed, or we are not root.
pub(super) fn start(place: &Place) -> Result<(Child, Command, Option<Dovecot>)> {
    let configuration = place.make("etc")?;
    let queue = place.make("queue")?;
    let data = place.make("data")?;
    let mail = place.make("mail")?;
    copy_folder(Path::new("/etc/postfix"), &configuration)?;
    chown(&data, Some(postfix_user()?), None).context("Postfix is started by root only")?;
    chown(&mail, Some(MAILBOX_OWNER), None)?;
    copy_for_chroot(&queue)?;
    let folder = |path: &Path| path.display().to_string();
    set(
        &configuration,
        &[
            ("queue_directory", folder(&queue)),
            ("data_directory", folder(&data)),
            ("inet_interfaces", "127.0.0.1".into()),
            ("inet_protocols", "ipv4".into()),
            ("myhostname", "postfix.bench.test".into()),
            ("mydestination", "localhost".into()),
            ("mynetworks", "127.0.0.0/8".into()),
            ("virtual_mailbox_domains", "bench.test".into()),
            ("virtual_mailbox_base", folder(&mail)),
            ("virtual_mailbox_maps", "static:user/".into()),
            ("virtual_uid_maps", format!("static:{MAILBOX_OWNER}")),
            ("virtual_gid_maps", format!("static:{MAILBOX_OWNER}")),
            ("relayhost", format!("[{}]:{}", place.sink.ip(), place.sink.port())),
            // The measurements are in the clear on both sides.
            ("smtpd_tls_security_level", "none".into()),
            ("smtp_tls_security_level", "none".into()),
        ],
    )?;
    listen_on(&configuration, place)?;
    let log = place.log()?;
    let passwords =
        place.secure.as_ref().map(|secure| secure_port(place, &configuration, &queue, secure)).transpose()?;
    let mut start = postfix(&configuration, "start-fg");
    let child = start.stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn();
    Ok((child.context("cannot start postfix")?, postfix(&configuration, "stop"), passwords))
}

/// One more port, with TLS and log-in, as in Debian's example for submission.
fn secure_port(place: &Place, configuration: &Path, queue: &Path, secure: &Secure) -> Result<Dovecot> {
    set(
        configuration,
        &[
            ("smtpd_tls_cert_file", secure.certificate.display().to_string()),
            ("smtpd_tls_key_file", secure.key.display().to_string()),
            ("smtpd_sasl_type", "dovecot".into()),
            ("smtpd_sasl_path", "private/auth".into()),
        ],
    )?;
    let mut master = fs::OpenOptions::new().append(true).open(configuration.join("master.cf"))?;
    writeln!(
        master,
        "{} inet n - y - - smtpd\n  -o smtpd_tls_security_level=encrypt\n  -o smtpd_sasl_auth_enable=yes",
        secure.address
    )?;
    let private = queue.join("private");
    fs::create_dir_all(&private)?;
    chown(&private, Some(postfix_user()?), None)?;
    Dovecot::start(place, &private.join("auth"), &secure.password_hash)
}

fn postfix(configuration: &Path, act: &str) -> Command {
    let mut command = Command::new("/usr/sbin/postfix");
    command.arg("-c").arg(configuration).arg(act);
    command
}

fn set(configuration: &Path, values: &[(&str, String)]) -> Result<()> {
    let mut command = Command::new("/usr/sbin/postconf");
    command.arg("-c").arg(configuration).arg("-e");
    command.args(values.iter().map(|(name, value)| format!("{name}={value}")));
    process::output(&mut command).map(drop)
}

/// Moves the SMTP service from port 25 to the place's own.
fn listen_on(configuration: &Path, place: &Place) -> Result<()> {
    let path = configuration.join("master.cf");
    let text = fs::read_to_string(&path)?;
    let moved = text.lines().map(|line| match line.strip_prefix("smtp ") {
        Some(rest) if rest.trim_start().starts_with("inet") => format!("{} {rest}\n", place.address),
        _ => format!("{line}\n"),
    });
    Ok(fs::write(&path, moved.collect::<String>())?)
}

fn postfix_user() -> Result<u32> {
    let id = process::output(Command::new("id").args(["-u", "postfix"]))?;
    id.trim().parse().context("`id -u postfix` did not print a number")
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    copy.arg("--recursive").arg(from.join(".")).arg(to);
    process::output(&mut copy).map(drop)
}

fn copy_for_chroot(queue: &Path) -> Result<()> {
    let etc = queue.join("etc");
    fs::create_dir_all(&etc)?;
    for name in FILES_OF_CHROOT {
        let from = Path::new("/etc").join(name);
        if from.try_exists()? {
            fs::copy(&from, etc.join(name))?;
        }
    }
    Ok(())
}
