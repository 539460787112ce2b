//! Kubernetes: what users declare, and what Usher shows them.
//!
//! ```text
//!   watches ──► index ──► queue ──► license::reconcile, authority::reconcile ──► Secrets, status, events
//! ```

pub mod api;
pub mod authority;
pub mod ca;
mod context;
mod events;
mod index;
pub mod labels;
pub mod license;
pub mod metrics;
mod operator;
mod queue;
mod secrets;
mod status;
mod watch;

pub use context::Context;
pub use operator::{Settings, run};
