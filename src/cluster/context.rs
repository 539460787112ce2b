//! What every reconcile is given.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use jiff::Timestamp;
use kube::{Client, ResourceExt as _};
use tokio::sync::{Notify, watch};

use crate::{
    cluster::{
        events::Events,
        identity_provider::Outcomes,
        index::Index,
        leader::{Lead, guard},
        metrics::Metrics,
        names::Awaited,
        queue::{Queue, Task},
        rebuild::Rebuild,
        rights::{Access, EVERYWHERE, Right, Rights},
        runtime::Summaries,
    },
    domain::{
        license::{Key, Uid},
        reason::Because,
        witness::{Head, Standing},
    },
    identity::saml::Reader,
    keys::{Published, Signer, Signers, nonce::NonceKeys},
    service::{edge::Edge, providers::Registry},
};

/// More looks than this at once are asked for because something around them changed.
const MANY: usize = 16;

/// What became of an Authority's keys.
pub type Signing = Result<Arc<Signer>, Because>;

/// The parts that reconciles share.
pub struct Context<L> {
    /// To the API server; it writes only while this replica leads.
    pub client: Client,
    /// The same, for what is written to become the leader.
    pub(super) unfenced: Client,
    /// Whether this replica leads.
    pub(super) lead: watch::Sender<Option<Lead>>,
    /// The facts.
    pub ledger: L,
    /// Clock and randomness.
    pub edge: Arc<dyn Edge>,
    /// The namespace of Usher itself, where keys are kept.
    pub namespace: String,
    /// What the cluster holds.
    pub(super) index: Index,
    /// Where we may work with Secrets.
    pub(super) rights: Rights,
    /// Who waits for the name of a Secret.
    pub(super) awaited: Awaited,
    /// What users are told.
    pub(super) events: Events,
    /// What is served over HTTPS.
    pub published: Arc<Published>,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    pub(super) queue: Mutex<Queue>,
    pub(super) pushed: Notify,
    /// Told when somebody was bound or freed: the witness is written at once.
    pub(super) binding_changed: Notify,
    /// Told when a key has turned that is still used here: whoever follows looks at once.
    pub(super) key_turned: Notify,
    /// Who signs, for those who answer programs.
    pub signers: Arc<Signers>,
    pub(super) summaries: Summaries,
    /// What is still to be made true again after a loss.
    pub(super) rebuild: Rebuild,
    /// Where people may sign in, on every replica.
    pub providers: Arc<Registry>,
    /// What became of each IdentityProvider.
    pub(super) identities: Outcomes,
    /// What reads XML, in processes of its own.
    pub saml: Reader,
    /// How the ledger stands, for those who answer programs.
    pub(super) standing: watch::Sender<Standing>,
    /// What makes nonces, once it is found.
    pub nonces: Arc<OnceLock<NonceKeys>>,
    signing: Mutex<HashMap<String, (Option<Declaration>, Signing)>>,
    term: Mutex<Option<Term>>,
}

/// What holds while this replica leads, and is found out anew when it leads again.
struct Term {
    /// The ledger, as it was taken up.
    head: Head,
    /// The Licenses of which the ledger is known to tell the truth.
    known: HashSet<Uid>,
    /// The names of Licenses that were looked at: what there was to recover is recovered.
    looked: HashSet<Key>,
    /// Who waits for a License to be looked at, by its name.
    waiting: HashMap<Key, Vec<Key>>,
    /// The names of Licenses that are gone, of which nothing is left.
    swept: HashSet<Key>,
}

/// Which object it was that was read, by UID and generation.
pub type Declaration = (Option<String>, Option<i64>);

impl<L> Context<L> {
    /// Puts the parts together.
    pub fn new(
        client: Client,
        rights: Rights,
        ledger: L,
        edge: Arc<dyn Edge>,
        namespace: String,
        published: Arc<Published>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let lead = watch::Sender::new(None);
        let unfenced = client;
        let client = guard(unfenced.clone(), lead.subscribe(), edge.clone());
        Self {
            events: Events::new(client.clone(), edge.clone()),
            client,
            unfenced,
            lead,
            ledger,
            edge,
            namespace,
            index: Index::default(),
            rights,
            awaited: Awaited::default(),
            published,
            metrics,
            queue: Mutex::default(),
            pushed: Notify::new(),
            binding_changed: Notify::new(),
            key_turned: Notify::new(),
            signers: Arc::default(),
            standing: watch::Sender::default(),
            nonces: Arc::default(),
            summaries: Summaries::default(),
            rebuild: Rebuild::default(),
            providers: Arc::default(),
            identities: Outcomes::default(),
            saml: Reader::default(),
            signing: Mutex::default(),
            term: Mutex::default(),
        }
    }

