//! The client's part of a dialogue, said to a real server.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};

use super::{Step, Time, Transcript};

impl Transcript {
    /// Whether any willing server can be held against it: nothing in it is answered in a special way, no limit is set,
    /// no time passes, and no TLS is established.
    pub fn is_for_any_server(&self) -> bool {
        self.lines.iter().all(|(line, step)| match step {
            Step::Answer(_) | Step::Time(Time::Passes(_) | Time::Tls) => false,
            _ => !line.starts_with("L:"),
        })
    }

    /// Says the client's lines of a server's transcript over `stream`, and compares the codes of the replies: each
    /// server has its own words. Where the transcript ends with the session, so must the stream.
    ///
    /// Set a time limit for reads on the stream first.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn replay(&self, stream: &TcpStream) -> Result<(), String> {
        let failed = |error: io::Error| format!("{}: {error}", self.name);
        let mut replies = BufReader::new(stream);
        let mut writer = stream;
        let mut over = false;
        for (line, step) in &self.lines {
            over |= line.starts_with("E: Closed");
            match step {
                // What is said to a server that has closed already may be lost.
                Step::Input { octets, .. } if !over => writer.write_all(octets).map_err(failed)?,
                Step::Output if is_last_line(line) => {
                    let reply = read_reply(&mut replies).map_err(failed)?;
                    if reply.get(..3) != line.get(3..6) {
                        return Err(format!("{}: expected {line:?}, the server said {reply:?}", self.name));
                    }
                }
                Step::Time(Time::EndOfStream) => stream.shutdown(Shutdown::Write).map_err(failed)?,
                _ => {}
            }
        }
        if !over {
            return Ok(());
        }
        let rest = read_reply(&mut replies).map_err(failed)?;
        if rest.is_empty() { Ok(()) } else { Err(format!("{}: the server went on with {rest:?}", self.name)) }
    }
}

/// The last line of a reply, `S: 250 OK` or `S: 250`.
fn is_last_line(line: &str) -> bool {
    line.as_bytes().get(6) != Some(&b'-')
}

/// The last line of the next reply; empty at the end of the stream.
fn read_reply(replies: &mut impl BufRead) -> io::Result<String> {
    loop {
        let mut line = String::new();
        let octets = match replies.read_line(&mut line) {
            // A server that does not wait for what is still under way resets the connection.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            read => read?,
        };
        if octets == 0 || line.as_bytes().get(3) != Some(&b'-') {
            return Ok(line);
        }
    }
}
