//! The closed list of refusals of the runtime. A refusal is an answer, not an error: a code that programs go by, what it
//! means, and what to do next; beside them a sentence for the very case.

use crate::domain::{sessions::Exhausted, witness::Bar};

/// A refusal: its code, and the sentence for this case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code.
    pub code: Code,
    /// What happened here, naming the limit where there is one.
    pub detail: String,
    /// Of a session: which limit is reached, and by whom.
    pub exhausted: Option<Box<Exhausted>>,
}

impl Refusal {
    /// `code`, said as `detail`.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), exhausted: None }
    }
}

impl From<Code> for Refusal {
    /// A refusal of which there is no more to say than what its code means.
    fn from(code: Code) -> Self {
        Self::new(code, code.means())
    }
}

impl From<&Bar> for Refusal {
    /// Whose ledger it is, and where, is for whoever looks after it.
    fn from(bar: &Bar) -> Self {
        match bar {
            Bar::Foreign(_) => Code::LedgerForeign.into(),
            Bar::Lost(_) => Code::LedgerMissing.into(),
        }
    }
}

macro_rules! refusals {
    ($(#[doc = $means:literal] $name:ident = $code:literal, next $next:literal;)*) => {
        /// Why something is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $means] $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name, which programs go by.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn means(self) -> &'static str {
                match self {
                    $(Self::$name => $means.trim_ascii(),)*
                }
            }

            /// What to do next, in a sentence.
            #[must_use]
            pub const fn next(self) -> &'static str {
                match self {
                    $(Self::$name => $next,)*
                }
            }
        }
    };
}

