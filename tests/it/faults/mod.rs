//! Faults to survive. Each test has three oracles:
//!
//! | oracle | says | by |
//! |---|---|---|
//! | the end | what there is afterwards is what there would be without the fault | [`place::Place::ends_as`] |
//! | the limit | nobody ever saw more seats taken than there are | [`place::Place::never_over`] |
//! | silence | a look at what is as it should be writes nothing | [`place::Place::is_silent`] |
//!
//! The fault itself is a plan for the [`wire`], which lies between the operator and the API server, or an edit by
//! somebody else.

mod crash;
mod editions;
mod hands;
mod kill;
mod leaders;
mod left;
pub mod lost;
mod many;
mod missed;
mod namespaces;
pub mod place;
mod refused;
mod replies;
mod standing;
mod takeover;
mod two;
mod watches;
pub mod wire;
mod world;
