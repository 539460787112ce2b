//! Who may grant, who may assign, who may look: people with the roles of the chart, and what they are refused.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

use super::{Place, with};
use crate::ground::{Ground, license, seat, shared, until};

/// Somebody, in the namespace of a place.
struct Person<'a> {
    ground: &'static Ground,
    place: &'a Place,
    /// One of this name is in no other test.
    name: String,
}

impl<'a> Person<'a> {
    fn new(place: &'a Place, name: &str) -> Self {
        Self { ground: shared(), place, name: format!("{name}.{}", place.namespace) }
    }

    /// Gets a ClusterRole in this namespace, each of which lets list Licenses; waits until it does.
    async fn with_role(self, role: &str) -> Self {
        let (user, binding) = (format!("--user={}", self.name), format!("{}-{role}", self.name));
        let role = format!("--clusterrole={role}");
        self.ground.kubectl(&["create", "rolebinding", &binding, "-n", &self.place.namespace, &role, &user]);
        until("the role is at work", async || self.may("list", "licenses").await.then_some(())).await;
        self
    }

    /// May use this Authority and no other.
    fn may_use(&self, authority: &str) {
        let name = format!("use-{authority}-{}", self.place.namespace);
        let api = "rbac.authorization.k8s.io";
        let role = json!({
            "apiVersion": format!("{api}/v1"), "kind": "ClusterRole", "metadata": {"name": name},
            "rules": [{"apiGroups": ["usher.dev"], "resources": ["authorities"], "resourceNames": [authority], "verbs": ["use"]}],
        });
        let (ok, said) = self.ground.try_kubectl(&["apply", "-f", "-"], &role.to_string());
        assert!(ok, "{said}");
        let (role, user) = (format!("--clusterrole={name}"), format!("--user={}", self.name));
        self.ground.kubectl(&["create", "clusterrolebinding", &name, &role, &user]);
    }

    /// Applies an object; what kubectl said if it was refused.
    fn apply(&self, object: &Value) -> Result<(), String> {
        let object = with(
            object.clone(),
            &json!({"apiVersion": "usher.dev/v1alpha1", "metadata": {"namespace": self.place.namespace}}),
        );
        let arguments = ["apply", "--server-side", "--as", &self.name, "-f", "-"];
        let (ok, said) = self.ground.try_kubectl(&arguments, &object.to_string());
        if ok { Ok(()) } else { Err(said) }
    }