    /// The ledger is ours, as far as `head` says. What was known under an earlier lead is forgotten.
    pub(super) fn begin_term(&self, head: Head) {
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Queue::default();
        self.signing.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let (known, looked, swept) = (HashSet::new(), HashSet::new(), HashSet::new());
        let term = Term { head, known, looked, waiting: HashMap::new(), swept };
        *self.term.lock().unwrap_or_else(PoisonError::into_inner) = Some(term);
    }

    /// The ledger's incarnation, and when it began.
    pub(super) fn incarnation(&self) -> (i64, Timestamp) {
        let term = self.term.lock().unwrap_or_else(PoisonError::into_inner);
        term.as_ref().map_or((1, Timestamp::UNIX_EPOCH), |term| (term.head.mark.incarnation, term.head.since))
    }

    /// Whether the ledger was ever lost or restored: then it may know less than there is.
    pub(super) fn was_lost(&self) -> bool {
        self.incarnation().0 > 1
    }

    /// Whether the ledger is known to tell the truth of this License.
    pub(super) fn is_true(&self, license: &Uid) -> bool {
        self.in_term(|term| term.known.contains(license))
    }

    /// From now on it is.
    pub(super) fn note_true(&self, license: &Uid) {
        self.in_term(|term| term.known.insert(license.clone()));
    }

    /// The License was looked at: what there was to recover of it is recovered. Whoever waited for that is looked at again.
    pub(super) fn note_looked(&self, license: &Key) {
        let mut waiting = Vec::new();
        self.in_term(|term| {
            waiting = term.waiting.remove(license).unwrap_or_default();
            term.looked.insert(license.clone())
        });
        if !waiting.is_empty() {
            self.push(waiting.into_iter().map(Task::License));
        }
    }

    /// Whether one of `others` was not looked at yet; then `license` is looked at again once that one was.
    pub(super) fn waits_for(&self, license: &Key, others: Vec<Key>) -> bool {
        self.in_term(|term| {
            let other = others.into_iter().find(|other| !term.looked.contains(other));
            let waits = other.is_some();
            if let Some(other) = other {
                term.waiting.entry(other).or_default().push(license.clone());
            }
            waits
        })
    }

    /// Whether nothing is left of the License, which is gone.
    pub(super) fn is_swept(&self, license: &Key) -> bool {
        self.in_term(|term| term.swept.contains(license))
    }

    /// From now on there is not.
    pub(super) fn note_swept(&self, license: &Key) {
        self.in_term(|term| term.swept.insert(license.clone()));
    }

    fn in_term(&self, look: impl FnOnce(&mut Term) -> bool) -> bool {
        let mut term = self.term.lock().unwrap_or_else(PoisonError::into_inner);
        term.as_mut().is_some_and(look)
    }

    /// What is measured, as OpenMetrics text; how everything stands is counted now.
    pub fn measured(&self) -> String {
        self.metrics.counted(&self.index.census(self.edge.now()));
        self.metrics.text()
    }

    /// Asks for looks. Of many, those are reviews of which all is told already.
    pub(super) fn push(&self, tasks: impl IntoIterator<Item = Task>) {
        let tasks: Vec<Task> = tasks.into_iter().collect();
        let untold = (tasks.len() > MANY).then(|| self.index.untold());
        let is_untold =
            |untold: &HashSet<Key>, task: &Task| matches!(task, Task::License(key) if untold.contains(key));
        let is_news = |task: &Task| untold.as_ref().is_none_or(|untold| is_untold(untold, task));
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        for task in tasks {
            if is_news(&task) { queue.push(task) } else { queue.review(task) }
        }
        drop(queue);
        self.pushed.notify_one();
    }

    /// These Secrets are gone: whoever waits for one of their names looks again.
    pub(super) fn released(&self, secrets: &[Key]) {
        let waiting = self.awaited.by(secrets);
        if !waiting.is_empty() {
            self.push(waiting.into_iter().map(Task::License));
        }
    }

