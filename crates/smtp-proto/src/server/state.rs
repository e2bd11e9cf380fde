//! All changes of state of a server session: one dispatch, one function per state.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::event::{CloseReason, Event, Framing, Refusal, Subject};
use super::{ServerSession, replies};
use crate::line::{self, Line};
use crate::mail_data::{ContentFault, MailDataPiece, Unstuffer};
use crate::{BodyType, Command, Envelope, Hello, HelloKind, Mail, Rcpt, Reply, SyntaxError, SyntaxReason};

/// Where the session is. The variants named `…Asked` wait for the caller's answer and take no input.
#[derive(Debug, Default)]
pub(super) enum State {
    /// Nothing has been told yet.
    Opening,
    /// [`Event::Connected`] waits.
    Greeting,
    /// The greeting was 554: nothing is left but QUIT (RFC 5321 §3.1).
    NoService,
    /// No transaction is open.
    Ready,
    /// With the transaction that it finds open, which lasts if it is refused.
    HelloAsked(Box<Hello>, Option<Box<Envelope>>),
    MailAsked(Box<Mail>),
    /// MAIL was accepted.
    Transaction(Box<Envelope>),
    RcptAsked(Box<Envelope>, Box<Rcpt>),
    MailDataStartAsked(Box<Envelope>),
    /// 354 was sent.
    MailData(Box<MailData>),
    /// Mail data that is refused at its end already.
    Swallowing(Box<Swallowing>),
    MailDataEndAsked(Box<Envelope>),
    /// 220 was sent to STARTTLS.
    Handshake,
    /// The last reply is leaving.
    Closing(CloseReason),
    /// [`Event::Closed`] has been told.
    #[default]
    Closed,
}

#[derive(Debug)]
pub(super) struct MailData {
    envelope: Box<Envelope>,
    intake: Intake,
}

#[derive(Debug)]
pub(super) struct Swallowing {
    intake: Intake,
    refusal: Reply,
}

/// Mail data as it comes in, and how long it may go on.
#[derive(Debug)]
struct Intake {
    unstuffer: Unstuffer,
    until: Instant,
}

impl Intake {
    /// By so much the time is longer for each octet that has come: mail data that keeps up 1,000 octets a second is
    /// never too slow.
    const TIME_PER_OCTET: Duration = Duration::from_millis(1);

    /// The next piece, and whether any octets were taken for it.
    fn next_piece(&mut self, input: &mut BytesMut) -> (Option<MailDataPiece>, bool) {
        let waiting = input.len();
        let piece = self.unstuffer.next_piece(input);
        let taken = u32::try_from(waiting - input.len()).unwrap_or(u32::MAX);
        self.until += Self::TIME_PER_OCTET * taken;
        (piece, taken > 0)
    }
}

impl State {
    pub(super) fn mail_data(envelope: Box<Envelope>, octets_max: u64, until: Instant) -> Self {
        let intake = Intake { unstuffer: Unstuffer::new(octets_max), until };
        Self::MailData(Box::new(MailData { envelope, intake }))
    }

    /// Until when the mail data that is coming in may go on.
    pub(super) fn mail_data_until(&self) -> Option<Instant> {
        match self {
            Self::MailData(mail_data) => Some(mail_data.intake.until),
            Self::Swallowing(swallowing) => Some(swallowing.intake.until),
            _ => None,
        }
    }

    /// The envelope of the transaction that is open.
    pub(super) fn envelope(&self) -> Option<&Envelope> {
        match self {
            Self::Transaction(envelope)
            | Self::RcptAsked(envelope, _)
            | Self::HelloAsked(_, Some(envelope))
            | Self::MailDataStartAsked(envelope)
            | Self::MailDataEndAsked(envelope) => Some(envelope),
            Self::MailData(mail_data) => Some(&mail_data.envelope),
            _ => None,
        }
    }
}

/// `Break` gives the caller what there is to tell, `Continue` goes round again.
type Flow = ControlFlow<Option<Event>>;

