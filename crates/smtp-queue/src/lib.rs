//! The durable queue: log segments, sled index, schedule, leases, settlements.
