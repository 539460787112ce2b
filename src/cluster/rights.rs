//! In which namespaces Usher may work with Secrets.
//!
//! ```text
//!            wanted             every verb is allowed
//!   nothing ───────► asked for ─────────────────────► granted ──► watched ──► listed: work begins
//!      ▲                │  ▲                             │
//!      │                │  └── its RoleBinding changed, ─┘
//!      │                ▼      a watch met 403, or it is time again
//!      └────────────  refused
//!   nobody wants it any more
//! ```
//!
//! 1. A look says which namespaces it needs ([`Rights::want`]), and is made again when something becomes of one.
//! 2. Before it is known whether we may, and before the Secrets there were listed once, nothing is decided.
//! 3. Where we may not, nothing is decided that would touch a Secret: whoever holds keeps.
//! 4. In the announced wide mode we may everywhere, and one watch follows all.
//!
//! Nothing here asks the API server: [`crate::cluster::namespace`] does, one namespace at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use jiff::SignedDuration;
use tokio::sync::Notify;

use crate::{
    cluster::queue::Task,
    domain::{
        license::Key,
        reason::{Because, Reason},
    },
};

/// The ClusterRole that lets Usher keep documents, and the RoleBinding that a namespace's owner makes of it.
pub const DOCUMENTS: &str = "usher-documents";
/// Usher's ServiceAccount.
pub const SERVICE_ACCOUNT: &str = "usher";

/// The watch that follows the Secrets of all namespaces.
pub(super) const EVERYWHERE: &str = "";

/// While the answer and the RoleBinding do not agree: the API server's authorizer learns of it by a watch, too.
const FIRST_DOUBT: SignedDuration = SignedDuration::from_secs(1);
/// How long until we ask again for what was refused: rights may come in other ways than by the RoleBinding.
const ASK_AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// Whether we may work with the Secrets of a namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Right {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// We may not.
    Refused,
    /// We may.
    Granted,
}

#[derive(Debug, Default)]
struct Namespace {
    wanted_by: BTreeSet<Key>,
    right: Right,
    /// How often in a row the answer did not agree with the RoleBinding.
    doubts: u32,
}

/// Whether a look may go on, as far as one namespace and its Secrets are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// It may.
    Open,
    /// Not known yet, or what is there not yet: something will bring us back.
    Unknown,
    /// It may not touch a Secret.
    Refused,
    /// The namespace is going or gone, and what is there with it.
    Ending,
}

/// What is known of our rights.
#[derive(Debug, Default)]
pub struct Rights {
    wide: bool,
    namespaces: Mutex<BTreeMap<String, Namespace>>,
    changed: Notify,
}

impl Rights {
    /// Rights by a RoleBinding in each namespace; `wide`, in the whole cluster.
    #[must_use]
    pub fn new(wide: bool) -> Self {
        Self { wide, ..Self::default() }
    }

