//! The Helm chart: what it refuses, what it renders, and what becomes of it on a real API server.

mod everything;

use std::{collections::BTreeSet, process::Command};

use crate::ground::{Ground, helm, until};

const CHART: &str = "charts/usher";

/// What the chart renders with these values, as `Kind name`.
fn rendered(values: &[&str]) -> BTreeSet<String> {
    let mut arguments = vec!["template", "usher", CHART, "-n", "usher-system"];
    arguments.extend(values.iter().flat_map(|value| ["--set", value]));
    let (ok, text) = helm(&arguments, None);
    assert!(ok, "{values:?}: {text}");
    let mut objects = BTreeSet::new();
    for document in text.split("\n---\n") {
        let top = |name: &str| document.lines().find_map(|line| line.strip_prefix(name));
        let Some(kind) = top("kind: ") else { continue };
        let namespace = document.lines().find_map(|line| line.strip_prefix("  namespace: "));
        let elsewhere = namespace.filter(|namespace| *namespace != "usher-system");
        let elsewhere = elsewhere.map(|namespace| format!(" in {namespace}")).unwrap_or_default();
        let name = document.lines().find_map(|line| line.strip_prefix("  name: ")).unwrap();
        objects.insert(format!("{kind} {name}{elsewhere}"));
    }
    objects
}

/// What these values add to what is rendered by default, and what they take away.
fn differs(values: &[&str]) -> (Vec<String>, Vec<String>) {
    let (usual, other) = (rendered(&[]), rendered(values));
    (other.difference(&usual).cloned().collect(), usual.difference(&other).cloned().collect())
}

