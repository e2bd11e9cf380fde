//! One log event with its fields, and its renderings.

use std::fmt::Write as _;
use std::time::SystemTime;

use jiff::Timestamp;
use tracing::Level;

use super::escape;

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, for programs.
    Json,
    /// One `name=value` line, for people.
    Human,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, possibly from a peer: escaped in every rendering.
    Text(String),
    /// A count or a code.
    Unsigned(u64),
    /// A number that may be negative.
    Signed(i64),
    /// A measurement.
    Float(f64),
    /// Yes or no.
    Bool(bool),
}

/// One log event.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When it happened.
    pub time: SystemTime,
    /// How grave it is.
    pub level: Level,
    /// What happened, one word ("received"), or the text of a plain message.
    pub event: String,
    /// The facts, in the order in which the event names them: what a peer can write comes last.
    pub fields: Vec<(&'static str, Value)>,
}

impl Record {
    /// The record as one line with its line end.
    pub fn render(&self, format: Format) -> String {
        let mut line = match format {
            Format::Json => self.json(),
            Format::Human => self.human(),
        };
        line.push('\n');
        line
    }

    fn json(&self) -> String {
        let mut line = String::with_capacity(256);
        line.push_str("{\"time\":\"");
        line.push_str(&self.rfc3339());
        line.push_str("\",\"level\":\"");
        line.push_str(level_name(self.level));
        line.push_str("\",\"event\":");
        escape::json(&mut line, &self.event);
        for (name, value) in &self.fields {
            let _ = write!(line, ",\"{name}\":");
            match value {
                Value::Text(text) => escape::json(&mut line, text),
                Value::Float(number) if !number.is_finite() => line.push_str("null"),
                other => push_number(&mut line, other),
            }
        }
        line.push('}');
        line
    }

    fn human(&self) -> String {
        let mut line = String::with_capacity(256);
        let _ = write!(line, "{} {:<5} ", self.rfc3339(), level_name(self.level));
        escape::plain(&mut line, &self.event);
        for (name, value) in &self.fields {
            let _ = write!(line, " {name}=");
            match value {
                Value::Text(text) => escape::value(&mut line, text),
                other => push_number(&mut line, other),
            }
        }
        line
    }

    /// RFC 3339, UTC, milliseconds.
    fn rfc3339(&self) -> String {
        Timestamp::try_from(self.time).map_or_else(|_| "-".to_owned(), |time| format!("{time:.3}"))
    }
}

fn push_number(line: &mut String, value: &Value) {
    let _ = match value {
        Value::Text(text) => line.write_str(text),
        Value::Unsigned(number) => write!(line, "{number}"),
        Value::Signed(number) => write!(line, "{number}"),
        Value::Float(number) => write!(line, "{number:.3}"),
        Value::Bool(flag) => write!(line, "{flag}"),
    };
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}