    /// Whether one watch follows all Secrets.
    pub(super) const fn are_wide(&self) -> bool {
        self.wide
    }

    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Namespace>) -> T) -> T {
        change(&mut self.namespaces.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The look at `key` needs these namespaces and no others. Returns those that are to be looked at.
    pub(super) fn want(&self, key: &Key, needed: &BTreeSet<String>) -> Vec<String> {
        self.with(|namespaces| {
            let mut touched = Vec::new();
            for (name, namespace) in namespaces.iter_mut().filter(|(name, _)| !needed.contains(*name)) {
                if namespace.wanted_by.remove(key) && namespace.wanted_by.is_empty() {
                    touched.push(name.clone());
                }
            }
            for name in needed {
                let namespace = namespaces.entry(name.clone()).or_default();
                if namespace.wanted_by.is_empty() {
                    touched.push(name.clone());
                }
                namespace.wanted_by.insert(key.clone());
            }
            touched
        })
    }

    /// The look at `key` needs this namespace, too. Returns whether it is to be looked at.
    pub(super) fn need(&self, key: &Key, needed: &str) -> bool {
        self.with(|namespaces| {
            let namespace = namespaces.entry(needed.to_owned()).or_default();
            let new = namespace.wanted_by.is_empty();
            namespace.wanted_by.insert(key.clone());
            new
        })
    }

    /// Every namespace that looks need.
    pub(super) fn wanted(&self) -> Vec<String> {
        self.with(|all| all.keys().cloned().collect())
    }

    /// Whose looks need this namespace.
    pub(super) fn wanted_by(&self, namespace: &str) -> BTreeSet<Key> {
        self.with(|all| all.get(namespace).map(|namespace| namespace.wanted_by.clone()).unwrap_or_default())
    }

    /// Whether a Secret in `namespace` may call for this look: anybody may write a label, but nobody calls for a look at a License
    /// of another namespace unless that one wants to be where the Secret is.
    pub(super) fn calls(&self, namespace: &str, task: &Task) -> bool {
        match task {
            Task::License(key) if key.namespace != namespace => {
                self.with(|all| all.get(namespace).is_some_and(|there| there.wanted_by.contains(key)))
            }
            _ => true,
        }
    }

    /// Whether any look needs this namespace.
    pub(super) fn is_wanted(&self, namespace: &str) -> bool {
        self.with(|all| all.get(namespace).is_some_and(|namespace| !namespace.wanted_by.is_empty()))
    }

    /// Whether we may.
    pub(super) fn right(&self, namespace: &str) -> Right {
        if self.wide {
            return Right::Granted;
        }
        self.with(|all| all.get(namespace).map(|namespace| namespace.right).unwrap_or_default())
    }

    /// Where we may.
    pub(super) fn granted(&self) -> BTreeSet<String> {
        self.with(|all| {
            let granted = all.iter().filter(|(_, namespace)| namespace.right == Right::Granted);
            granted.map(|(name, _)| name.clone()).collect()
        })
    }

    /// The RoleBinding of this namespace came, changed or went: doubts begin anew.
    pub(super) fn news(&self, namespace: &str) {
        self.with(|all| all.get_mut(namespace).into_iter().for_each(|namespace| namespace.doubts = 0));
    }

    /// Nobody needs this namespace, or it is gone: what is known of it is forgotten.
    pub(super) fn forget(&self, namespace: &str) {
        let was_granted = self.with(|all| {
            let Some(known) = all.get_mut(namespace) else { return false };
            let right = std::mem::take(&mut known.right);
            if known.wanted_by.is_empty() {
                all.remove(namespace);
            }
            right == Right::Granted
        });
        if was_granted {
            self.changed.notify_one();
        }
    }

    /// We asked: `allowed` or not, and there is a RoleBinding or not. Returns whether that is new, and when to ask again.
    pub(super) fn answered(
        &self,
        namespace: &str,
        allowed: bool,
        bound: bool,
    ) -> (bool, Option<SignedDuration>) {
        let right = if allowed { Right::Granted } else { Right::Refused };
        let (changed, doubts) = self.with(|all| {
            let Some(known) = all.get_mut(namespace) else { return (false, 0) };
            let changed = std::mem::replace(&mut known.right, right) != right;
            let doubts = known.doubts;
            known.doubts = if allowed == bound { 0 } else { doubts.saturating_add(1) };
            (changed, doubts)
        });
        if changed {
            self.changed.notify_one();
        }
        let doubt = FIRST_DOUBT.saturating_mul(1 << doubts.min(16)).min(ASK_AGAIN);
        let again = match (allowed, bound) {
            (true, true) => None,
            (false, false) => Some(ASK_AGAIN),
            (true, false) | (false, true) => Some(doubt),
        };
        (changed, again)
    }

    /// Returns when the granted namespaces may be others than before.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// Why nothing is signed for `namespace`, and the command that lets Usher in.
pub(super) fn not_granted(namespace: &str, usher: &str) -> Because {
    Because::new(
        Reason::NamespaceNotGranted,
        format!(
            "Usher may not keep Secrets in namespace {namespace}; who owns it lets Usher in with: {}",
            command(namespace, usher)
        ),
    )
}

/// What whoever owns `namespace` lets Usher in with.
pub(super) fn command(namespace: &str, usher: &str) -> String {
    format!(
        "kubectl create rolebinding {DOCUMENTS} -n {namespace} --clusterrole={DOCUMENTS} \
         --serviceaccount={usher}:{SERVICE_ACCOUNT}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new("design", name)
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_namespace_is_asked_for_when_it_is_first_wanted_and_forgotten_when_it_is_not_any_more() {
        let rights = Rights::new(false);
        assert_eq!(rights.want(&key("a"), &set(&["design", "farm"])), ["design", "farm"]);
        assert_eq!(rights.want(&key("b"), &set(&["design"])), [""; 0]);
        assert_eq!(rights.want(&key("a"), &set(&["design"])), ["farm"], "nobody wants it now");
        rights.forget("farm");
        assert!(!rights.is_wanted("farm") && rights.is_wanted("design"));
        assert_eq!(rights.want(&key("a"), &set(&[])), [""; 0], "the other still wants it");
        assert_eq!(rights.want(&key("b"), &set(&[])), ["design"]);
    }

    #[test]
    fn nothing_is_granted_before_the_answer_is_there() {
        let rights = Rights::new(false);
        rights.want(&key("a"), &set(&["design"]));
        assert_eq!(rights.right("design"), Right::Unknown);
        assert_eq!(rights.answered("design", false, false), (true, Some(ASK_AGAIN)));
        assert_eq!((rights.right("design"), rights.granted()), (Right::Refused, set(&[])));
        assert_eq!(rights.answered("design", true, true), (true, None));
        assert_eq!((rights.right("design"), rights.granted()), (Right::Granted, set(&["design"])));
        assert_eq!(rights.answered("design", true, true), (false, None));
    }

    #[test]
    fn while_the_answer_and_the_binding_do_not_agree_we_ask_again_soon_and_then_more_seldom() {
        let rights = Rights::new(false);
        rights.want(&key("a"), &set(&["design"]));
        let mut waits = Vec::new();
        for _ in 0..12 {
            waits.push(rights.answered("design", false, true).1.unwrap());
        }
        assert_eq!(waits[..3], [1, 2, 4].map(SignedDuration::from_secs));
        assert_eq!(waits[11], ASK_AGAIN);
        rights.news("design");
        assert_eq!(rights.answered("design", true, false).1, Some(FIRST_DOUBT));
    }

    #[test]
    fn a_label_calls_for_no_look_at_a_license_elsewhere_that_does_not_want_to_be_there() {
        let rights = Rights::new(false);
        rights.want(&key("a"), &set(&["design", "farm"]));
        let calls = |namespace: &str, name: &str| rights.calls(namespace, &Task::License(key(name)));
        assert!(calls("design", "a") && calls("design", "b"), "at home");
        assert!(calls("farm", "a"), "it has a copy there");
        assert!(!calls("farm", "b") && !calls("lab", "a"));
    }

    #[test]
    fn in_the_wide_mode_everything_is_granted() {
        assert_eq!(Rights::new(true).right("design"), Right::Granted);
    }

    #[test]
    fn the_sentence_is_short_enough_to_be_read_and_ends_with_the_command() {
        let because = not_granted("design", "usher-system");
        assert!(because.message.len() < 300, "{}", because.message.len());
        assert!(because.message.ends_with(
            "kubectl create rolebinding usher-documents -n design --clusterrole=usher-documents --serviceaccount=usher-system:usher"
        ));
    }
}
