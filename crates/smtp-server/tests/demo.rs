//! The demo, as a newcomer runs it.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_smtp-server");

#[test]
fn the_check_says_that_it_has_ended_and_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("demo");
    let output = Command::new(PROGRAM).args(["demo", "--check", "--dir"]).arg(&directory).output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{page}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["alice -> bob", "put off 2 times (451 4.2.1 try later)", "bounced (550 5.1.1 no such user)"] {
        assert!(page.contains(part), "{part:?} is missing\n{page}");
    }
    assert!(page.contains("All went as it should") && !page.contains("Ctrl-C"), "{page}");
    assert!(!directory.exists());
}

#[test]
fn a_demo_that_cannot_start_exits_with_1() {
    let used = tempfile::tempdir().unwrap();
    std::fs::write(used.path().join("precious"), "x").unwrap();
    let output = Command::new(PROGRAM).args(["demo", "--check", "--dir"]).arg(used.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it is not empty"));
}

#[test]
fn a_check_that_is_stopped_has_failed() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("demo");
    let mut check = Command::new(PROGRAM)
        .args(["demo", "--check", "--dir"])
        .arg(&directory)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // From then on signals are heeded. The tour takes longer: it waits for two attempts that are put off.
    while !directory.exists() {
        std::thread::yield_now();
        assert_eq!(check.try_wait().unwrap(), None, "it has ended by itself");
    }
    kill_process(Pid::from_child(&check), Signal::TERM).unwrap();
    let output = check.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stopped before its end"));
    assert!(!directory.exists());
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    for signal in [Signal::INT, Signal::TERM] {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("demo");
        let mut demo = Command::new(PROGRAM)
            .args(["demo", "--port", "0", "--dir"])
            .arg(&directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("Ctrl-C stops and removes")), "the page has no end");
        assert!(directory.exists());
        kill_process(Pid::from_child(&demo), signal).unwrap();
        assert!(demo.wait().unwrap().success());
        assert!(!directory.exists());
    }
}
