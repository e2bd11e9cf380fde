//! The admin API: request and response types and a typed client over a Unix socket.
//!
//! The daemon serves HTTP/1.1 with JSON bodies on a Unix socket; a list comes as JSON lines, so that neither side holds a
//! big queue in memory. The schema is additive: members are added and never change their meaning, and a reader passes
//! over members that it does not know. Times are RFC 3339 in UTC, sizes are octets, durations are seconds; the unit is
//! in the name.
//!
//! | request | answer |
//! |---|---|
//! | `GET /livez` | 200 while the process works |
//! | `GET /readyz` | 200 when mail is accepted and the queue can be written, else 503; a line for each problem |
//! | `GET /metrics` | `OpenMetrics` text |
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/stats` | [`Stats`] |
//! | `POST /v1/queue/find` with a [`Selector`] | JSON lines of [`QueuedRecipient`] |
//! | `GET /v1/queue/messages/{id}` | [`QueuedMessage`] |
//! | `GET /v1/queue/messages/{id}/content` | the content, octet for octet |
//! | `POST /v1/queue/control` with a [`Control`] | [`ControlReport`] |
//! | `POST /v1/route` with a [`RouteRequest`] | [`AddressRoute`] |
//! | `POST /v1/pause` with a [`PauseRequest`] | [`Status`] |
//! | `POST /v1/resume` with a [`ResumeRequest`] | [`Status`] |
//! | `POST /v1/queue/check` | [`QueueCheck`] |
//!
//! Whatever is refused has a body of type [`Problem`].

mod client;
#[cfg(feature = "queue")]
pub mod queue;
mod types;

pub use self::client::{Client, ClientError, Content, Entries};
pub use self::types::{
    Act, AddressRoute, Class, Control, ControlReport, DomainSet, Hold, LastAttempt, Pause, PauseRequest, Problem,
    QueueCheck, QueueCounts, QueueState, QueuedMessage, QueuedRecipient, ResumeRequest, RouteRefusal, RouteRequest,
    RouteTarget, Running, Scope, Selector, Size, Stats, Status,
};

/// Where the daemon listens unless the configuration says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/smtp-server/control.sock";

/// The media type of a list: one JSON value a line.
pub const JSON_LINES: &str = "application/x-ndjson";

/// The most octets that a request body may have: a selector with some hundred thousand ids.
pub const REQUEST_OCTETS_MAX: usize = 16 * 1024 * 1024;
