//! Usher: a Kubernetes operator that manages who may use licensed software.
//!
//! ```text
//!   http ─┐
//!   cluster ─┼──► service ──► domain          domain imports nothing of ours
//!   cmd ─┘         │
//!                  └──► ledger, keys, identity   through small traits that those rooms own
//! ```
//!
//! ARCHITECTURE.md is the longer map; a test holds the arrows.

pub mod cluster;
pub mod cmd;
pub mod domain;
pub mod http;
pub mod identity;
pub mod keys;
pub mod ledger;
pub mod service;
