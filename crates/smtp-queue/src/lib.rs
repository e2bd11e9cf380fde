//! The durable queue: log segments, sled index, schedule, leases, settlements.

pub mod lane;
pub mod retry;
pub mod schedule;
pub mod select;
