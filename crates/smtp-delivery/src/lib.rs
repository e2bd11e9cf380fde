//! From a lease to an outcome: routes, next hops, pace, Maildir.
//!
//! [`Routes`] says which next hop a domain's mail goes to, [`Pace`] how many sessions it may have now, and a
//! [`Carrier`] of the [`Deliverer`] makes the attempts. What is due and what becomes of the outcomes is not known here.

mod deliver;
pub mod maildir;
mod pace;
mod pool;
mod protection;
mod resolve;
mod route;

pub use deliver::{Carrier, Connected, Deliverer, DelivererSettings};
pub use pace::{Admission, Pace, PaceLimits};
pub use protection::{NoTls, Protection};
pub use resolve::Unreachable;
pub use route::{NoRoute, Route, Routes};
