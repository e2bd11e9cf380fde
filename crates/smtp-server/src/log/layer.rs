//! From tracing to lines: collects the fields of an event into a [`Record`] and writes its rendering.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, filter};

use super::output::LineQueue;
use super::record::{Format, Record, Value};

/// Writes each event as one line. What cannot be written is dropped: a full disk under the log never stops mail.
pub struct LogLayer {
    format: Format,
    output: Mutex<Box<dyn Write + Send>>,
}

impl fmt::Debug for LogLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLayer").field("format", &self.format).finish_non_exhaustive()
    }
}

impl LogLayer {
    /// A layer that writes to `output`, one `write` a line.
    pub fn new(format: Format, output: impl Write + Send + 'static) -> Self {
        Self { format, output: Mutex::new(Box::new(output)) }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut collected = Collected::default();
        event.record(&mut collected);
        let record = Record {
            time: SystemTime::now(),
            level: *event.metadata().level(),
            event: collected.event.unwrap_or_default(),
            fields: collected.fields,
        };
        let line = record.render(self.format);
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
    }
}

#[derive(Default)]
struct Collected {
    event: Option<String>,
    fields: Vec<(&'static str, Value)>,
}

impl Collected {
    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            "event" | "message" if self.event.is_none() => self.event = Some(text),
            name => self.fields.push((name, Value::Text(text))),
        }
    }
}

impl Visit for Collected {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), Value::Unsigned(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), Value::Signed(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.push((field.name(), Value::Float(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), Value::Bool(value)));
    }
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error("the log filter is not of the form level or target=level")]
    Filter(#[from] filter::ParseError),
    /// There is a log already.
    #[error("a log is already set up in this process")]
    Installed(#[from] TryInitError),
    /// The thread that writes could not be started.
    #[error("the thread of the log could not be started")]
    Thread(#[from] io::Error),
}

/// The lines of the process, once there is a log.
static LINES: OnceLock<LineQueue> = OnceLock::new();

/// Makes standard error the log of the process. `filter` is a level ("info") or a list of `target=level`.
pub fn install(format: Format, filter: &str) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let lines = LineQueue::start(format, io::stderr())?;
    tracing_subscriber::registry().with(filter).with(LogLayer::new(format, lines.clone())).try_init()?;
    // Nobody else has set it: there is one subscriber in a process.
    let _ = LINES.set(lines);
    Ok(())
}

/// Writes what was logged so far. To be called before the process ends.
pub fn flush() {
    /// A reader that takes longer has stalled.
    const PATIENCE: Duration = Duration::from_secs(1);
    if let Some(lines) = LINES.get() {
        lines.flush_within(PATIENCE);
    }
}
