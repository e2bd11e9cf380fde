//! Runs a program to its end.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "each test binary uses its part of this")]

use std::io::Write as _;
use std::process::{Command, Stdio};

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: i32,
    pub output: String,
    pub errors: String,
}

impl Ended {
    /// A success that says nothing.
    pub fn silent() -> Self {
        Self { code: 0, output: String::new(), errors: String::new() }
    }

    /// The output of a success.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.errors.as_str()), (0, ""), "{self:?}");
        self.output
    }

    /// The errors of a failure that printed nothing.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.output.as_str()), (code, ""), "{self:?}");
        self.errors
    }

    /// The output as JSON, a value a line.
    #[track_caller]
    pub fn json(self) -> Vec<serde_json::Value> {
        self.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Gives the program this input, and all that it says back.
pub fn to_the_end(mut command: Command, input: &str) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended before it has read all.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    Ended { code: ended.status.code().unwrap(), output: text(ended.stdout), errors: text(ended.stderr) }
}
