//! The use cases, one verb a file: gather, ask the domain, commit, answer.

pub mod activation_keys;
pub mod activations;
mod adopt_keys;
pub mod callers;
pub mod copy_license;
pub mod edge;
pub mod establish_authority;
pub mod follow_authority;
pub mod forget_person;
pub mod hold_license;
pub mod intent;
pub mod issue;
pub mod keep_audit;
pub mod key_store;
pub mod possession;
pub mod providers;
pub mod prune_activations;
pub mod reconcile_license;
pub mod recover_license;
pub mod sign_in;
pub mod verify_audit;
