//! Any messages from the client's engine to the server's, over any link: what one writes the other reads. All that the
//! server's offer permits arrives, octet for octet and once, and each recipient is told what became of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smtp_proto::{ContentFacts, Envelope, Extensions, Mail, Rcpt};
use std::time::Duration;

// The file alone: the crate around it brings a runtime and TLS, and none of that is tried here.
#[allow(dead_code, reason = "links that are lost are tried elsewhere")]
#[path = "../../crates/smtp-testkit/src/pair.rs"]
mod pair;

use pair::{Conditions, Message, is_refused, talk};

const MESSAGES_MAX: usize = 6;
const RECIPIENTS: [&str; 3] =
    ["RCPT TO:<b@server.test>", "RCPT TO:<nobody@server.test>", "RCPT TO:<\"c d\"@server.test>"];

/// The seed of all that is random, octets of a piece, of a window and of a chunk, and what is offered.
type Link = (u64, u8, u8, u8, u8);

fuzz_target!(|input: (Link, Vec<(u8, Vec<u8>)>)| {
    let ((seed, piece, window, chunk, switches), messages) = input;
    let conditions = Conditions {
        seed,
        piece_octets_max: usize::from(piece) + 1,
        delay_max: Duration::from_millis(500),
        window_octets: usize::from(window) + 1,
        chunk_octets: usize::from(chunk) + 1,
        offered: offered(switches),
        ..Conditions::default()
    };
    let messages: Vec<Message> = messages.into_iter().take(MESSAGES_MAX).map(message).collect();
    let report = talk(&messages, &conditions);

    let offered = &conditions.offered;
    let permitted: Vec<bool> = messages.iter().map(|message| is_permitted(offered, message)).collect();
    let arriving = messages.iter().zip(&permitted).filter(|(_, permitted)| **permitted);
    let expected: Vec<Message> = arriving.filter_map(|(message, _)| as_received(offered, message)).collect();
    let received = report.received.iter().map(|message| (recipients(&message.envelope), &message.content));
    assert!(received.eq(expected.iter().map(|message| (recipients(&message.envelope), &message.content))));

    let mut told = report.told;
    told.sort_unstable();
    let all = messages.iter().zip(&permitted).enumerate().filter(|(_, (_, permitted))| **permitted);
    let of_each = all.flat_map(|(number, (message, _))| {
        let recipients = message.envelope.recipients.iter().enumerate();
        recipients.map(move |(index, rcpt)| (number, index, !is_refused(rcpt)))
    });
    assert!(told.into_iter().eq(of_each));
});

fn offered(switches: u8) -> Extensions {
    let [pipelining, starttls, chunking, binary_mime, eight_bit_mime, size, ..] =
        std::array::from_fn::<bool, 8, _>(|switch| switches >> switch & 1 == 1);
    Extensions {
        pipelining,
        starttls,
        chunking,
        binary_mime,
        eight_bit_mime,
        size: size.then_some(1_000_000),
        ..Extensions::default()
    }
}

fn message((recipients, content): (u8, Vec<u8>)) -> Message {
    let mut envelope = Envelope::new(Mail::parse(b"MAIL FROM:<a@client.test>").expect("a command"));
    for index in [0, 2, 4] {
        if let Some(line) = RECIPIENTS.get(usize::from(recipients >> index & 3)) {
            envelope.recipients.push(Rcpt::parse(line.as_bytes()).expect("a command"));
        }
    }
    Message { envelope, content }
}

fn recipients(envelope: &Envelope) -> Vec<String> {
    envelope.recipients.iter().map(|rcpt| rcpt.forward_path.to_string()).collect()
}

fn is_permitted(offered: &Extensions, message: &Message) -> bool {
    let fits = offered.fit(&message.envelope, &ContentFacts::of(&message.content)).is_ok();
    fits && !message.envelope.recipients.is_empty()
}

/// The message for those who are taken, if there is any; by DATA its last line has an end.
fn as_received(offered: &Extensions, message: &Message) -> Option<Message> {
    let mut message = message.clone();
    message.envelope.recipients.retain(|rcpt| !is_refused(rcpt));
    if !offered.chunking && !message.content.is_empty() && !message.content.ends_with(b"\r\n") {
        message.content.extend_from_slice(b"\r\n");
    }
    (!message.envelope.recipients.is_empty()).then_some(message)
}