    /// Whether the API server would let it.
    async fn may(&self, verb: &str, resource: &str) -> bool {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(self.name.clone()),
                groups: Some(vec!["system:authenticated".into()]),
                resource_attributes: Some(ResourceAttributes {
                    group: Some("usher.dev".into()),
                    namespace: Some(self.place.namespace.clone()),
                    verb: Some(verb.into()),
                    resource: Some(resource.into()),
                    subresource: Some(subresource.into()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.place.client.clone());
        api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
    }
}

#[tokio::test]
async fn who_may_license_but_not_use_the_authority_gets_nothing_signed_and_a_sentence_why() {
    let place = Place::new(shared()).await;
    let lin = Person::new(&place, "lin").with_role("usher-licensor").await;
    // A policy is at work a moment after it was applied.
    let refused = until("the policy is at work", async || match lin.apply(&license(1)) {
        Err(said) if said.contains("usher-use") => Some(said),
        _ => {
            let _ = place.licenses.delete("cad", &Default::default()).await;
            None
        }
    })
    .await;
    let sentence = format!(
        "{} may not use Authority default: ask whoever administers it for the verb use on authorities.usher.dev default, or name another Authority",
        lin.name
    );
    assert!(refused.contains("Forbidden") && refused.contains(&sentence), "{refused}");
    assert!(place.licenses.get_opt("cad").await.unwrap().is_none());

    let edition = json!({"kind": "Edition", "metadata": {"name": "standard"}, "spec": {"authorityRef": {"name": "default"}}});
    let refused = lin.apply(&edition).unwrap_err();
    assert!(refused.contains(&sentence), "{refused}");
    lin.apply(&with(edition, &json!({"spec": {"authorityRef": null}}))).unwrap();

    lin.may_use("default");
    until("the right is there", async || lin.apply(&license(1)).ok()).await;
    place.license_says("cad", "Issued").await;

    // Another Authority is another right.
    let elsewhere = with(license(1), &json!({"spec": {"authorityRef": {"name": "other"}}}));
    let refused = lin.apply(&elsewhere).unwrap_err();
    assert!(refused.contains("may not use Authority other: ask"), "{refused}");

    // Who decides how many seats there are decides what is signed; who puts a label on does not.
    let mo = Person::new(&place, "mo").with_role("usher-licensor").await;
    let object = ["license", "cad", "-n", &place.namespace, "--as", &mo.name];
    let more = [&["patch"], &object[..], &["--type=merge", "-p", r#"{"spec": {"seats": 1000}}"#]].concat();
    let (ok, refused) = shared().try_kubectl(&more, "");
    assert!(!ok && refused.contains("may not use Authority default"), "{refused}");
    shared().kubectl(&[&["label"], &object[..], &["team=mo"]].concat());
    shared().kubectl(&[&["delete"], &object[..]].concat());
}

#[tokio::test]
async fn who_may_not_use_the_authority_of_an_edition_gets_nothing_signed_by_it() {
    let place = Place::new(shared()).await;
    let edition =
        |name: &str, spec: Value| json!({"kind": "Edition", "metadata": {"name": name}, "spec": spec});
    let by = |edition: &str| {
        with(license(1), &json!({"spec": {"authorityRef": null, "editionRef": {"name": edition}}}))
    };
    let lou = Person::new(&place, "lou").with_role("usher-licensor").await;
    lou.may_use("default");
    until("the right is there", async || {
        lou.apply(&edition("standard", json!({"authorityRef": {"name": "default"}}))).ok()
    })
    .await;
    lou.apply(&edition("plain", json!({}))).unwrap();

    let lin = Person::new(&place, "lin").with_role("usher-licensor").await;
    let refused = until("the policy is at work", async || match lin.apply(&by("standard")) {
        Err(said) if said.contains("usher-use-by-edition") => Some(said),
        _ => {
            let _ = place.licenses.delete("cad", &Default::default()).await;
            None
        }
    })
    .await;
    let sentence = format!(
        "{} may not use Authority default, which Edition standard names: ask whoever administers it for the verb use on authorities.usher.dev default, or name another Authority",
        lin.name
    );
    assert!(refused.contains("Forbidden") && refused.contains(&sentence), "{refused}");

    // An Edition that names no Authority, and one that is not there, sign nothing.
    for (edition, says) in [("plain", "AuthorityNotFound"), ("none", "EditionNotFound")] {
        lin.apply(&by(edition)).unwrap();
        place.license_says("cad", says).await;
        place.delete_license("cad").await;
    }

    // Somebody else's License is theirs to leave alone, also by way of an Edition.
    lou.apply(&license(1)).unwrap();
    place.license_says("cad", "Issued").await;
    let patch = |who: &Person<'_>, patch: &str| {
        let object = ["patch", "license", "cad", "-n", &place.namespace, "--type=merge"];
        shared().try_kubectl(&[&object[..], &["--as", &who.name, "-p", patch]].concat(), "")
    };
    let more = r#"{"spec": {"seats": 1000, "authorityRef": null, "editionRef": {"name": "standard"}}}"#;
    let (ok, refused) = patch(&lin, more);
    assert!(!ok && refused.contains(&sentence), "{refused}");
    let (ok, said) = patch(&lou, more);
    assert!(ok, "{said}");
    place.license_says("cad", "Issued").await;
}

#[tokio::test]
async fn who_may_not_use_the_authority_of_a_license_does_not_write_the_edition_that_it_follows() {
    let place = Place::new(shared()).await;
    let edition = |name: &str| json!({"kind": "Edition", "metadata": {"name": name}, "spec": {"features": [{"name": "render"}]}});
    let (lou, lin) = (
        Person::new(&place, "lou").with_role("usher-licensor").await,
        Person::new(&place, "lin").with_role("usher-licensor").await,
    );
    lou.may_use("default");
    lou.apply(&edition("standard")).unwrap();
    let follows = with(license(1), &json!({"spec": {"editionRef": {"name": "standard"}}}));
    until("the right is there", async || lou.apply(&follows).ok()).await;
    place.license_says("cad", "Issued").await;

    let patch = |who: &Person<'_>, patch: &str| {
        let object = ["patch", "edition", "standard", "-n", &place.namespace, "--type=merge"];
        shared().try_kubectl(&[&object[..], &["--as", &who.name, "-p", patch]].concat(), "")
    };
    let more = r#"{"spec": {"features": [{"name": "everything"}]}}"#;
    let refused = until("the policy is at work", async || {
        let (ok, said) = patch(&lin, more);
        (!ok).then_some(said)
    })
    .await;
    let sentence = format!(
        "{} may not use Authority default, in whose name License cad follows this Edition: ask whoever administers it for the verb use on authorities.usher.dev default, or make another Edition",
        lin.name
    );
    assert!(refused.contains("usher-use-for-licenses") && refused.contains(&sentence), "{refused}");
    assert!(patch(&lin, r#"{"metadata": {"labels": {"team": "lin"}}}"#).0, "a label grants nothing");
    shared().kubectl(&["delete", "edition", "standard", "-n", &place.namespace, "--as", &lin.name]);
    assert!(lin.apply(&edition("standard")).unwrap_err().contains(&sentence), "nor make it anew");
    lin.apply(&edition("another")).unwrap();
    lou.apply(&edition("standard")).unwrap();
    let (ok, said) = patch(&lou, more);
    assert!(ok, "{said}");
}

#[tokio::test]
async fn nobody_but_usher_writes_status() {
    let place = Place::new(shared()).await;
    place.apply(&license(1)).await;
    place.license_says("cad", "Issued").await;
    // `admin` does not have our resources; this one has everything.
    let boss = Person::new(&place, "boss").with_role("cluster-admin").await;
    assert!(boss.may("patch", "licenses/status").await);
    let forged = [
        "patch",
        "license",
        "cad",
        "-n",
        &place.namespace,
        "--as",
        &boss.name,
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status": {"seats": {"bound": 7}}}"#,
    ];
    let refused = until("the policy is at work", async || {
        let (ok, said) = shared().try_kubectl(&forged, "");
        (!ok).then_some(said)
    })
    .await;
    let sentence = "only Usher writes status: change the spec, and Usher says what became of it";
    assert!(refused.contains("usher-status") && refused.contains(sentence), "{refused}");
}

#[tokio::test]
async fn only_usher_and_administrators_take_ushers_finalizer_off_and_usher_writes_nothing_else_of_a_license()
{
    const USHER: &str = "system:serviceaccount:usher-system:usher";
    let (place, farm) = (Place::new(shared()).await, Place::new(shared()).await);
    let copied = json!({"spec": {"secret": {"name": "cad-license", "namespaces": [farm.namespace]}}});
    place.apply(&with(license(1), &copied)).await;
    farm.secret("cad-license").await;
    let patch = |who: &str, patch: &str| {
        let object = ["patch", "license", "cad", "-n", &place.namespace, "--type=merge"];
        shared().try_kubectl(&[&object[..], &["--as", who, "-p", patch]].concat(), "")
    };
    let lin = Person::new(&place, "lin").with_role("usher-licensor").await;
    lin.may_use("default");
    let off = r#"{"metadata": {"finalizers": null}}"#;
    let refused = until("the policy is at work", async || {
        let (ok, said) = patch(&lin.name, off);
        (!ok).then_some(said)
    })
    .await;
    assert!(refused.contains("usher-finalizer") && refused.contains("usher uninstall"), "{refused}");
    assert!(patch(&lin.name, r#"{"metadata": {"labels": {"team": "lin"}}}"#).0, "all else is theirs");

    for edit in [
        // That it may not use the Authority either would hide this.
        r#"{"spec": {"seats": 1000, "authorityRef": null, "editionRef": {"name": "standard"}}}"#,
        r#"{"metadata": {"labels": {"a": "b"}}}"#,
        r#"{"metadata": {"annotations": {"a": "b"}}}"#,
    ] {
        let refused = until("the policy is at work", async || {
            let (ok, said) = patch(USHER, edit);
            (!ok).then_some(said)
        })
        .await;
        assert!(refused.contains("usher-spec") && refused.contains("and nothing else"), "{refused}");
    }
    assert!(patch(USHER, off).0, "that is what it may");
    let boss = Person::new(&place, "boss").with_role("cluster-admin").await;
    until("Usher has put it on again", async || {
        place.licenses.get("cad").await.unwrap().metadata.finalizers.map(|_| ())
    })
    .await;
    until("the right is at work", async || patch(&boss.name, off).0.then_some(())).await;
    place.delete_license("cad").await;
    farm.no_secret("cad-license").await;
}

#[tokio::test]
async fn each_role_may_what_it_is_for_and_nothing_else() {
    const WRITE: [&str; 4] = ["create", "update", "patch", "delete"];
    let place = Place::new(shared()).await;
    let licensor = Person::new(&place, "lin").with_role("usher-licensor").await;
    let assigner = Person::new(&place, "asa").with_role("usher-assigner").await;
    let viewer = Person::new(&place, "vic").with_role("usher-viewer").await;
    let anybody = Person::new(&place, "nan");
    let intent = ["licenses", "editions", "seats", "userassignments"];
    for resource in intent {
        let grants = ["licenses", "editions"].contains(&resource);
        for verb in WRITE {
            let may = [licensor.may(verb, resource).await, assigner.may(verb, resource).await];
            assert_eq!(may, [grants, !grants], "{verb} {resource}");
            assert!(!viewer.may(verb, resource).await, "{verb} {resource}");
        }
        for verb in ["get", "list", "watch"] {
            for person in [&licensor, &assigner, &viewer] {
                assert!(person.may(verb, resource).await, "{} {verb} {resource}", person.name);
            }
            assert!(!anybody.may(verb, resource).await);
        }
        for person in [&licensor, &assigner, &viewer] {
            assert!(!person.may("patch", &format!("{resource}/status")).await, "{} {resource}", person.name);
        }
    }
    for person in [&licensor, &assigner, &viewer] {
        assert!(!person.may("use", "authorities").await && !person.may("create", "authorities").await);
        assert!(
            !person.may("create", "identityproviders").await && !person.may("get", "identityproviders").await
        );
    }
    assigner.apply(&seat("ann")).unwrap();
    assert!(viewer.apply(&seat("bob")).unwrap_err().contains("cannot patch resource \"seats\""));

    // Whoever views the namespace views this, too; whoever edits in it does not grant.
    let (reader, editor) = (
        Person::new(&place, "rea").with_role("view").await,
        Person::new(&place, "edd").with_role("edit").await,
    );
    assert!(reader.may("list", "seats").await);
    assert!(editor.may("list", "seats").await);
    for resource in intent {
        assert!(!editor.may("create", resource).await, "{resource}");
    }
}
