//! The crate as its users see it.

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rfc8037;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod typestates;
#[cfg(test)]
mod vectors;