refusals! {
    /// Usher never issued this nonce for this activation.
    NonceUnknown = "nonce-unknown", next "Send the last `N-Nonce` that this activation was given. If it is lost, activate again with the credential that made it.";
    /// The nonce was used already, by another request: something else goes on with this activation's state.
    NonceUsed = "nonce-used", next "If this is the only copy, activate again on the same device: it takes no second seat. If it is a copy, activate it as a device of its own.";
    /// The idempotency key was used for another request.
    IdempotencyKeyUsed = "idempotency-key-used", next "Draw a new key for each request; repeat a request with its key only unchanged.";
    /// Two copies of this activation were seen, and neither is renewed until somebody decides.
    ActivationQuarantined = "activation-quarantined", next "Ask an administrator, or the person whose seat it is, to resolve the fork, or wait until the last document has ended.";
    /// The activation has ended.
    ActivationEnded = "activation-ended", next "Activate again.";
    /// The activation's last document has ended, and its place may be another's.
    ActivationLapsed = "activation-lapsed", next "Refresh the activation, then ask again.";
    /// The device was activated again, and that activation took this one's place.
    ActivationSuperseded = "activation-superseded", next "Use the newer activation; if this is another machine, activate it as a device of its own.";
    /// All seats are taken by activations.
    SeatsExhausted = "seats-exhausted", next "Deactivate an activation, wait until one lapses, or raise the License's `seats`.";
    /// The seat is active on as many devices as it may be.
    DevicesExhausted = "devices-exhausted", next "Deactivate one of the seat's devices, or raise `devicesPerSeat`.";
    /// Seats went from device to device as often as they may for now.
    TransfersExhausted = "transfers-exhausted", next "Wait until the time that is named, or ask an administrator to raise `deviceTransfers`.";
    /// The device was activated again as often as it may be for now.
    RecoveriesExhausted = "recoveries-exhausted", next "Deactivate the activation and activate anew, or wait until the time that is named.";
    /// As many sessions are open as may be.
    SessionsExhausted = "sessions-exhausted", next "Close one of the sessions that are named, wait until one ends, or raise `sessions` in the License.";
    /// The session has ended: it was closed, nothing was heard of it in time, or what it stood upon has ended.
    SessionEnded = "session-ended", next "Open another session.";
    /// The credential is missing, unknown, or good for something else.
    Unauthorized = "unauthorized", next "Send the credential of this call: an activation key, a pod's service-account token, or the access token of somebody who has signed in, to activate; the activation's token for everything else.";
    /// The token is bound to a key, and no proof of possession came with the call.
    ProofMissing = "proof-missing", next "Send a proof by that key in the header `DPoP` (RFC 9449). If the key is lost, activate again, or sign in again.";
    /// The proof of possession does not hold.
    ProofInvalid = "proof-invalid", next "Make a proof for this request alone, by the key to which the token is bound: the detail says what does not hold.";
    /// The proof of possession is not of now.
    ProofStale = "proof-stale", next "Make the proof again, with the nonce of this answer's header `DPoP-Nonce`, and repeat the request with it.";
    /// The token was made for somebody else than Usher, or not only for Usher.
    AudienceWrong = "audience-wrong", next "Make one for the License's Authority alone: `kubectl create token NAME --audience ISSUER`, or a projected volume with that `audience`.";
    /// Whoever shows this token may not do this.
    Forbidden = "forbidden", next "Ask for a role that has what the detail names: `usher-licensor` in the License's namespace, or `usher-introspector` in the cluster; or sign in as the person whose seat it is, where that is enough.";
    /// Who asks is known to Kubernetes only, and the API server does not answer.
    ClusterUnreachable = "cluster-unreachable", next "Repeat the request unchanged, with its key, after `Retry-After`.";
    /// The License names no such service account.
    WorkloadNotNamed = "workload-not-named", next "Name the service account in the License's `workloads`, or run as one that is named there.";
    /// The service account is of another namespace than the License.
    WorkloadElsewhere = "workload-elsewhere", next "Run in the License's namespace, or ask for a License in the namespace of the service account.";
    /// The service account's token is bound to no pod.
    TokenUnbound = "token-unbound", next "Send the token of a projected volume of the pod, which is bound to it.";
    /// A workload made this activation, and the token of its pod did not come with the call.
    WorkloadTokenMissing = "workload-token-missing", next "Send the service account's token of the pod in the header `Workload-Token`, beside the activation's own.";
    /// This is the installation of another pod, and that pod is there.
    PodActive = "pod-active", next "Activate this pod by its own token, and keep its state where no other pod has it, such as in an `emptyDir`.";
    /// Usher may not look for pods in the License's namespace.
    PodsNotGranted = "pods-not-granted", next "Ask whoever owns the namespace to let Usher in: a RoleBinding to the ClusterRole `usher-documents`, as the License's conditions tell it.";
    /// The activation key has expired.
    KeyExpired = "key-expired", next "Ask for another activation key, or raise the key's `expires` in the License.";
    /// As many devices as may have activated by this key.
    KeyUsedUp = "key-used-up", next "Ask for another activation key, or raise the key's `uses` in the License.";
    /// The License is for people, and this is a device.
    DeviceNotAllowed = "device-not-allowed", next "Sign in instead, or change the License's `client`.";
    /// Only devices that a Seat names may activate.
    DeviceNotListed = "device-not-listed", next "Ask for a Seat with this device as its holder, or change the License's `admission`.";
    /// The device is active by another credential.
    DeviceActive = "device-active", next "Activate by the credential that was used before, or deactivate the device first.";
    /// Nobody has given a seat of this License to whoever has signed in.
    SeatMissing = "seat-missing", next "Ask whoever manages the License for a Seat or a place in a UserAssignment, for the address that you sign in with.";
    /// The seat of whoever has signed in waits: all seats are taken.
    SeatWaiting = "seat-waiting", next "Wait until a seat is free, or ask whoever manages the License.";
    /// Every UserAssignment that gives this person their seat is suspended.
    SeatSuspended = "seat-suspended", next "Wait until one is resumed, or ask whoever manages the License: what was given is good until its end.";
    /// The seat is another person's, who had the same address.
    HolderChanged = "holder-changed", next "Ask an administrator: whoever deletes the Seat gives it to whoever comes next with the address.";
    /// People of this identity provider do not count in the License's namespace.
    NamespaceNotAllowed = "namespace-not-allowed", next "Ask the platform team to have the IdentityProvider's `allowedNamespaces` name the namespace.";
    /// The License is suspended.
    LicenseSuspended = "license-suspended", next "Wait until it is resumed: what was given is good until its end.";
    /// The License has expired.
    LicenseExpired = "license-expired", next "Renew the contract: a later `validity.until` lets everything go on.";
    /// Nothing can be granted under the License as it stands: its conditions say why.
    LicenseNotReady = "license-not-ready", next "Look at the License's conditions; try again when they are mended.";
    /// The request is not what this call takes.
    RequestInvalid = "request-invalid", next "Correct what the detail names.";
    /// The request is larger than any that makes sense.
    RequestTooLarge = "request-too-large", next "Send less.";
    /// The headers of the request are larger than any that make sense.
    HeadersTooLarge = "headers-too-large", next "Send fewer or shorter headers.";
    /// The request did not arrive in time.
    RequestTimeout = "request-timeout", next "Repeat the request unchanged, with its key, over a connection that carries it.";
    /// The body is of another kind than this call takes.
    MediaTypeUnsupported = "media-type-unsupported", next "Send JSON, and say so: `Content-Type: application/json`, as `curl --json` does; where the detail says so, a form.";
    /// There is no such call.
    NotFound = "not-found", next "Compare the path with the guide.";
    /// This method does not go with this path.
    MethodNotAllowed = "method-not-allowed", next "Compare the method with the guide.";
    /// This caller asks too often.
    RateLimited = "rate-limited", next "Wait as long as `Retry-After` says.";
    /// As many requests are under way as may be.
    Overloaded = "overloaded", next "Repeat the request unchanged, with its key, after `Retry-After`.";
    /// The ledger was lost, or is older than it was: nobody has decided yet what becomes of it, or it is being rebuilt and does not know everybody yet.
    LedgerMissing = "ledger-missing", next "Repeat the request unchanged, with its key, later: after seconds if the ledger is being rebuilt; else whoever looks after Usher restores or rebuilds it.";
    /// Usher was given the ledger of another cluster, and does nothing with it.
    LedgerForeign = "ledger-foreign", next "Repeat the request unchanged, with its key, later; whoever looks after Usher gives it its own ledger.";
    /// Usher cannot answer now; nothing has changed.
    Unavailable = "unavailable", next "Repeat the request unchanged, with its key, after `Retry-After`.";
}

impl Code {
    /// Whether it says that something is not there, or not granted yet: out of a ledger that is being rebuilt nobody is told so, for it may only
    /// not be known yet.
    #[must_use]
    pub const fn is_for_want_of_facts(self) -> bool {
        matches!(
            self,
            Self::Unauthorized
                | Self::WorkloadNotNamed
                | Self::DeviceNotListed
                | Self::SeatMissing
                | Self::SeatWaiting
                | Self::LicenseNotReady
        )
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_refusal_is_a_word_in_small_letters_with_two_sentences() {
        assert_eq!(Code::NonceUsed.to_string(), "nonce-used");
        for code in Code::ALL {
            let word = code.as_str();
            assert!(word.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{word}");
            for sentence in [code.means(), code.next()] {
                assert!(
                    sentence.starts_with(char::is_uppercase) && sentence.ends_with('.'),
                    "{word}: {sentence}"
                );
            }
            assert_eq!(Refusal::from(*code), Refusal::new(*code, code.means()));
        }
        let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
    }
}
