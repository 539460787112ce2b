//! Pods, as the runtime asks for them: of one namespace that lets Usher in, and no more of each than its metadata.
//!
//! ```text
//!   pod ──► ReplicaSet ──► Deployment, or whatever else owns it         the owner's name tells it apart
//!       ──► Job ──► CronJob
//!       ──► VirtualMachineInstance ──► VirtualMachine                   the UID does: a machine that is made anew is another one
//!       ──► StatefulSet, DaemonSet, whatever else
//!       ──► nobody: the pod itself
//! ```
//!
//! Whoever makes a pod writes what owns it. So an owner of a kind that is asked for counts if that very object is there; else the pod is owned by nobody.

use std::fmt::Debug;

use k8s_openapi::{
    api::{
        apps::v1::ReplicaSet,
        authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
        batch::v1::Job,
        core::v1,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
    serde::de::DeserializeOwned,
};
use kube::{
    Api,
    api::ListParams,
    core::{ApiResource, DynamicObject, PartialObjectMeta},
};

use super::{Reviews, question};
use crate::{
    domain::{
        license::Uid,
        workload::{Account, Kind, Owner, Pod, PodName},
    },
    service::callers::{Away, Blind, Placed},
};

/// How many pods are listed at once.
const PAGE: u32 = 500;
/// So many pages at most: pods of one service account beyond that are more than a License is for.
const PAGES: usize = 20;

impl Reviews {
    /// Whether Usher may look for pods of `namespace`. No request of ours is ever refused, so it asks before.
    async fn may_see_pods(&self, namespace: &str) -> Result<(), Blind> {
        let question = question([b"pods", namespace.as_bytes()].into_iter());
        let may = match self.may.of(&question, self.edge.elapsed()) {
            Some(may) => may,
            None => {
                let review = SelfSubjectAccessReview {
                    spec: SelfSubjectAccessReviewSpec {
                        resource_attributes: Some(ResourceAttributes {
                            namespace: Some(namespace.to_owned()),
                            resource: Some("pods".to_owned()),
                            verb: Some("list".to_owned()),
                            ..ResourceAttributes::default()
                        }),
                        ..SelfSubjectAccessReviewSpec::default()
                    },
                    ..SelfSubjectAccessReview::default()
                };
                let may = self.review(&review).await?.status.is_some_and(|status| status.allowed);
                self.may.keep(question, may, self.edge.elapsed());
                may
            }
        };
        if may { Ok(()) } else { Err(Blind::NotGranted) }
    }

    /// The metadata of an object, if that very object is there.
    async fn seen<K>(&self, api: Api<K>, name: &str, uid: &str) -> Result<Option<ObjectMeta>, Away>
    where
        K: Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let found = self.asked(async {
            match api.get_metadata(name).await {
                Ok(found) => Ok(Some(found.metadata)),
                // Where a kind is not known at all, the answer is a 404 as well, and no more than that.
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
                Err(error) => Err(error),
            }
        });
        let found = found.await?;
        Ok(found.filter(|meta| meta.uid.as_deref() == Some(uid)))
    }

    /// Where the pod is.
    pub(super) async fn find_pod(&self, pod: &PodName) -> Result<Option<Placed>, Blind> {
        let namespace = pod.account.namespace.as_str();
        self.may_see_pods(namespace).await?;
        let pods: Api<v1::Pod> = Api::namespaced(self.client.clone(), namespace);
        let Some(meta) = self.seen(pods, &pod.name, &pod.uid.0).await? else { return Ok(None) };
        let owner = match controller(&meta) {
            None => None,
            Some(owner) => self.owner(namespace, owner).await?,
        };
        let (kind, what) = owner.unwrap_or_else(|| (Kind::Pod, format!("Pod/{}", pod.name)));
        let owner = Owner { account: pod.account.name.clone(), kind, what };
        Ok(read(meta).map(|pod| Placed { owner, pod }))
    }

    /// What owns a pod that `direct` controls, as it says; nothing if that can be asked for and is not there.
    async fn owner(&self, namespace: &str, direct: &OwnerReference) -> Result<Option<(Kind, String)>, Away> {
        let (name, uid) = (&direct.name, &direct.uid);
        let of = || self.client.clone();
        let found = match known(direct) {
            Known::ReplicaSet => self.seen(Api::<ReplicaSet>::namespaced(of(), namespace), name, uid).await?,
            Known::Job => self.seen(Api::<Job>::namespaced(of(), namespace), name, uid).await?,
            Known::Machine => {
                let instances = ApiResource {
                    group: "kubevirt.io".to_owned(),
                    version: "v1".to_owned(),
                    api_version: "kubevirt.io/v1".to_owned(),
                    kind: "VirtualMachineInstance".to_owned(),
                    plural: "virtualmachineinstances".to_owned(),
                };
                let api = Api::<DynamicObject>::namespaced_with(of(), namespace, &instances);
                self.seen(api, name, uid).await?
            }
            Known::Nothing => return Ok(Some(in_the_end(direct, None))),
        };
        Ok(found.map(|meta| in_the_end(direct, controller(&meta))))
    }

    /// The pods of the service account.
    pub(super) async fn list_pods(&self, account: &Account) -> Result<Vec<Pod>, Blind> {
        self.may_see_pods(&account.namespace).await?;
        let api: Api<v1::Pod> = Api::namespaced(self.client.clone(), &account.namespace);
        // As of now, and not as of some cache: who is missing in it is gone.
        let fields =
            format!("spec.serviceAccountName={},status.phase!=Succeeded,status.phase!=Failed", account.name);
        let mut params = ListParams::default().fields(&fields).limit(PAGE);
        let mut pods = Vec::new();
        for _ in 0..PAGES {
            let page = self.asked(api.list_metadata(&params)).await?;
            pods.extend(
                page.items.into_iter().filter_map(|PartialObjectMeta { metadata, .. }| read(metadata)),
            );
            match page.metadata.continue_.filter(|more| !more.is_empty()) {
                Some(more) => params = params.continue_token(&more),
                None => return Ok(pods),
            }
        }
        Err(Away("there are too many pods of one service account".into()).into())
    }
}

fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

fn read(meta: ObjectMeta) -> Option<Pod> {
    let set = controller(&meta).filter(|owner| known(owner) == Known::ReplicaSet);
    let revision = set.map(|set| Uid(set.uid.clone()));
    Some(Pod {
        uid: Uid(meta.uid?),
        name: meta.name?,
        revision,
        terminating: meta.deletion_timestamp.is_some(),
    })
}

/// What owns pods and may be owned in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    ReplicaSet,
    Job,
    Machine,
    Nothing,
}

fn group(owner: &OwnerReference) -> &str {
    owner.api_version.split_once('/').map_or("", |(group, _)| group)
}

fn known(owner: &OwnerReference) -> Known {
    match (group(owner), owner.kind.as_str()) {
        ("apps", "ReplicaSet") => Known::ReplicaSet,
        ("batch", "Job") => Known::Job,
        ("kubevirt.io", "VirtualMachineInstance") => Known::Machine,
        _ => Known::Nothing,
    }
}

/// What owns a pod in the end that `direct` controls, which `above` controls.
fn in_the_end(direct: &OwnerReference, above: Option<&OwnerReference>) -> (Kind, String) {
    let top = above.unwrap_or(direct);
    let is_machine = match above {
        None => known(direct) == Known::Machine,
        Some(above) => known(direct) == Known::Machine && above.kind == "VirtualMachine",
    };
    if is_machine {
        return (Kind::VirtualMachine, format!("VirtualMachine/{}", top.uid));
    }
    let kind = if (group(top), top.kind.as_str()) == ("apps", "StatefulSet") {
        Kind::StatefulSet
    } else {
        Kind::Other
    };
    let dot = if group(top).is_empty() { "" } else { "." };
    (kind, format!("{}{dot}{}/{}", top.kind, group(top), top.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(version: &str, kind: &str, name: &str) -> OwnerReference {
        OwnerReference {
            api_version: version.into(),
            kind: kind.into(),
            name: name.into(),
            uid: format!("uid of {name}"),
            controller: Some(true),
            ..OwnerReference::default()
        }
    }

    #[test]
    fn what_owns_a_pod_in_the_end_is_named_by_name_and_a_machine_by_its_uid() {
        let (set, job) = (owner("apps/v1", "ReplicaSet", "render-7d"), owner("batch/v1", "Job", "night-1"));
        let instance = owner("kubevirt.io/v1", "VirtualMachineInstance", "cad");
        let machine = owner("kubevirt.io/v1", "VirtualMachine", "cad-vm");
        let pool = owner("kubevirt.io/v1", "VirtualMachineInstanceReplicaSet", "cads");
        let deployment = owner("apps/v1", "Deployment", "render");
        let rollout = owner("argoproj.io/v1alpha1", "Rollout", "render");
        let cron = owner("batch/v1", "CronJob", "night");
        let stateful = owner("apps/v1", "StatefulSet", "web");
        let other = owner("v1", "ReplicationController", "old");
        for (direct, above, kind, what) in [
            (&set, Some(&deployment), Kind::Other, "Deployment.apps/render"),
            (&set, Some(&rollout), Kind::Other, "Rollout.argoproj.io/render"),
            (&set, None, Kind::Other, "ReplicaSet.apps/render-7d"),
            (&job, Some(&cron), Kind::Other, "CronJob.batch/night"),
            (&job, None, Kind::Other, "Job.batch/night-1"),
            (&stateful, None, Kind::StatefulSet, "StatefulSet.apps/web"),
            (&instance, Some(&machine), Kind::VirtualMachine, "VirtualMachine/uid of cad-vm"),
            (&instance, None, Kind::VirtualMachine, "VirtualMachine/uid of cad"),
            (&instance, Some(&pool), Kind::Other, "VirtualMachineInstanceReplicaSet.kubevirt.io/cads"),
            (&other, None, Kind::Other, "ReplicationController/old"),
        ] {
            assert_eq!(in_the_end(direct, above), (kind, what.to_owned()));
        }
    }

    #[test]
    fn only_a_replica_set_is_a_revision() {
        let revision = |owner: Option<OwnerReference>| {
            let (name, uid) = (Some("a".to_owned()), Some("1".to_owned()));
            let owner_references = owner.map(|owner| vec![owner]);
            read(ObjectMeta { name, uid, owner_references, ..ObjectMeta::default() }).unwrap().revision
        };
        let set = revision(Some(owner("apps/v1", "ReplicaSet", "render-7d")));
        assert_eq!(set, Some(Uid("uid of render-7d".into())));
        for (version, kind) in [
            ("batch/v1", "Job"),
            ("kubevirt.io/v1", "VirtualMachineInstance"),
            ("acme.example/v1", "ReplicaSet"),
            ("apps/v1", "Deployment"),
        ] {
            assert_eq!(revision(Some(owner(version, kind, "a"))), None, "{kind}");
        }
        assert_eq!(revision(None), None);
    }

    #[test]
    fn who_only_looks_like_what_we_know_is_not_asked_for() {
        assert_eq!(known(&owner("apps/v1", "ReplicaSet", "a")), Known::ReplicaSet);
        assert_eq!(known(&owner("acme.example/v1", "ReplicaSet", "a")), Known::Nothing);
        assert_eq!(known(&owner("v1", "Job", "a")), Known::Nothing);
    }
}
