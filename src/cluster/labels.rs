//! The labels by which Usher knows its own objects. None of them names a person.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    cluster::queue::Task,
    domain::license::{Key, Uid},
};

/// Whose it is.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`].
pub const USHER: &str = "usher";
/// On a Secret: the License whose document, or whose Seat's document, it holds. On a Seat that Usher made: its License.
pub const LICENSE: &str = "usher.dev/license";
/// On a Secret: the UID of the License or Seat.
pub const SUBJECT: &str = "usher.dev/subject";
/// On a copy of a License's Secret: the License's namespace.
pub const LICENSE_NAMESPACE: &str = "usher.dev/license-namespace";
/// On a Secret or ConfigMap: the Authority.
pub const AUTHORITY: &str = "usher.dev/authority";

/// What the name of a ConfigMap begins with in which somebody brings the key set of an Authority; its name follows.
pub const KEY_SET_OF: &str = "usher-key-set-";

/// The name of the ConfigMap in which the keys of an Authority are published.
#[must_use]
pub fn published_of(authority: &str) -> String {
    format!("usher-authority-{authority}")
}

/// Selects what is ours.
#[must_use]
pub fn selector() -> String {
    format!("{MANAGED_BY}={USHER}")
}

/// The labels of a document's Secret.
#[must_use]
pub fn of_document(license: &str, subject: &Uid) -> BTreeMap<String, String> {
    labels([(LICENSE, license), (SUBJECT, &subject.0)])
}

/// The labels of a Seat that Usher makes.
#[must_use]
pub fn of_license(license: &str) -> BTreeMap<String, String> {
    labels([(LICENSE, license)])
}

/// The labels of a copy of a License's Secret.
#[must_use]
pub fn of_copy(license: &Key, uid: &Uid) -> BTreeMap<String, String> {
    labels([(LICENSE, license.name.as_str()), (LICENSE_NAMESPACE, &license.namespace), (SUBJECT, &uid.0)])
}

/// The labels of what belongs to an Authority.
#[must_use]
pub fn of_authority(authority: &str) -> BTreeMap<String, String> {
    labels([(AUTHORITY, authority)])
}

/// The labels of what belongs to Usher itself.
#[must_use]
pub fn of_usher() -> BTreeMap<String, String> {
    labels([])
}

fn labels<'a>(own: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let all = own.into_iter().chain([(MANAGED_BY, USHER)]);
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Whose reconcile looks after an object with this metadata.
#[must_use]
pub fn task_of(meta: &ObjectMeta) -> Option<Task> {
    labelled(meta).or_else(|| key_set_of(meta))
}

fn labelled(meta: &ObjectMeta) -> Option<Task> {
    let labels = meta.labels.as_ref()?;
    if let Some(authority) = labels.get(AUTHORITY) {
        return Some(Task::Authority(authority.clone()));
    }
    let license = labels.get(LICENSE)?;
    let namespace = labels.get(LICENSE_NAMESPACE).or(meta.namespace.as_ref())?;
    Some(Task::License(Key::new(namespace, license)))
}

/// The Authority for which somebody brought a key set.
fn key_set_of(meta: &ObjectMeta) -> Option<Task> {
    let authority = meta.name.as_deref()?.strip_prefix(KEY_SET_OF)?;
    Some(Task::Authority(authority.to_owned()))
}
