//! Any octets as a command line: no panic, what is parsed is written so that it parses to the same, and what is not
//! gets a reply and a place within the line.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use smtp_proto::{AuthResponse, Command, Mail, Mailbox, Rcpt};

fuzz_target!(|line: &[u8]| {
    check_response(line);
    let command = match Command::parse(line) {
        Ok(command) => command,
        Err(error) => {
            assert!(error.offset <= line.len());
            assert_eq!(error.reply().code(), error.code());
            return;
        }
    };
    let mut output = BytesMut::new();
    command.encode(&mut output);
    assert!(!output.iter().any(u8::is_ascii_control), "a command is one line");
    assert_eq!(Command::parse(&output).as_ref(), Ok(&command));
    match &command {
        Command::Mail(mail) => {
            assert_eq!(Mail::parse(line).as_ref(), Ok(mail));
            mail.reverse_path.mailbox().map(check_mailbox);
            check_meaning(mail.parameters.envelope_id.as_ref().and_then(|id| id.decoded()));
        }
        Command::Rcpt(rcpt) => {
            assert_eq!(Rcpt::parse(line).as_ref(), Ok(rcpt));
            rcpt.forward_path.mailbox().map(check_mailbox);
            if let Some(original) = &rcpt.parameters.original_recipient {
                check_meaning(original.decoded());
                assert!(
                    original.to_ascii().is_none_or(|ascii| ascii.is_ascii() && ascii.decoded() == original.decoded())
                );
            }
        }
        _ => {}
    }
});

/// A response is base64 in its one form, or the star.
fn check_response(line: &[u8]) {
    let Ok(response) = AuthResponse::parse(line) else { return };
    let mut output = BytesMut::new();
    response.encode(&mut output);
    assert_eq!(output, line);
}

/// What is meant by an encoded value breaks no line of a report.
fn check_meaning(meant: Option<String>) {
    assert!(meant.is_none_or(|meant| !meant.chars().any(char::is_control)));
}

/// It is shown as it is parsed, within the limits, and its local part can be made again from what it means.
fn check_mailbox(mailbox: &Mailbox) {
    let shown = mailbox.to_string();
    assert!(shown.len() <= smtp_proto::limits::MAILBOX_OCTETS);
    assert_eq!(shown.parse::<Mailbox>().as_ref(), Ok(mailbox));
    let meant = mailbox.local_part().unquoted();
    if let Ok(local_part) = smtp_proto::LocalPart::from_unquoted(&meant) {
        assert_eq!(local_part.unquoted(), meant);
    }
}
