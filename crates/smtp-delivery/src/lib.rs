//! From a lease to an outcome: routes, next hops, pace, Maildir.

mod pace;
mod route;

pub use pace::{Admission, Pace, PaceLimits};
pub use route::{NoRoute, Route, Routes};
