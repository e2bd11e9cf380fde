//! The command line of sendmail(1), as the programs write it that call it.
//!
//! Not a matter for clap: options are single letters that may be grouped (`-ti`), values may be glued to them or stand
//! behind them and may look like options, and `-b`, `-o` and `-q` are families of their own.

use std::ffi::OsString;

use smtp_mail::address_list::{self, Address};
use smtp_mail::maildrop::Reports;
use smtp_proto::{EnvelopeId, Notify, Ret};

use super::exit::{Exit, code};

/// The options without a value that are taken for the sake of old habits and change nothing.
const IGNORED: &str = "cEGmnsTUvx";
/// Those with a value, glued or not.
const IGNORED_WITH_VALUE: &str = "ADehLMOopX";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Send the message on standard input: `-bm`.
    Deliver,
    /// Speak SMTP on standard input and output: `-bs`.
    Smtp,
    /// Say what would become of mail to the operands: `-bv`.
    Verify,
    /// Show the queue: `-bp`, mailq.
    ShowQueue,
    /// Say that aliases need no database: `-bi`, `-I`, newaliases.
    Aliases,
    /// Make all of the queue due now: `-q`; or one message: `-qIID`.
    RunQueue(Option<String>),
    /// Say what can be written.
    Help,
}

/// Who the message is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sender {
    /// The user that runs the program, since nothing else is said.
    User,
    /// Nobody: the null reverse-path.
    Null,
    /// This one.
    Address(Address),
}

/// The command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    /// `-f`, `-r`
    pub(crate) sender: Sender,
    /// `-F`
    pub(crate) full_name: Option<String>,
    /// The operands.
    pub(crate) recipients: Vec<Address>,
    /// `-t`: those of the header too.
    pub(crate) recipients_from_header: bool,
    /// `-i`, `-oi`: a line with a dot alone does not end the message.
    pub(crate) dot_is_data: bool,
    /// `-N`, `-R`, `-V`
    pub(crate) reports: Reports,
    /// `-C`
    pub(crate) configuration: Option<OsString>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Deliver,
            sender: Sender::User,
            full_name: None,
            recipients: Vec::new(),
            recipients_from_header: false,
            dot_is_data: false,
            reports: Reports::default(),
            configuration: None,
        }
    }
}

impl Options {
    /// Reads the arguments, the name of the program not among them. Options end at `--` or at the first operand, so that an
    /// address that a caller puts there is never taken for an option.
    ///
    /// # Errors
    /// What cannot be meant, with the exit code for it.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        let mut options = Self::default();
        let mut arguments = arguments.into_iter();
        let mut operands_only = false;
        let mut has_operands = false;
        while let Some(argument) = arguments.next() {
            let text = checked(argument)?;
            match text.strip_prefix('-') {
                Some("-") if !operands_only => operands_only = true,
                Some("-help") if !has_operands && !operands_only => options.mode = Mode::Help,
                Some(letters) if !operands_only && !letters.is_empty() => {
                    if has_operands {
                        return Err(usage(format!(
                            "{text}: an option behind an address; write -- before addresses that begin with -"
                        )));
                    }
                    options.letters(letters, &mut arguments)?;
                }
                _ => {
                    has_operands = true;
                    options.recipients.extend(addresses(&text)?);
                }
            }
        }
        Ok(options)
    }

    /// One argument of options: letters without a value, then perhaps one with.
    fn letters(&mut self, letters: &str, arguments: &mut impl Iterator<Item = OsString>) -> Result<(), Exit> {
        for (at, letter) in letters.char_indices() {
            let glued = &letters[at + letter.len_utf8()..];
            match letter {
                'i' => self.dot_is_data = true,
                't' => self.recipients_from_header = true,
                'I' => self.mode = Mode::Aliases,
                // What follows is a time for a daemon, or says which part of the queue.
                'q' => return self.run_queue(glued),
                _ if IGNORED.contains(letter) => {}
                _ => return self.valued(letter, glued, arguments),
            }
        }
        Ok(())
    }

    fn valued(
        &mut self,
        letter: char,
        glued: &str,
        arguments: &mut impl Iterator<Item = OsString>,
    ) -> Result<(), Exit> {
        let mut value = || match glued {
            "" => checked(arguments.next().ok_or_else(|| usage(format!("-{letter} needs a value")))?),
            glued => Ok(glued.to_owned()),
        };
        match letter {
            'f' | 'r' => self.sender = sender(&value()?)?,
            'F' => self.full_name = Some(value()?),
            'C' => self.configuration = Some(value()?.into()),
            'b' => self.mode = mode(&value()?)?,
            'o' => self.dot_is_data |= value()? == "i",
            'B' => body(&value()?)?,
            'N' => self.reports.notify = Some(notify(&value()?)?),
            'R' => self.reports.ret = Some(returned(&value()?)?),
            'V' => self.reports.envelope_id = Some(envelope_id(&value()?)?),
            _ if IGNORED_WITH_VALUE.contains(letter) => {
                value()?;
            }
            _ => return Err(usage(format!("-{letter} is no option of sendmail that is known"))),
        }
        Ok(())
    }

    fn run_queue(&mut self, which: &str) -> Result<(), Exit> {
        self.mode = match which.strip_prefix('I') {
            Some(id) if !id.is_empty() => Mode::RunQueue(Some(id.to_owned())),
            None if which.is_empty() => Mode::RunQueue(None),
            _ => {
                let text = format!(
                    "-q{which}: the server looks after its queue by itself; `smtpctl schedule` takes what is meant"
                );
                return Err(usage(text));
            }
        };
        Ok(())
    }
}

