//! The use cases, one verb a file: gather, ask the domain, commit, answer.

pub mod edge;
pub mod establish_authority;
pub mod hold_license;
pub mod issue;
pub mod reconcile_license;
