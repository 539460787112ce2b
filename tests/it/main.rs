//! Everything that needs more than one room: scenarios against a real API server, faults, and the house itself.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what is wrong by failing"
)]

mod chart;
mod clients;
mod docs;
mod faults;
mod ground;
mod runtime;
mod scenarios;
mod signin;
mod tidy;
mod world;