/// No argument holds a line end or is anything but text: it would end up in a command or a header field.
fn checked(argument: OsString) -> Result<String, Exit> {
    let text = argument.into_string().map_err(|_| usage("an argument is not in UTF-8".to_owned()))?;
    if text.contains(['\r', '\n', '\0']) {
        return Err(usage("an argument has more than one line".to_owned()));
    }
    Ok(text)
}

fn usage(text: String) -> Exit {
    Exit::new(code::USAGE, text)
}

fn addresses(text: &str) -> Result<Vec<Address>, Exit> {
    address_list::parse(text.as_bytes()).map_err(|error| usage(format!("{text}: this is no address ({error})")))
}

/// One pair of angle brackets is taken off; nothing in them, or nothing at all, is the null reverse-path.
fn sender(text: &str) -> Result<Sender, Exit> {
    let bare = text.trim();
    let bare = bare.strip_prefix('<').and_then(|bare| bare.strip_suffix('>')).unwrap_or(bare);
    if bare.is_empty() {
        return Ok(Sender::Null);
    }
    let [address] = <[Address; 1]>::try_from(addresses(bare)?)
        .map_err(|_| usage(format!("-f {text}: one address belongs here")))?;
    Ok(Sender::Address(address))
}

fn mode(text: &str) -> Result<Mode, Exit> {
    match text {
        "m" => Ok(Mode::Deliver),
        "s" => Ok(Mode::Smtp),
        "p" => Ok(Mode::ShowQueue),
        "i" => Ok(Mode::Aliases),
        "d" | "D" | "l" => Err(usage(format!("-b{text}: the daemon is smtp-server"))),
        "v" => Ok(Mode::Verify),
        _ => Err(usage(format!("-b{text} is no mode that is known"))),
    }
}

/// `-B`: the server finds out by itself what the content is.
fn body(text: &str) -> Result<(), Exit> {
    match text.to_ascii_uppercase().as_str() {
        "7BIT" | "8BITMIME" => Ok(()),
        _ => Err(usage(format!("-B {text}: 7BIT or 8BITMIME belongs here"))),
    }
}

fn notify(text: &str) -> Result<Notify, Exit> {
    let wrong = |_| usage(format!("-N {text}: never, or a list of failure, delay and success belongs here"));
    // Unlike in SMTP, people write spaces behind the commas.
    text.replace(' ', "").parse().map_err(wrong)
}

fn returned(text: &str) -> Result<Ret, Exit> {
    text.parse().map_err(|_| usage(format!("-R {text}: full or hdrs belongs here")))
}

fn envelope_id(text: &str) -> Result<EnvelopeId, Exit> {
    let wrong = |_| usage(format!("-V {text}: at most 100 printable characters belong here"));
    EnvelopeId::from_decoded(text).map_err(wrong)
}

#[cfg(test)]
mod tests;
