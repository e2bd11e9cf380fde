//! Lines on their way out of the process: a task that logs never waits for whoever reads the log.
//!
//! One thread writes what has come together since its last write, and lets a first line wait a moment for others: a busy
//! server wakes it a few hundred times a second, however many lines there are.
//! When the reader stalls, lines wait in a bounded buffer; past that they are dropped, and how many is said as soon as
//! there is room.

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use tracing::Level;

use super::record::{Format, Record, Value};

/// What may wait for a reader that has stalled, in octets.
const WAITING_OCTETS_MAX: usize = 4 * 1024 * 1024;

/// How long a line may wait for others. Waking a thread costs more than writing a line does.
const COLLECT_FOR: Duration = Duration::from_millis(5);

/// With so many octets together there is nothing to wait for.
const COLLECTED_OCTETS: usize = 64 * 1024;

/// The lines that wait. A clone is a handle of the same ones.
#[derive(Clone)]
pub struct LineQueue {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// A first line, enough lines, or somebody who waits for them to be written.
    wanted: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// Lines that found no room.
    dropped: u64,
    /// The thread sleeps until a line comes.
    idle: bool,
    /// The thread has lines in its hands.
    writing: bool,
    /// So many wait until all is written.
    flushing: u32,
}

impl LineQueue {
    /// A queue whose lines go to `output`, written by a thread of its own. The thread ends with the process. `format` is that
    /// of the lines, for the one that tells of others that are lost.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(format: Format, output: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Shared { state: Mutex::default(), wanted: Condvar::new(), written: Condvar::new() };
        let queue = Self { shared: Arc::new(shared) };
        let writer = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_all_to(output, format))?;
        Ok(queue)
    }

    /// Waits until everything that was logged so far is written, at most so long.
    pub fn flush_within(&self, patience: Duration) {
        let mut state = self.lock();
        state.flushing += 1;
        self.shared.wanted.notify_one();
        let busy = |state: &mut State| state.writing || !state.lines.is_empty();
        let waited = self.shared.written.wait_timeout_while(state, patience, busy);
        waited.unwrap_or_else(PoisonError::into_inner).0.flushing -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all_to(&self, mut output: impl Write, format: Format) {
        let mut lines = Vec::new();
        loop {
            let dropped = self.take(&mut lines);
            // A log that cannot be written stops nothing; the next lines may have more luck.
            let _ = output.write_all(&lines);
            if dropped > 0 {
                let _ = output.write_all(lost(dropped).render(format).as_bytes());
            }
            let _ = output.flush();
            lines.clear();
            self.lock().writing = false;
            self.shared.written.notify_all();
        }
    }

    /// Waits for lines and takes all there are.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        state.idle = true;
        let state = self.shared.wanted.wait_while(state, |state| state.lines.is_empty());
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.idle = false;
        let few = |state: &mut State| state.lines.len() < COLLECTED_OCTETS && state.flushing == 0;
        let collected = self.shared.wanted.wait_timeout_while(state, COLLECT_FOR, few);
        let mut state = collected.unwrap_or_else(PoisonError::into_inner).0;
        mem::swap(&mut state.lines, lines);
        state.writing = true;
        mem::take(&mut state.dropped)
    }
}

fn lost(lines: u64) -> Record {
    let event = "lines of the log were dropped: it is not read fast enough".to_owned();
    Record { time: SystemTime::now(), level: Level::WARN, event, fields: vec![("lines", Value::Unsigned(lines))] }
}

impl Write for LineQueue {
    /// Takes a whole line, or drops it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.lines.len() + line.len() > WAITING_OCTETS_MAX {
            state.dropped += 1;
        } else {
            let before = state.lines.len();
            state.lines.extend_from_slice(line);
            // While it writes, the thread looks again before it sleeps.
            if state.idle || (before..state.lines.len()).contains(&COLLECTED_OCTETS) {
                state.idle = false;
                self.shared.wanted.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for LineQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineQueue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Takes each write only when it is told to.
    struct Reader {
        go: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Reader {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.go.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            let _ = self.taken.send(octets.to_vec());
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn queue() -> (LineQueue, Sender<()>, Receiver<Vec<u8>>) {
        let ((go, wait), (taken, seen)) = (channel(), channel());
        (LineQueue::start(Format::Json, Reader { go: wait, taken }).unwrap(), go, seen)
    }

    #[test]
    fn lines_arrive_in_order_and_together_when_the_reader_is_slow() {
        let (mut queue, go, seen) = queue();
        for n in 0..1000 {
            writeln!(queue, "line {n}").unwrap();
        }
        let mut text = Vec::new();
        let expected = (0..1000).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
        let mut writes = 0;
        while text.len() < expected.len() {
            go.send(()).unwrap();
            text.extend(seen.recv().unwrap());
            writes += 1;
        }
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert!(writes < 1000, "{writes}");
    }

    /// C16: a reader that has stalled holds nobody up and fills no memory; what was lost is counted.
    #[test]
    fn a_stalled_reader_holds_nobody_up() {
        let (mut queue, go, seen) = queue();
        let line = [b'x'; 1024];
        for _ in 0..3 * WAITING_OCTETS_MAX / line.len() {
            assert_eq!(queue.write(&line).unwrap(), line.len());
        }
        assert!(queue.lock().lines.len() <= WAITING_OCTETS_MAX);
        let mut text = Vec::new();
        while !text.ends_with(b"}\n") {
            go.send(()).unwrap();
            text.extend(seen.recv().unwrap());
        }
        let text = String::from_utf8(text).unwrap();
        let end: serde_json::Value = serde_json::from_str(text.trim_start_matches('x')).unwrap();
        assert!(end["lines"].as_u64().unwrap() > 0, "{end}");
    }

    #[test]
    fn a_flush_waits_for_what_was_logged() {
        let (mut queue, go, seen) = queue();
        go.send(()).unwrap();
        queue.write_all(b"last words\n").unwrap();
        queue.flush_within(Duration::from_mins(1));
        assert_eq!(seen.try_recv().unwrap(), b"last words\n");
    }
}
