//! The program itself, running: its log is what it says.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "each test binary uses its part of this")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A server that runs until it is told to stop, or the test is over.
pub struct Server {
    pub child: Child,
    pub log: BufReader<ChildStderr>,
    /// Lines that came before one that was asked for.
    passed_over: Vec<Value>,
    /// Where it listens, separated by spaces.
    pub address: String,
}

impl Server {
    pub fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self { child, log, passed_over: Vec::new(), address: String::new() };
        let started = server.event("started");
        started["addresses"].as_str().unwrap().clone_into(&mut server.address);
        server
    }

    /// The next line of the log with this event, whatever came before it.
    pub fn event(&mut self, event: &str) -> Value {
        if let Some(index) = self.passed_over.iter().position(|line| line["event"] == event) {
            return self.passed_over.remove(index);
        }
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the server ended before it logged {event}");
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("a line of another form: {line}"));
            if line["event"] == event {
                return line;
            }
            self.passed_over.push(line);
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.event("stopped");
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended where all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
