//! Usher: a Kubernetes operator that manages who may use licensed software.

pub mod domain;
pub mod ledger;