impl ServerSession {
    /// The dispatch.
    pub(super) fn advance(&mut self, now: Instant, input: &mut BytesMut) -> Option<Event> {
        loop {
            if self.reset_due {
                self.reset_due = false;
                return Some(Event::Reset);
            }
            let flow = match self.state {
                State::Opening => self.opening(),
                State::NoService | State::Ready | State::Transaction(_) => self.command_line(now, input),
                State::MailData(_) => self.mail_data(now, input),
                State::Swallowing(_) => self.swallow(now, input),
                State::Closing(_) => Break(self.farewell()),
                State::Greeting
                | State::HelloAsked(..)
                | State::MailAsked(_)
                | State::RcptAsked(..)
                | State::MailDataStartAsked(_)
                | State::MailDataEndAsked(_)
                | State::Handshake
                | State::Closed => Break(None),
            };
            if let Break(event) = flow {
                return event;
            }
        }
    }

    fn opening(&mut self) -> Flow {
        self.state = State::Greeting;
        Break(Some(Event::Connected))
    }

    /// What is owed at the end: the loss of the transaction at once, the end itself when all output has left.
    pub(super) fn farewell(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.reset_due) {
            return Some(Event::Reset);
        }
        let State::Closing(reason) = self.state else { return None };
        if !self.output.is_empty() {
            return None;
        }
        self.state = State::Closed;
        Some(Event::Closed(reason))
    }

    /// Takes one command line, unless too much output waits.
    fn command_line(&mut self, now: Instant, input: &mut BytesMut) -> Flow {
        let limits = &self.config.limits;
        if self.output.len() >= limits.output_octets {
            return Break(None);
        }
        let Some(line) = self.lines.cut(input, limits.command_line_octets) else { return Break(None) };
        let parsed = match line {
            Line::Whole(octets) => Command::parse(&input[..octets]).map_err(Mistake::Syntax),
            Line::BareLf(_) => Err(Mistake::Line(replies::BARE_LF)),
            Line::TooLong => Err(Mistake::Line(replies::LINE_TOO_LONG)),
        };
        line::take(input, &line);
        self.progress = now;
        let behind_refusal = std::mem::take(&mut self.behind_refusal);
        match (parsed, &self.state) {
            (Err(mistake), _) => self.mistake(mistake),
            (Ok(command @ (Command::Rcpt(_) | Command::Data)), State::Ready) if behind_refusal => {
                self.refuse(replies::MAIL_FIRST, command)
            }
            (Ok(Command::Quit), _) => self.quit(),
            (Ok(command), State::NoService) => self.refuse_error(replies::QUIT_ONLY, command),
            (Ok(command), _) => self.command(command, input),
        }
    }

    fn mistake(&mut self, mistake: Mistake) -> Flow {
        match mistake {
            Mistake::Syntax(error) if error.reason == SyntaxReason::HttpRequest => {
                replies::HTTP.encode(&mut self.output);
                self.end(CloseReason::HttpRequest);
                Continue(())
            }
            Mistake::Syntax(error) => self.refuse_error(error.reply(), Subject::Line),
            Mistake::Line(reply) => self.refuse_error(reply, Subject::Line),
        }
    }

    fn command(&mut self, command: Command, input: &BytesMut) -> Flow {
        match command {
            Command::Hello(hello) => self.hello_command(hello),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => self.data(),
            Command::Rset => self.rset(),
            Command::StartTls => self.start_tls(input),
            Command::Quit => self.quit(),
            Command::Noop => self.settled(&replies::NOOP),
            Command::Help(_) => self.settled(&replies::HELP),
            Command::Vrfy(_) => self.settled(&replies::CANNOT_VERIFY),
            Command::Expn(_) => self.settled(&replies::NO_EXPN),
            Command::Bdat { .. } | Command::Auth { .. } | Command::Etrn(_) => {
                self.refuse_error(replies::NOT_IMPLEMENTED, command)
            }
        }
    }

    fn hello_command(&mut self, hello: Hello) -> Flow {
        if hello.kind == HelloKind::Lhlo {
            return self.refuse_error(replies::NO_LMTP, Command::Hello(hello));
        }
        let open = match std::mem::take(&mut self.state) {
            State::Transaction(envelope) => Some(envelope),
            _ => None,
        };
        self.state = State::HelloAsked(Box::new(hello.clone()), open);
        Break(Some(Event::Hello(hello)))
    }

    fn mail(&mut self, mail: Mail) -> Flow {
        let Some(client) = self.client.as_deref() else {
            return self.refuse_error(replies::HELLO_FIRST, Command::Mail(mail));
        };
        if matches!(self.state, State::Transaction(_)) {
            return self.refuse_error(replies::NESTED_MAIL, Command::Mail(mail));
        }
        let parameters = &mail.parameters;
        if parameters.body == Some(BodyType::BinaryMime) && !client.offered.binary_mime {
            return self.refuse_error(replies::BODY_NOT_OFFERED, Command::Mail(mail));
        }
        if !client.offered.permits_mail(parameters) {
            return self.refuse_error(replies::PARAMETER_NOT_OFFERED, Command::Mail(mail));
        }
        if !mail.reverse_path.is_ascii() && !parameters.smtputf8 {
            return self.refuse(replies::UTF8_NOT_ASKED_FOR, Command::Mail(mail));
        }
        if parameters.size.is_some_and(|octets| octets > self.message_octets_max()) {
            return self.refuse(replies::TOO_LARGE, Command::Mail(mail));
        }
        self.state = State::MailAsked(Box::new(mail.clone()));
        Break(Some(Event::Mail(mail)))
    }

    fn rcpt(&mut self, rcpt: Rcpt) -> Flow {
        let State::Transaction(envelope) = &self.state else {
            return self.refuse_error(replies::MAIL_FIRST, Command::Rcpt(rcpt));
        };
        if self.client.as_deref().is_none_or(|client| !client.offered.permits_rcpt(&rcpt.parameters)) {
            return self.refuse_error(replies::PARAMETER_NOT_OFFERED, Command::Rcpt(rcpt));
        }
        let is_ascii = rcpt.forward_path.is_ascii() && rcpt.parameters.is_ascii();
        if !is_ascii && !envelope.mail.parameters.smtputf8 {
            return self.refuse_alone(replies::UTF8_NOT_ASKED_FOR, Command::Rcpt(rcpt));
        }
        if envelope.recipients.len() >= self.config.limits.recipients_per_message {
            return self.refuse_alone(replies::TOO_MANY_RECIPIENTS, Command::Rcpt(rcpt));
        }
        self.state = match std::mem::take(&mut self.state) {
            State::Transaction(envelope) => State::RcptAsked(envelope, Box::new(rcpt.clone())),
            other => other,
        };
        Break(Some(Event::Rcpt(rcpt)))
    }

    fn data(&mut self) -> Flow {
        match std::mem::take(&mut self.state) {
            State::Transaction(envelope) if !envelope.recipients.is_empty() => {
                self.state = State::MailDataStartAsked(envelope);
                Break(Some(Event::MailDataStart(Framing::Data)))
            }
            State::Transaction(envelope) => {
                self.state = State::Transaction(envelope);
                // Not an error: a client that pipelines cannot know (RFC 2920 §3.1).
                self.refuse_alone(replies::NO_RECIPIENTS, Command::Data)
            }
            other => {
                self.state = other;
                self.refuse_error(replies::MAIL_FIRST, Command::Data)
            }
        }
    }

    fn rset(&mut self) -> Flow {
        self.reset_due = matches!(self.state, State::Transaction(_));
        self.state = State::Ready;
        self.settled(&replies::RESET)
    }

    fn start_tls(&mut self, behind: &BytesMut) -> Flow {
        let Some(client) = self.client.as_deref() else {
            return self.refuse_error(replies::HELLO_FIRST, Command::StartTls);
        };
        if self.tls.is_some() {
            return self.refuse_error(replies::TLS_ALREADY, Command::StartTls);
        }
        if !client.offered.starttls {
            return self.refuse_error(replies::NO_TLS, Command::StartTls);
        }
        if matches!(self.state, State::Transaction(_)) {
            return self.refuse_error(replies::NO_TLS_NOW, Command::StartTls);
        }
        if !behind.is_empty() {
            replies::CLEAR_TEXT.encode(&mut self.output);
            self.end(CloseReason::ClearTextAfterStartTls);
            return Continue(());
        }
        replies::READY_FOR_TLS.encode(&mut self.output);
        self.state = State::Handshake;
        Break(Some(Event::StartTls))
    }

    fn quit(&mut self) -> Flow {
        self.send_with_hostname(&replies::CLOSING);
        self.end(CloseReason::Quit);
        Continue(())
    }

    fn mail_data(&mut self, now: Instant, input: &mut BytesMut) -> Flow {
        let State::MailData(mail_data) = &mut self.state else { return Break(None) };
        let (piece, progress) = match mail_data.intake.unstuffer.fault() {
            None => mail_data.intake.next_piece(input),
            Some(fault) => return self.refuse_fault(fault),
        };
        let fault = mail_data.intake.unstuffer.fault();
        if progress {
            self.progress = now;
        }
        match (piece, fault) {
            (Some(MailDataPiece::Content(octets)), _) => Break(Some(Event::MailData(octets))),
            (Some(MailDataPiece::End), None) => self.mail_data_end(),
            (Some(MailDataPiece::End), Some(fault)) => {
                self.state = State::Ready;
                self.reset_due = true;
                self.refuse_alone(refusal(fault), Subject::Content)
            }
            (None, Some(fault)) => self.refuse_fault(fault),
            (None, None) => Break(None),
        }
    }

    fn mail_data_end(&mut self) -> Flow {
        let State::MailData(mail_data) = std::mem::take(&mut self.state) else { return Break(None) };
        self.state = State::MailDataEndAsked(mail_data.envelope);
        Break(Some(Event::MailDataEnd(mail_data.intake.unstuffer.facts())))
    }

    fn refuse_fault(&mut self, fault: ContentFault) -> Flow {
        let reply = refusal(fault);
        self.refuse_content(reply.clone());
        Break(Some(Event::Refused(Refusal { subject: Subject::Content, reply })))
    }

    /// The content will be refused at its end; until then it is only read.
    pub(super) fn refuse_content(&mut self, refusal: Reply) {
        self.state = match std::mem::take(&mut self.state) {
            State::MailData(mail_data) => {
                self.reset_due = true;
                State::Swallowing(Box::new(Swallowing { intake: mail_data.intake, refusal }))
            }
            other => other,
        };
    }

    fn swallow(&mut self, now: Instant, input: &mut BytesMut) -> Flow {
        let State::Swallowing(swallowing) = &mut self.state else { return Break(None) };
        let (piece, progress) = swallowing.intake.next_piece(input);
        if progress {
            self.progress = now;
        }
        match piece {
            Some(MailDataPiece::Content(_)) => Continue(()),
            Some(MailDataPiece::End) => {
                let refusal = swallowing.refusal.clone();
                self.state = State::Ready;
                self.settled(&refusal)
            }
            None => Break(None),
        }
    }

    /// Answers by itself, and goes on.
    fn settled(&mut self, reply: &Reply) -> Flow {
        self.send(reply);
        Continue(())
    }

    /// Refuses by itself, and says so.
    fn refuse_alone(&mut self, reply: Reply, subject: impl Into<Subject>) -> Flow {
        self.send(&reply);
        Break(Some(Event::Refused(Refusal { subject: subject.into(), reply })))
    }

    /// The same, for a command that others may stand behind that are void without it.
    fn refuse(&mut self, reply: Reply, subject: impl Into<Subject>) -> Flow {
        self.behind_refusal = true;
        self.refuse_alone(reply, subject)
    }

    /// Answers a mistake of the client; at the last one that is permitted the session ends instead.
    fn refuse_error(&mut self, reply: Reply, subject: impl Into<Subject>) -> Flow {
        self.errors += 1;
        if self.errors < self.config.limits.errors_per_session {
            return self.refuse(reply, subject);
        }
        self.send_with_hostname(&replies::TOO_MANY_ERRORS);
        self.end(CloseReason::TooManyErrors);
        Continue(())
    }

    /// Queues one of the replies that begin with the server's name (RFC 5321 §4.2.2).
    pub(super) fn send_with_hostname(&mut self, reply: &Reply) {
        let text = format!("{} {}", self.config.hostname, reply.text());
        let reply = reply.clone().with_text(text).expect("a host name is printable ASCII");
        reply.encode(&mut self.output);
    }
}

impl From<Command> for Subject {
    fn from(command: Command) -> Self {
        Self::Command(Box::new(command))
    }
}

/// A command line that is no command.
enum Mistake {
    Syntax(SyntaxError),
    Line(Reply),
}

fn refusal(fault: ContentFault) -> Reply {
    match fault {
        ContentFault::BareLineEnd => replies::BARE_LINE_END,
        ContentFault::Nul => replies::NUL,
        ContentFault::TooLong => replies::TOO_LARGE,
    }
}
