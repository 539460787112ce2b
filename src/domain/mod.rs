//! The rules. Pure, synchronous and total: no clock, no I/O, no Kubernetes, no HTTP, no SQL.
//!
//! | module | what it rules |
//! |---|---|
//! | [`text`], [`duration`] | what people write, parsed once |
//! | [`license`] | what is licensed to whom, and in which phase a License is |
//! | [`terms`] | what a License, its Edition and Usher's own defaults come to |
//! | [`contract`] | what the runtime goes by |
//! | [`assignment`] | whom assignments name, and the Seats that stand for them |
//! | [`allocation`] | who holds a seat and who waits |
//! | [`features`] | which features a seat carries |
//! | [`document`] | what a signed document says, how long it is good, when it is renewed |
//! | [`rotation`], [`reissue`] | which key signs, which are published, and what becomes of documents under a revoked one |
//! | [`chain`] | which copy of an activation's state is the living one, and which limits activations meet |
//! | [`workload`] | which installation a pod is |
//! | [`heard`] | how often it is recorded that an installation was heard of |
//! | [`sessions`] | which uses of a License are open, and whether one more may be |
//! | [`principal`], [`standing`] | who somebody is, as proven, which addresses count, and which seat is theirs |
//! | [`authorization`] | what a program may ask for when somebody is to sign in |
//! | [`login`] | how long somebody is signed in on a device, and which of its tokens are good |
//! | [`device`] | how a device without a browser waits until somebody has signed in for it elsewhere |
//! | [`belonging`] | which identity provider an issuer or a domain belongs to |
//! | [`namespaces`] | in which namespaces something counts |
//! | [`leadership`], [`reach`] | which of several replicas leads, and how long |
//! | [`witness`] | whether a ledger is this cluster's, and the one that was there last |
//! | [`refused`] | which refusals the audit is told of one by one, and which are counted |
//! | [`reason`], [`refusal`] | the closed lists of reasons that people are given, and of codes that programs are |

pub mod allocation;
pub mod assignment;
pub mod authorization;
pub mod belonging;
pub mod chain;
pub mod contract;
pub mod device;
pub mod document;
pub mod duration;
pub mod features;
pub mod heard;
pub mod leadership;
pub mod license;
pub mod login;
pub mod membership;
pub mod namespaces;
pub mod principal;
pub mod reach;
pub mod reason;
pub mod refusal;
pub mod refused;
pub mod reissue;
pub mod rotation;
pub mod sessions;
pub mod standing;
pub mod terms;
pub mod text;
pub mod witness;
pub mod workload;

use sha2::{Digest as _, Sha256};

/// A SHA-256 of parts that cannot run into each other.
pub(crate) fn digest<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Bytes as people read them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
        text
    })
}
