//! `smtpctl encrypt`: what a users file keeps of a password.

use smtp_sasl::{PasswordHash, ScramKeys, prepare_password};

use crate::support::run;

fn encrypt(arguments: &[&str], input: &str) -> crate::ended::Ended {
    let arguments: Vec<String> = ["encrypt"].iter().chain(arguments).map(ToString::to_string).collect();
    run(&arguments, input)
}

#[test]
fn a_password_is_read_to_the_end_of_the_line_and_made_into_both() {
    let printed = encrypt(&[], "wonderland\nnot this\n").ok();
    let lines: Vec<&str> = printed.lines().collect();
    let hash = PasswordHash::parse(lines[0].strip_prefix("password = \"").unwrap().strip_suffix('"').unwrap()).unwrap();
    assert!(hash.verify(&prepare_password(b"wonderland").unwrap()));
    assert!(!hash.verify(&prepare_password(b"Wonderland").unwrap()));
    let keys = lines[1].strip_prefix("scram_sha_256 = \"").unwrap().strip_suffix('"').unwrap();
    assert!(ScramKeys::parse(keys).is_ok());
    assert_eq!(lines.len(), 2);
}

#[test]
fn programs_get_json() {
    let lines = encrypt(&["--json"], "wonderland").json();
    assert!(PasswordHash::parse(lines[0]["password"].as_str().unwrap()).is_ok());
    assert!(ScramKeys::parse(lines[0]["scram_sha_256"].as_str().unwrap()).is_ok());
}

#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let refused = encrypt(&["wonderland"], "");
    let text = refused.failed(64);
    assert!(text.contains("--insecure-argv") && !text.contains("wonderland"), "{text}");
    let printed = encrypt(&["wonderland", "--insecure-argv"], "").ok();
    assert!(printed.starts_with("password = \"$argon2id$"));
}

#[test]
fn what_cannot_be_a_password_is_refused() {
    for input in ["", "\n", "a\tb\n", &"x".repeat(2000)] {
        assert!(encrypt(&[], input).failed(64).contains("this cannot be a password"), "{input:?}");
    }
}
