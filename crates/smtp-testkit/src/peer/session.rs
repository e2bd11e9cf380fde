//! One connection of a peer.

use std::io;
use std::mem;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::script::{Answer, Stage};
use super::{Received, Shared};

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Why a session ends before its QUIT.
type Ended = io::Error;

struct Session<'a> {
    wire: Box<dyn Wire>,
    unread: Vec<u8>,
    shared: &'a Shared,
    message: Received,
    /// LHLO was said: the mail data is answered for each recipient (RFC 2033 §4.2).
    lmtp: bool,
    /// A chunk was refused: those behind it are, too (RFC 3030 §2).
    refused_chunk: bool,
}

/// Serves one connection to its end.
pub(super) async fn run(tcp: TcpStream, connection: usize, shared: &Shared) -> Result<(), Ended> {
    let mut wire: Box<dyn Wire> = Box::new(tcp);
    if let (true, Some(config)) = (shared.script.implicit_tls, &shared.script.tls) {
        wire = Box::new(TlsAcceptor::from(config.clone()).accept(wire).await?);
    }
    let message = Received {
        connection,
        tls: shared.script.implicit_tls,
        hello: String::new(),
        mail: String::new(),
        recipients: Vec::new(),
        content: Vec::new(),
    };
    let mut session = Session { wire, unread: Vec::new(), shared, message, lmtp: false, refused_chunk: false };
    session.answer(Stage::Connect, None, "220 peer.test ESMTP").await?;
    while session.command().await? {}
    session.wire.shutdown().await
}

