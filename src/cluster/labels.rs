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

/// Whose look repairs a document's Secret with this metadata. Anybody may label a Secret: what others put on it means
/// nothing, and [`LICENSE_NAMESPACE`] calls for a look only if that License wants this namespace (`Rights::calls`).
#[must_use]
pub fn license_of(meta: &ObjectMeta) -> Option<Task> {
    let labels = meta.labels.as_ref()?;
    let namespace = labels.get(LICENSE_NAMESPACE).or(meta.namespace.as_ref())?;
    Some(Task::License(Key::new(namespace, labels.get(LICENSE)?)))
}

/// Whose look repairs a key or a ConfigMap with this metadata, or takes a key set from it: in Usher's own namespace, for
/// elsewhere the label means nothing.
#[must_use]
pub fn authority_of(meta: &ObjectMeta) -> Option<Task> {
    let labelled = meta.labels.as_ref().and_then(|labels| labels.get(AUTHORITY));
    let brought = || meta.name.as_deref()?.strip_prefix(KEY_SET_OF).map(str::to_owned);
    labelled.cloned().or_else(brought).map(Task::Authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_a_tenant_calls_for_a_look_at_its_license_whatever_else_is_written_on_it() {
        let mut labels = of_document("cad", &Uid("cy".into()));
        labels.extend(of_authority("default"));
        let namespace = Some("design".to_owned());
        let meta = ObjectMeta { labels: Some(labels), namespace, ..ObjectMeta::default() };
        assert_eq!(license_of(&meta), Some(Task::License(Key::new("design", "cad"))));
    }
}
