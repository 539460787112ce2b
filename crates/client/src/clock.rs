//! The one place of this crate that reads a clock.

/// Unix seconds: of a proof, and of whether an access token is still good. If the clock is wrong, the server says so, and the one is made again and the
/// other asked for anew; whether a program may run is decided elsewhere, by the time that the caller gives.
#[expect(
    clippy::disallowed_methods,
    reason = "of the moment at which something is sent; no right is decided by it here"
)]
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
