use super::*;
use crate::Command;

fn encoded(command: &Command) -> String {
    let mut line = BytesMut::new();
    command.encode(&mut line);
    String::from_utf8(line.to_vec()).unwrap()
}

fn refused(line: impl AsRef<[u8]>) -> (String, usize) {
    let error = Command::parse(line.as_ref()).unwrap_err();
    (error.reply().to_string(), error.offset)
}

#[test]
fn a_mechanism_is_one_word_in_capitals() {
    assert_eq!("scram-sha-256-plus".parse(), Ok(Mechanism::SCRAM_SHA_256_PLUS));
    assert_eq!(Mechanism::SCRAM_SHA_256_PLUS.as_str(), "SCRAM-SHA-256-PLUS");
    assert_eq!(format!("{:?} {}", Mechanism::PLAIN, Mechanism::XOAUTH2), "PLAIN XOAUTH2");
    assert_eq!("X_1-2".parse::<Mechanism>().unwrap().as_str(), "X_1-2");
    assert_eq!("A".repeat(20).parse::<Mechanism>().unwrap().as_str().len(), 20);
    for name in ["", " ", "PLAIN ", "A B", "PLA\u{ce}N", "A.B", "A=", &"A".repeat(21)] {
        assert!(name.parse::<Mechanism>().is_err(), "{name:?}");
    }
}

#[test]
fn auth_is_read_and_written() {
    let command = Command::parse(b"auth plain AGFsaWNlAHNlc2FtZQ==").unwrap();
    let Command::Auth { mechanism, initial } = &command else { panic!("{command:?}") };
    assert_eq!(*mechanism, Mechanism::PLAIN);
    assert_eq!(initial.as_ref().unwrap().as_bytes(), b"\0alice\0sesame");
    assert_eq!(encoded(&command), "AUTH PLAIN AGFsaWNlAHNlc2FtZQ==");
    assert_eq!(command.verb(), "AUTH");

    let command = Command::parse(b"AUTH LOGIN ").unwrap();
    assert_eq!(command, Command::Auth { mechanism: Mechanism::LOGIN, initial: None });
    assert_eq!(encoded(&command), "AUTH LOGIN");
}

/// RFC 4954 §4: an empty initial response is a lone `=`, and not the same as none.
#[test]
fn an_empty_initial_response_is_an_equals_sign() {
    let command = Command::parse(b"AUTH EXTERNAL =").unwrap();
    assert_eq!(command, Command::Auth { mechanism: Mechanism::EXTERNAL, initial: Some(Secret::default()) });
    assert_eq!(encoded(&command), "AUTH EXTERNAL =");
}

#[test]
fn auth_is_strict() {
    assert_eq!(refused("AUTH"), ("501 5.5.4 Argument missing".to_owned(), 4));
    for line in ["AUTH  PLAIN", "AUTH PL.IN", "AUTH PLAIN=", "AUTH \u{e9}", "AUTH ABCDEFGHIJKLMNOPQRSTU"] {
        assert_eq!(refused(line).0, "501 5.5.4 Malformed mechanism name", "{line}");
    }
    for line in ["AUTH PLAIN ====", "AUTH PLAIN =AAA", "AUTH PLAIN AAA=BBB", "AUTH PLAIN A", "AUTH PLAIN *"] {
        assert_eq!(refused(line).0, "501 5.5.2 Malformed base64", "{line}");
    }
    assert_eq!(refused("AUTH PLAIN AAA?"), ("501 5.5.2 Malformed base64".to_owned(), 14));
    assert_eq!(refused("AUTH PLAIN AAAA AAAA"), ("501 5.5.4 Unexpected argument".to_owned(), 15));
    assert_eq!(refused("AUTH PLAIN  AAAA").0, "501 5.5.4 Unexpected argument");
}

#[test]
fn a_response_is_base64_or_a_star() {
    for (line, response) in [
        (&b"*"[..], AuthResponse::Cancelled),
        (b"", AuthResponse::Data(Secret::default())),
        (b"c2VzYW1l", AuthResponse::Data(Secret::new(b"sesame".to_vec()))),
    ] {
        assert_eq!(AuthResponse::parse(line), Ok(response.clone()));
        let mut output = BytesMut::new();
        response.encode(&mut output);
        assert_eq!(output, line);
    }
    for line in [&b"="[..], b"**", b"* ", b"c2VzYW1l ", b" c2VzYW1l", b"c2Vz\xff", b"c2VzYW1", b"c2Vz\0YW1"] {
        let error = AuthResponse::parse(line).unwrap_err();
        assert_eq!(error.reply().to_string(), "501 5.5.2 Malformed base64", "{}", line.escape_ascii());
    }
}

#[test]
fn a_secret_is_not_shown() {
    let command = Command::parse(b"AUTH PLAIN AGFsaWNlAHNlc2FtZQ==").unwrap();
    assert_eq!(format!("{command:?}"), "Auth { mechanism: PLAIN, initial: Some(Secret(…)) }");
    let response = AuthResponse::parse(b"c2VzYW1l").unwrap();
    assert_eq!(format!("{response:?}"), "Data(Secret(…))");
}

#[test]
fn secrets_are_equal_where_their_octets_are() {
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
    assert_eq!(secret("sesame"), secret("sesame"));
    for other in ["", "sesam", "sesame2", "Sesame", "sesamf"] {
        assert_ne!(secret("sesame"), secret(other));
    }
    assert_eq!(Secret::default(), secret(""));
}