    /// Asks for a look by then.
    pub(super) fn push_by(&self, task: Task, by: Timestamp) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_by(task, by);
        self.pushed.notify_one();
    }

    /// Whether every kind was listed once; of Secrets, those that we may always see.
    pub(super) fn is_complete(&self) -> bool {
        let scope = if self.rights.are_wide() { EVERYWHERE } else { &self.namespace };
        self.index.complete() && self.index.secrets_are_listed(scope) && self.identities.are_settled()
    }

    /// The look at `key` needs these namespaces and no others, and is made again when something becomes of one.
    pub(super) fn want(&self, key: &Key, namespaces: &BTreeSet<String>) {
        let new = self.rights.want(key, namespaces);
        if !new.is_empty() {
            self.push(new.into_iter().map(Task::Namespace));
        }
    }

    /// Whether we may work with the Secrets of `namespace`, which somebody wants.
    pub(super) fn access(&self, namespace: &str) -> Access {
        if self.index.is_ending(namespace) {
            return Access::Ending;
        }
        match self.rights.right(namespace) {
            Right::Granted if self.index.secrets_are_listed(namespace) => Access::Open,
            Right::Granted | Right::Unknown => Access::Unknown,
            Right::Refused => Access::Refused,
        }
    }

    /// Whether nothing is known of this Secret because our right there has ended since the look began: that brings another look.
    pub(super) fn is_out_of_sight(&self, secret: &Key) -> bool {
        // In this order: the right ends before the index forgets.
        self.index.secret(secret).is_none() && self.access(&secret.namespace) != Access::Open
    }

    /// The signer of an Authority; `None` until it was looked at once.
    pub(super) fn signing(&self, authority: &str) -> Option<Signing> {
        let signers = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
        signers.get(authority).map(|(_, signing)| signing.clone())
    }

    /// The same, if it is of the very object with `uid`: whoever had its name before, or has it since, allows something else.
    pub(super) fn signing_of(&self, authority: &str, uid: &str) -> Option<Signing> {
        let signers = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
        let (declared, signing) = signers.get(authority)?;
        let (of, _) = declared.as_ref()?;
        (of.as_deref() == Some(uid)).then(|| signing.clone())
    }

    /// Everybody who signs; `None` until every Authority was looked at once.
    pub(super) fn signers(&self) -> Option<Vec<Arc<Signer>>> {
        let authorities = self.index.authorities();
        let signings: Option<Vec<Signing>> =
            authorities.iter().map(|authority| self.signing(&authority.name_any())).collect();
        Some(signings?.into_iter().filter_map(Result::ok).collect())
    }

    /// Records what became of an Authority's keys. Asks for a look at the Licenses under it, unless nothing is other for
    /// them: the same declaration, signed for by the same key.
    pub(super) fn set_signing(
        &self,
        authority: &str,
        declared: Option<Declaration>,
        signing: Option<Signing>,
    ) {
        let same = {
            let mut signers = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
            let former = signers.get(authority);
            let same = declared.is_some()
                && former
                    .zip(signing.as_ref())
                    .is_some_and(|((former, before), after)| *former == declared && alike(before, after));
            self.signers.set(authority, signing.as_ref().and_then(|signing| signing.as_ref().ok()).cloned());
            match signing {
                Some(signing) => drop(signers.insert(authority.to_owned(), (declared, signing))),
                None => drop(signers.remove(authority)),
            }
            same
        };
        if !same {
            let under: BTreeSet<Task> =
                self.index.licenses_under(authority).into_iter().map(Task::License).collect();
            self.push(under);
        }
    }
}

fn alike(before: &Signing, after: &Signing) -> bool {
    match (before, after) {
        (Ok(before), Ok(after)) => before.signs_like(after),
        (Err(before), Err(after)) => before == after,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use jiff::Timestamp;

    use super::*;
    use crate::domain::reason::Reason;

    struct Still;

    impl Edge for Still {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
        fn wait_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
        fn elapsed(&self) -> std::time::Duration {
            std::time::Duration::ZERO
        }
        fn wait(&self, _: std::time::Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
        fn entropy(&self) -> [u8; 32] {
            [0; 32]
        }
    }

    #[tokio::test]
    async fn nobody_signs_in_the_name_of_a_namesake() {
        let client = Client::try_from(kube::Config::new("http://127.0.0.1:9".parse().unwrap())).unwrap();
        let (edge, namespace) = (Arc::new(Still), "usher-system".to_owned());
        let (published, metrics) = (Arc::default(), Arc::default());
        let context = Context::new(client, Rights::new(true), (), edge, namespace, published, metrics);
        let keys = || Some(Err(Because::new(Reason::KeyMissing, "whatever became of its keys")));
        context.set_signing("default", Some((Some("former".into()), Some(1))), keys());
        assert!(context.signing_of("default", "former").is_some());
        assert!(context.signing_of("default", "latter").is_none(), "it was not looked at yet");
        context.set_signing("default", None, keys());
        assert!(context.signing_of("default", "former").is_none(), "nobody knows whose these are");
    }
}
