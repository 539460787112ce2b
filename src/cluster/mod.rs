//! Kubernetes: what users declare, and what Usher shows them.
//!
//! ```text
//!   Lease ──► leader: one replica takes up the ledger, and looks; the others follow
//!   watches ──► index ──► queue ──► license::reconcile, authority::reconcile ──► Secrets, status, events
//!           │                ├────► identity_provider::reconcile ──► status, event
//!           └► identity_provider::keep ──► Registry: where people sign in, on every replica
//!                            ├────► unreadable: what this Usher cannot read says so
//!                            └────► namespace::reconcile: may we? ──► rights ──► a watch more, or less
//! ```

pub mod api;
mod arrivals;
pub mod audit;
pub mod authority;
pub mod ca;
mod callers;
pub mod census;
mod config_maps;
mod context;
mod events;
pub mod given;
pub mod identity_provider;
mod index;
mod intent;
pub mod labels;
mod leader;
pub mod license;
pub mod metrics;
mod names;
mod namespace;
mod once;
mod operator;
mod others;
mod own_key;
mod pair;
mod queue;
mod rebuild;
mod refusal;
pub mod rights;
mod runtime;
pub mod saml_key;
mod secrets;
pub mod standing;
mod status;
mod unreadable;
mod watch;
pub mod witness;

pub use callers::Reviews;
pub use context::Context;
pub use operator::{AUDIT_RETENTION, Settings, run};
