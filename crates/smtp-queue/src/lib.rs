//! The durable queue: log segments, sled index, schedule, leases, settlements.
//!
//! A message comes in as a [`Draft`]: [`Queue::draft`] reserves room, [`Draft::write`] takes its body, and [`Draft::commit`]
//! returns when it is durable. It goes out by [`Lease`]s: [`Queue::ready`] names the lanes in which something is due,
//! [`Queue::lease`] lends due deliveries, and [`Queue::settle`] makes durable what became of them. Operators change it by
//! [`Queue::control`] and [`Queue::pause`], and look into it by [`Queue::find`] and [`Queue::message`].
//!
//! Everything durable passes through one thread, the committer, which takes all that waits as one batch: one write and one
//! sync of the log for all. What is where on disk, and how it is read back, is told in `docs/queue.md`.

// The unit tests use the same helpers as those in `tests`.
#[cfg(test)]
extern crate self as smtp_queue;

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod lane;
pub mod retry;
pub mod schedule;
pub mod select;

mod body;
mod codec;
mod committer;
mod control;
mod disk;
mod draft;
mod error;
mod fail_point;
mod lease;
mod message;
mod pause;
mod prepare;
mod queue;
mod report;
mod request;
mod row;
mod shared;
mod space;
mod store;
mod view;

#[cfg(test)]
#[allow(dead_code)]
#[path = "../tests/support/mod.rs"]
mod support;

pub use control::{Act, ControlError, ControlReport};
pub use draft::Draft;
pub use error::{CheckError, CommitError, DraftError, FatalError, FindError, OpenError};
pub use lane::{Lane, LaneTable};
pub use lease::{Lease, RecipientChange, RecipientOutcome, SettleError, Settled, Settlement};
pub use message::{NewDelivery, NewMessage, NewRecipient, NewReport};
pub use pause::Pause;
pub use queue::{CheckReport, Problem, Queue, QueueConfig, StoreKind};
pub use report::{Damage, StartReport};
pub use row::{Hold, HoldCause};
pub use schedule::{DeliveryId, Overdue, PauseScope, ReadyLane};
pub use select::{Page, Selector};
pub use view::{DeliveryState, DeliveryView, Health, MessageView, QueueStats, RecipientProgress, RecipientView};