#[test]
fn the_chart_is_well_formed_and_its_readme_lists_its_values() {
    let (ok, said) = helm(&["lint", "--strict", CHART], None);
    assert!(ok, "{said}");
    let check = Command::new("dev/chart-readme").arg("--check").output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

#[test]
fn a_wrong_value_is_refused_with_a_sentence_that_names_it() {
    for (value, sentence) in [
        ("replicas=2", "at '/replicas': maximum: got 2, want 1"),
        ("ledger.postgres.key=", "at '/ledger/postgres/key': '' does not match pattern"),
        ("replicas=-1", "at '/replicas': minimum: got -1, want 0"),
        ("namespaces={Design}", "at '/namespaces/0': 'Design' does not match pattern"),
        ("namespaces={design,design}", "at '/namespaces': items at 0 and 1 are equal"),
        ("secrets.clusterWide=yes", "at '/secrets/clusterWide': got string, want boolean"),
        ("sercets.clusterWide=true", "at '': additional properties 'sercets' not allowed"),
        ("image.repository=", "at '/image/repository': minLength: got 0, want 1"),
        ("image.digest=sha256:1", "at '/image/digest': 'sha256:1' does not match pattern"),
        (
            "image.pullPolicy=Often",
            "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
        ),
        ("ledger.size=1", "at '/ledger/size': got number, want string"),
        ("audit.retention=2y", "at '/audit/retention': '2y' does not match pattern"),
        ("service.port=0", "at '/service/port': minimum: got 0, want 1"),
        ("workers=65", "at '/workers': maximum: got 65, want 64"),
        ("tls.existingSecret=Usher", "at '/tls/existingSecret': 'Usher' does not match pattern"),
        ("log.format=xml", "at '/log/format': value must be one of 'json', 'human'"),
    ] {
        let (ok, said) = helm(&["template", "usher", CHART, "--set", value], None);
        assert!(!ok && said.contains(sentence), "{value}: {said}");
    }
}

#[test]
fn the_chart_renders_what_is_needed_and_each_value_what_it_says() {
    assert_eq!(
        rendered(&["crds.enabled=false"]).into_iter().collect::<Vec<_>>(),
        [
            "ClusterRole usher",
            "ClusterRole usher-assigner",
            "ClusterRole usher-documents",
            "ClusterRole usher-introspector",
            "ClusterRole usher-licensor",
            "ClusterRole usher-viewer",
            "ClusterRoleBinding usher",
            "Deployment usher",
            "NetworkPolicy usher",
            "PersistentVolumeClaim usher-ledger",
            "PodDisruptionBudget usher",
            "Role usher",
            "RoleBinding usher",
            "Service usher",
            "Service usher-ops",
            "ServiceAccount usher",
            "ValidatingAdmissionPolicy usher-finalizer",
            "ValidatingAdmissionPolicy usher-spec",
            "ValidatingAdmissionPolicy usher-status",
            "ValidatingAdmissionPolicy usher-use",
            "ValidatingAdmissionPolicy usher-use-by-edition",
            "ValidatingAdmissionPolicy usher-use-for-licenses",
            "ValidatingAdmissionPolicyBinding usher-finalizer",
            "ValidatingAdmissionPolicyBinding usher-spec",
            "ValidatingAdmissionPolicyBinding usher-status",
            "ValidatingAdmissionPolicyBinding usher-use",
            "ValidatingAdmissionPolicyBinding usher-use-by-edition",
            "ValidatingAdmissionPolicyBinding usher-use-for-licenses",
        ]
    );
    let none: [&str; 0] = [];
    for (values, more, less) in [
        (
            "namespaces={design,render-farm}",
            &["RoleBinding usher-documents in design", "RoleBinding usher-documents in render-farm"][..],
            &none[..],
        ),
        ("secrets.clusterWide=true", &["ClusterRoleBinding usher-documents"], &none),
        ("ledger.existingClaim=mine", &none, &["PersistentVolumeClaim usher-ledger"]),
        ("ledger.postgres.existingSecret=usher-database", &none, &["PersistentVolumeClaim usher-ledger"]),
        ("podDisruptionBudget.enabled=false", &none, &["PodDisruptionBudget usher"]),
        ("networkPolicy.enabled=false", &none, &["NetworkPolicy usher"]),
        ("serviceMonitor.enabled=true", &["ServiceMonitor usher"], &none),
        ("prometheusRule.enabled=true", &["PrometheusRule usher"], &none),
        (
            "policies.use=false",
            &none,
            &[
                "ValidatingAdmissionPolicy usher-use",
                "ValidatingAdmissionPolicy usher-use-by-edition",
                "ValidatingAdmissionPolicy usher-use-for-licenses",
                "ValidatingAdmissionPolicyBinding usher-use",
                "ValidatingAdmissionPolicyBinding usher-use-by-edition",
                "ValidatingAdmissionPolicyBinding usher-use-for-licenses",
            ],
        ),
        (
            "roles.enabled=false",
            &none,
            &[
                "ClusterRole usher-assigner",
                "ClusterRole usher-introspector",
                "ClusterRole usher-licensor",
                "ClusterRole usher-viewer",
            ],
        ),
    ] {
        let (added, taken) = differs(&[values]);
        assert_eq!(
            (added, taken),
            (more.iter().map(|s| (*s).to_owned()).collect(), less.iter().map(|s| (*s).to_owned()).collect()),
            "{values}"
        );
    }
}

#[test]
fn a_certificate_of_yours_is_named_to_usher_and_only_then() {
    let deployed = |values: &[&str]| {
        let (ok, text) = helm(&[&["template", "usher", CHART, "-n", "usher-system"], values].concat(), None);
        assert!(ok, "{text}");
        text
    };
    assert!(
        deployed(&["--set", "tls.existingSecret=usher-tls"]).contains("        - --tls-secret=usher-tls\n")
    );
    // Nor where `--reuse-values` brings values of before.
    for values in [&[][..], &["--set", "tls=null"]] {
        assert!(!deployed(values).contains("tls-secret"), "{values:?}");
    }
}

#[test]
fn several_replicas_share_a_database_whose_url_only_the_pod_reads() {
    let values =
        "replicas=3,ledger.postgres.existingSecret=usher-database,networkPolicy.postgresPorts={6432}";
    let (ok, text) = helm(&["template", "usher", CHART, "-n", "usher-system", "--set", values], None);
    assert!(ok, "{text}");
    let deployment =
        text.split("\n---\n").find(|document| document.contains("\nkind: Deployment\n")).unwrap();
    for line in [
        "  replicas: 3",
        "    type: RollingUpdate",
        "              name: usher-database",
        "              key: url",
        "        - topologyKey: kubernetes.io/hostname",
        "        - topologyKey: topology.kubernetes.io/zone",
    ] {
        assert!(deployment.lines().any(|there| there == line), "{line}: {deployment}");
    }
    for without in ["--ledger", "--on-loss", "volume", "Recreate"] {
        assert!(!deployment.contains(without), "{without}: {deployment}");
    }
    assert!(text.contains("    - {port: 6432, protocol: TCP}"), "{text}");
}

#[tokio::test]
async fn the_chart_installs_into_a_restricted_namespace_and_is_upgraded_and_keeps_what_is_dear() {
    let ground = Ground::bare();
    ground.kubectl(&["create", "namespace", "usher-system"]);
    ground.kubectl(&["label", "namespace", "usher-system", "pod-security.kubernetes.io/enforce=restricted"]);
    ground.kubectl(&["create", "namespace", "design"]);
    let kubeconfig = ground.kubeconfig();
    let release = |arguments: &[&str]| {
        let (ok, said) = helm(arguments, Some(&kubeconfig));
        assert!(ok, "{arguments:?}: {said}");
        said
    };
    // Somebody applied the resources by themselves, earlier: Helm takes over what it did not make when it is told to.
    ground.kubectl(&["apply", "--server-side", "-f", "crds/"]);
    let install = ["install", "usher", CHART, "-n", "usher-system", "--set", "namespaces={design}"];
    let (ok, said) = helm(&install, Some(&kubeconfig));
    assert!(!ok && said.contains("invalid ownership metadata"), "{said}");
    let notes = release(&[&install[..], &["--take-ownership"]].concat());
    for command in [
        "kubectl rollout status deployment/usher -n usher-system",
        "kubectl apply -f examples/authority.yaml",
        "kubectl create rolebinding usher-documents -n NAMESPACE --clusterrole=usher-documents --serviceaccount=usher-system:usher",
    ] {
        assert!(notes.contains(command), "{notes}");
    }
    let field_in = |namespace: &str, object: &[&str], path: &str| {
        let path = format!("jsonpath={path}");
        ground.kubectl(&[&["get"], object, &["-n", namespace, "-o", &path]].concat())
    };
    let field = |object: &[&str], path: &str| field_in("usher-system", object, path);
    assert_eq!(field(&["deployment", "usher"], "{.spec.replicas} {.spec.strategy.type}"), "1 Recreate");
    assert_eq!(field_in("design", &["rolebinding", "usher-documents"], "{.roleRef.name}"), "usher-documents");
    ground.kubectl(&["wait", "--for=condition=Established", "-f", "crds/", "--timeout=30s"]);

    // No kubelet runs here, but whether the pod would be let in, the API server says.
    until("the pod is admitted", async || {
        (field(&["replicasets"], "{.items[0].status.replicas}") == "1").then_some(())
    })
    .await;

    release(&["upgrade", "usher", CHART, "-n", "usher-system", "--set", "replicas=0"]);
    assert_eq!(field(&["deployment", "usher"], "{.spec.replicas}"), "0");
    let gone = ground.try_kubectl(&["get", "rolebinding", "usher-documents", "-n", "design"], "");
    assert!(!gone.0, "{}", gone.1);

    // What is dear stays, and is there again for whoever installs it again.
    let (_, namespace) = ground.namespace().await;
    release(&["uninstall", "usher", "-n", "usher-system"]);
    assert!(!ground.try_kubectl(&["get", "deployment", "usher", "-n", "usher-system"], "").0);
    ground.kubectl(&["get", "authority", "default", "-n", &namespace]);
    ground.kubectl(&["get", "pvc", "usher-ledger", "-n", "usher-system"]);
    release(&["install", "usher", CHART, "-n", "usher-system"]);
}
