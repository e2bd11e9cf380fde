//! `smtpctl encrypt`: what a users file keeps of a password.

use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
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

#[test]
fn a_terminal_is_left_as_it_was_when_the_question_is_broken_off() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let terminal: OwnedFd = ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        let echoes = || tcgetattr(terminal.as_fd()).unwrap().local_modes.contains(LocalModes::ECHO);
        assert!(echoes());
        let mut tool = Command::new(env!("CARGO_BIN_EXE_smtpctl"))
            .arg("encrypt")
            .stdin(terminal.try_clone().unwrap())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut prompt = [0; 10];
        tool.stderr.as_mut().unwrap().read_exact(&mut prompt).unwrap();
        assert_eq!(&prompt, b"Password: ");
        assert!(!echoes());
        kill_process(Pid::from_child(&tool), signal).unwrap();
        assert_eq!(tool.wait().unwrap().code(), Some(128 + signal.as_raw()));
        assert!(echoes());
    }
}