impl Session<'_> {
    /// Reads and answers one command; says whether another one may follow.
    async fn command(&mut self) -> Result<bool, Ended> {
        let line = self.line().await?;
        self.shared.change(|record| record.commands.push(line.clone()));
        let upper = line.to_ascii_uppercase();
        match upper.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => self.hello(Stage::Ehlo, &line).await?,
            "LHLO" => {
                self.lmtp = true;
                self.hello(Stage::Ehlo, &line).await?;
            }
            "AUTH" => self.auth(&line).await?,
            "BDAT" => self.bdat(&line).await?,
            "HELO" => self.hello(Stage::Helo, &line).await?,
            "STARTTLS" => self.starttls().await?,
            "MAIL" => self.mail(&line).await?,
            "RCPT" => self.rcpt(&line).await?,
            "DATA" => self.data().await?,
            "RSET" => {
                self.forget_transaction();
                self.answer(Stage::Rset, None, "250 2.0.0 forgotten").await?;
            }
            "QUIT" => {
                self.answer(Stage::Quit, None, "221 2.0.0 bye").await?;
                return Ok(false);
            }
            _ => self.send("500 5.5.2 what?").await?,
        }
        Ok(true)
    }

    async fn hello(&mut self, stage: Stage, line: &str) -> Result<(), Ended> {
        line.get(5..).unwrap_or_default().clone_into(&mut self.message.hello);
        self.forget_transaction();
        let mut lines = vec!["peer.test".to_owned()];
        if stage == Stage::Ehlo {
            lines.extend(self.shared.script.extensions.iter().cloned());
            if self.shared.script.tls.is_some() && !self.message.tls {
                lines.push("STARTTLS".to_owned());
            }
        }
        self.answer(stage, None, &multiline(250, &lines)).await?;
        Ok(())
    }

    async fn starttls(&mut self) -> Result<(), Ended> {
        let usual = if self.shared.script.tls.is_some() { "220 2.0.0 go on" } else { "502 5.5.1 no TLS here" };
        let code = self.answer(Stage::StartTls, None, usual).await?;
        if code != Some(220) {
            return Ok(());
        }
        let Some(config) = &self.shared.script.tls else {
            // Agreed to, but there is none: what follows is not TLS.
            return self.send("this is no TLS").await;
        };
        let wire = mem::replace(&mut self.wire, Box::new(tokio::io::empty()));
        self.wire = Box::new(TlsAcceptor::from(config.clone()).accept(wire).await?);
        self.message.tls = true;
        Ok(())
    }

    async fn mail(&mut self, line: &str) -> Result<(), Ended> {
        if accepted(self.answer(Stage::Mail, None, "250 2.1.0 sender taken").await?) {
            self.forget_transaction();
            line.get(10..).unwrap_or_default().clone_into(&mut self.message.mail);
        }
        Ok(())
    }

    async fn rcpt(&mut self, line: &str) -> Result<(), Ended> {
        let argument = line.get(8..).unwrap_or_default().to_owned();
        let path = argument.split_once('<').map_or("", |(_, rest)| rest);
        let path = path.rsplit_once('>').map_or(path, |(path, _)| path).to_owned();
        let usual = if self.message.mail.is_empty() { "503 5.5.1 MAIL first" } else { "250 2.1.5 recipient taken" };
        if accepted(self.answer(Stage::Rcpt, Some(&path), usual).await?) {
            self.message.recipients.push(argument);
        }
        Ok(())
    }

    async fn data(&mut self) -> Result<(), Ended> {
        let usual = if self.message.recipients.is_empty() { "554 5.5.1 no recipients" } else { "354 go on" };
        if self.answer(Stage::Data, None, usual).await? != Some(354) {
            return Ok(());
        }
        self.act(Stage::Content, None, Answer::Nothing).await?;
        self.message.content = self.content().await?;
        self.end_of_content().await
    }

    /// AUTH: unless the script answers otherwise, an initial response does, and a response to one challenge that says
    /// nothing does too.
    async fn auth(&mut self, line: &str) -> Result<(), Ended> {
        let usual = if line.split(' ').count() > 2 { "235 2.7.0 welcome" } else { "334 " };
        let mut code = self.answer(Stage::Auth, None, usual).await?;
        while code == Some(334) {
            let response = self.line().await?;
            self.shared.change(|record| record.commands.push(response));
            code = self.answer(Stage::AuthResponse, None, "235 2.7.0 welcome").await?;
        }
        Ok(())
    }

    /// A chunk is read to its end before it is answered (RFC 3030 §2).
    async fn bdat(&mut self, line: &str) -> Result<(), Ended> {
        let mut words = line.split(' ').skip(1);
        let octets = words.next().and_then(|octets| octets.parse().ok()).unwrap_or(0);
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        while self.unread.len() < octets {
            self.read(true).await?;
        }
        let rest = self.unread.split_off(octets);
        let chunk = mem::replace(&mut self.unread, rest);
        self.message.content.extend_from_slice(&chunk);
        if self.message.recipients.is_empty() || self.refused_chunk {
            return self.send("503 5.5.1 no recipients, or a chunk was refused").await;
        }
        if last {
            return self.end_of_content().await;
        }
        self.refused_chunk = !accepted(self.answer(Stage::Chunk, None, "250 2.0.0 chunk taken").await?);
        Ok(())
    }

    /// Answers for the message, or in LMTP for each recipient, and keeps what was taken.
    async fn end_of_content(&mut self) -> Result<(), Ended> {
        let mut message = self.message.clone();
        if self.lmtp {
            message.recipients.clear();
            for recipient in self.message.recipients.clone() {
                let path = recipient.trim_start_matches('<').split('>').next().unwrap_or_default().to_owned();
                let answered = self.answer(Stage::Dot, Some(&path), "250 2.0.0 taken").await;
                if answered.as_ref().is_ok_and(|code| accepted(*code)) {
                    message.recipients.push(recipient);
                } else if answered.is_err() && !message.recipients.is_empty() {
                    self.shared.change(|record| record.messages.push(message.clone()));
                }
                answered?;
            }
        } else if !accepted(self.answer(Stage::Dot, None, "250 2.0.0 taken").await?) {
            message.recipients.clear();
        }
        if !message.recipients.is_empty() {
            self.shared.change(|record| record.messages.push(message));
        }
        self.forget_transaction();
        Ok(())
    }

    fn forget_transaction(&mut self) {
        self.message.mail.clear();
        self.message.recipients.clear();
        self.message.content.clear();
        self.refused_chunk = false;
    }

    /// Does what the script says at `stage`, or sends `usual`. The code of the reply, if one was sent.
    async fn answer(&mut self, stage: Stage, recipient: Option<&str>, usual: &str) -> Result<Option<u16>, Ended> {
        self.act(stage, recipient, usual.into()).await
    }

    async fn act(&mut self, stage: Stage, recipient: Option<&str>, usual: Answer) -> Result<Option<u16>, Ended> {
        let mut answer = self.shared.script.answer(stage, recipient).unwrap_or(usual);
        loop {
            match answer {
                Answer::Reply(lines) => {
                    self.send(&lines).await?;
                    return Ok(lines.get(..3).and_then(|code| code.parse().ok()));
                }
                Answer::ReplyAndClose(lines) => {
                    self.send(&lines).await?;
                    self.wire.shutdown().await?;
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Answer::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
                Answer::Nothing => return Ok(None),
                Answer::Silence => std::future::pending().await,
                Answer::Wait(gate, then) => {
                    gate.pass().await;
                    answer = *then;
                }
                Answer::After(octets, then) => {
                    while self.unread.len() < octets {
                        self.read(true).await?;
                    }
                    answer = *then;
                }
            }
        }
    }

    async fn send(&mut self, lines: &str) -> Result<(), Ended> {
        self.wire.write_all(format!("{lines}\r\n").as_bytes()).await?;
        self.wire.flush().await
    }

    async fn line(&mut self) -> Result<String, Ended> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let rest = self.unread.split_off(end + 2);
                let line = mem::replace(&mut self.unread, rest);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.read(false).await?;
        }
    }

    /// The mail data up to CRLF "." CRLF, without the stuffing.
    async fn content(&mut self) -> Result<Vec<u8>, Ended> {
        let mut searched = 0;
        let end = loop {
            if self.unread.starts_with(b".\r\n") {
                break 0;
            }
            let found = self.unread[searched..].windows(5).position(|octets| octets == b"\r\n.\r\n");
            if let Some(position) = found {
                break searched + position + 2;
            }
            searched = self.unread.len().saturating_sub(4);
            self.read(true).await?;
        };
        let rest = self.unread.split_off(end + 3);
        let mut stuffed = mem::replace(&mut self.unread, rest);
        stuffed.truncate(end);
        Ok(unstuff(&stuffed))
    }

    async fn read(&mut self, throttled: bool) -> Result<(), Ended> {
        let throttle = self.shared.script.throttle.as_ref().filter(|_| throttled);
        let room = match throttle {
            Some(throttle) => throttle.before_read().await,
            None => 64 * 1024,
        };
        let before = self.unread.len();
        self.unread.resize(before + room, 0);
        let count = self.wire.read(&mut self.unread[before..]).await?;
        self.unread.truncate(before + count);
        if let Some(throttle) = throttle {
            throttle.after_read();
        }
        if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

fn accepted(code: Option<u16>) -> bool {
    code.is_some_and(|code| (200..300).contains(&code))
}

fn multiline(code: u16, lines: &[String]) -> String {
    let last = lines.len() - 1;
    let line = |(index, line)| format!("{code}{}{line}", if index == last { ' ' } else { '-' });
    lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
}

/// RFC 5321 §4.5.2: a dot that begins a line was put there by the sender.
fn unstuff(stuffed: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(stuffed.len());
    for line in stuffed.split_inclusive(|&octet| octet == b'\n') {
        let begins_line = content.is_empty() || content.ends_with(b"\r\n");
        content.extend_from_slice(line.strip_prefix(b".").filter(|_| begins_line).unwrap_or(line));
    }
    content
}
