//! `-bv`: where mail to an address would go, or why it is refused.
//!
//! The admin socket tells all of it, to those who may use it. Others learn by the submit socket whether the server takes the
//! address: a transaction with it is begun and given up.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use smtp_admin::{AddressRoute, Client, ClientError, RouteRefusal, RouteRequest};
use smtp_mail::address_list::Address;
use smtp_proto::client::Stage;
use smtp_proto::{
    Command, ForwardPath, Hello, HelloKind, Limits, Mail, Mailbox, Rcpt, RemoteReply, ReplyClass, ReplyReader,
    ReversePath,
};

use super::exit::{Exit, code};
use super::session::{Refusals, exit_code, greeted_by};
use super::{print, submission};
use crate::args::Global;
use crate::failure::Failure;
use crate::place::Place;
use crate::render;

/// How long the server may take with an answer (RFC 5321 §4.5.3.2.3).
const ANSWER_WAIT_MAX: Duration = Duration::from_mins(5);
const READ_OCTETS: usize = 4096;

/// Says it of each address.
///
/// # Errors
/// Mail to one of them would not arrive, with the exit code that sendmail would have for it; or nobody can be asked.
pub(super) fn verify(addresses: &[Address], global: &Global) -> Result<(), Exit> {
    if addresses.is_empty() {
        return Err(Exit::new(code::USAGE, "-bv: no address is named"));
    }
    let refusals = match by_operator(addresses, global)? {
        Some(refusals) => refusals,
        None => by_session(addresses, &submission(global)?.socket)?,
    };
    refusals.into_result()
}

/// Asks the admin socket; `None`: this user may not.
fn by_operator(addresses: &[Address], global: &Global) -> Result<Option<Refusals>, Exit> {
    let client = match Place::find(global).client() {
        Ok(client) => client,
        Err(Failure::NotPermitted(_)) => return Ok(None),
        Err(failure) => return Err(Exit::new(code::CONFIG, failure.to_string())),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Exit::new(code::TEMPFAIL, error.to_string()))?;
    let mut refusals = Refusals::default();
    for address in addresses {
        match runtime.block_on(ask(&client, address)) {
            Ok(route) => show(&route, &mut refusals)?,
            Err(ClientError::Denied { .. }) => return Ok(None),
            Err(error @ ClientError::Refused { status: 400, .. }) => {
                return Err(Exit::new(code::USAGE, error.to_string()));
            }
            Err(error) => return Err(Exit::new(code::TEMPFAIL, error.to_string())),
        }
    }
    Ok(Some(refusals))
}

async fn ask(client: &Client, address: &Address) -> Result<AddressRoute, ClientError> {
    client.route(&RouteRequest { address: address.to_string() }).await
}

fn show(route: &AddressRoute, refusals: &mut Refusals) -> Result<(), Exit> {
    let mut text = Vec::new();
    render::route(&mut text, route).map_err(|error| failed(&error))?;
    print(&String::from_utf8_lossy(&text))?;
    if let Some(problem) = render::undeliverable(route) {
        refusals.push(route.refusal.as_ref().map_or(code::TEMPFAIL, refusal_code), problem);
    }
    Ok(())
}

fn refusal_code(refusal: &RouteRefusal) -> u8 {
    let status = refusal.status.as_deref().and_then(|status| status.parse().ok());
    exit_code(Stage::Rcpt, (400..500).contains(&refusal.code), status)
}

/// Tries the addresses in a transaction that comes to nothing.
fn by_session(addresses: &[Address], socket: &Path) -> Result<Refusals, Exit> {
    let mut dialogue = Dialogue::open(socket)
        .map_err(|error| Exit::new(code::TEMPFAIL, format!("no server answers at {}: {error}", socket.display())))?;
    let greeting = dialogue.reply()?;
    let domain = greeted_by(&accepted(greeting.clone())?);
    let domain = domain.ok_or_else(|| Exit::new(code::TEMPFAIL, "the server does not say its name"))?;
    let mailboxes = addresses.iter().map(|address| address.clone().at(&domain)).collect::<Result<Vec<Mailbox>, _>>();
    let mailboxes = mailboxes.map_err(|error| Exit::new(code::USAGE, format!("an address is too long: {error}")))?;
    let name = "localhost".parse().expect("localhost is a name");
    accepted(dialogue.ask(&Command::Hello(Hello { kind: HelloKind::Ehlo, name }))?)?;
    let mut mail = Mail::new(ReversePath::Null);
    mail.parameters.smtputf8 = !mailboxes.iter().all(Mailbox::is_ascii);
    let mail = Command::Mail(mail);
    accepted(dialogue.ask(&mail)?)?;
    let mut refusals = Refusals::default();
    for mailbox in mailboxes {
        let as_accepted = format!("{mailbox} is accepted\n");
        let rcpt = Command::Rcpt(Rcpt::new(ForwardPath::Mailbox(mailbox)));
        let mut reply = dialogue.ask(&rcpt)?;
        if reply.is_too_many_recipients() {
            // That is no matter of this address: a transaction of its own says what is.
            accepted(dialogue.ask(&Command::Rset)?)?;
            accepted(dialogue.ask(&mail)?)?;
            reply = dialogue.ask(&rcpt)?;
        }
        if reply.class() == ReplyClass::Completion {
            print(&as_accepted)?;
        } else {
            refusals.add(Stage::Rcpt, &reply);
        }
    }
    // What the server says to it is no matter.
    let _ = dialogue.ask(&Command::Quit);
    Ok(refusals)
}

fn accepted(reply: RemoteReply) -> Result<RemoteReply, Exit> {
    if reply.class() == ReplyClass::Completion {
        return Ok(reply);
    }
    let mut refusals = Refusals::default();
    refusals.add(Stage::Mail, &reply);
    refusals.into_result().map(|()| reply)
}

fn failed(error: &io::Error) -> Exit {
    Exit::new(code::TEMPFAIL, format!("the server has broken off: {error}"))
}

/// Commands and replies, one after the other.
struct Dialogue {
    stream: UnixStream,
    input: BytesMut,
    limits: Limits,
}

impl Dialogue {
    fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
        stream.set_write_timeout(Some(ANSWER_WAIT_MAX))?;
        Ok(Self { stream, input: BytesMut::new(), limits: Limits::default() })
    }

    fn ask(&mut self, command: &Command) -> Result<RemoteReply, Exit> {
        let mut line = BytesMut::new();
        command.encode(&mut line);
        line.extend_from_slice(b"\r\n");
        self.stream.write_all(&line).map_err(|error| failed(&error))?;
        self.reply()
    }

    fn reply(&mut self) -> Result<RemoteReply, Exit> {
        let mut reader = ReplyReader::new(&self.limits);
        loop {
            let reply = reader.read(&mut self.input);
            if let Some(reply) = reply.map_err(|error| failed(&io::Error::new(ErrorKind::InvalidData, error)))? {
                return Ok(reply);
            }
            let mut octets = [0; READ_OCTETS];
            match self.stream.read(&mut octets) {
                Ok(0) => return Err(failed(&ErrorKind::UnexpectedEof.into())),
                Ok(read) => self.input.extend_from_slice(&octets[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&error)),
            }
        }
    }
}
