//! What a page asks for and a test has not, what is done instead, and what is to be seen.
//!
//! An entry is about each command, or manifest, that holds its first text. One that is about nothing fails a test.

/// Commands that are not run, and why.
pub const NOT_RUN: &[(&str, &str)] = &[
    ("docker build ", "needs a container engine and a registry"),
    ("cargo install ", "the tests have built the program"),
    ("rollout status deployment/usher", "needs a node: the API server admits the pod, and nobody runs it"),
    ("createdb ", "needs a database server of one's own"),
    ("apiVersion: cert-manager.io/v1", "needs cert-manager"),
    ("kubectl top ", "needs a node, and a metrics server"),
    ("usher login --server", "needs a person and a browser: `signin::people` runs it"),
    ("usher agent --login", "needs whoever signed in by that: `signin::agent` runs it"),
    ("usher audit rekey", "needs a key that is lost: `scenarios::rekey` runs it"),
    ("kubectl wait -n usher-system pod/usher-restore", "needs a node"),
    ("kubectl logs -n usher-system usher-restore", "needs a node; `kubectl attach` shows it here"),
];

/// Patterns in a command or manifest, and what stands for them. No pod runs: Usher is a process of this machine.
pub const INSTEAD: &[(&str, &str)] = &[
    (r"kubectl exec -n usher-system deploy/usher -- ", ""),
    (r"kubectl logs -n usher-system deploy/usher[^|]*", "cat usher.log "),
    // What the pod's arguments say.
    (r"kubectl attach -i -n usher-system usher-restore", "usher ledger restore -"),
    // What takes no `--connect-to`.
    (r"--server https://usher.acme.example", "--server https://localhost:$PORT"),
    (r"/opt/cad/bin/cad", r#"sh -c 'test -s "$USHER_DOCUMENTS/license.jws" && echo cad runs'"#),
    (r"/var/lib/cad/usher", "cad"),
    (r"\bkPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k\b", "$ROOT"),
    (r"\bUID/NUMBER\b", "$OWNER"),
    (r"\blic NAME -n NAMESPACE\b", "lic cad -n design"),
    (r"\bauthority NAME\b", "authority acme"),
];

/// What the page says in words and a reader does before a command, or a manifest.
pub const BEFORE: &[(&str, &str)] = &[
    // Two of two seats are taken by now, and the agent's machine is another one.
    ("usher agent --server", "kubectl patch license cad -n design --type=merge -p '{\"spec\": {\"seats\": 9}}'"),
    (
        "namespaces: [render-farm]",
        "kubectl create namespace render-farm
         kubectl create rolebinding usher-documents -n render-farm --clusterrole=usher-documents --serviceaccount=usher-system:usher",
    ),
    (
        "kubectl apply -n studio -f licenses/",
        r#"kubectl create namespace studio
           kubectl create rolebinding usher-documents -n studio --clusterrole=usher-documents --serviceaccount=usher-system:usher
           kubectl label namespace studio usher.dev/licensed=true
           mkdir licenses
           echo '{"apiVersion": "usher.dev/v1alpha1", "kind": "License", "metadata": {"name": "cam"}, "spec":
             {"product": "cad", "customer": "acme", "authorityRef": {"name": "acme"}, "seats": 1}}' > licenses/license.json
           echo '{"apiVersion": "usher.dev/v1alpha1", "kind": "Seat", "metadata": {"name": "eve"}, "spec":
             {"licenseRef": {"name": "cam"}, "holder": {"user": {"email": "eve@acme.example"}}}}' > licenses/seat.json
           kubectl apply -n design -f licenses/"#,
    ),
    ("usher audit verify --ledger copy.db", "usher ledger backup copy.db"),
    ("usher forget ann@acme.example", "kubectl delete ua designers -n design"),
    ("kubectl create configmap usher-dashboard", "kubectl create namespace monitoring"),
];

/// What is to be seen after a command, perhaps not at once. Where the first text is `!`, the command says no, too.
pub const SEEN: &[(&str, &str)] = &[
    ("jsonpath='{.status.root}'     #", r"^[\w-]{43}$"),
    ("kubectl get ua,seat -n design", r"(?s)designers .*seat.usher.dev/cy +cad .*Bound"),
    ("spec.holder.user.email=ann@acme.example", r"\nu-\w+ +cad .*Waiting"),
    ("kubectl get idp -o wide", r"\nacme .*ProviderAway"),
    ("usher verify secret/cy-seat", r"^ok: seat/design/cy may use cad\n"),
    ("/a/acme/jwks.json", r#""kty":"OKP""#),
    ("KEY=$(kubectl get secret cad-activation-keys", r"^$"),
    ("/v1/activations -H", r"^$"),
    ("/v1/heartbeat", r#""parameters""#),
    ("/v1/sessions", r#""until""#),
    ("usher agent --server", r"(^|\n)cad runs(\n|$)"),
    ("jsonpath='{.status.keys}'", r#""state":"Announced""#),
    ("usher revoke-key quarterly", r"^ok: nothing under this key is good any more\n"),
    ("usher sign-keys request.json", r"^signing\n"),
    ("kubectl create configmap usher-key-set-vendor", r"^configmap/usher-key-set-vendor created$"),
    ("usher audit verify --from-cluster", r"^whole: "),
    ("usher audit list --since 24h", r"bind"),
    ("usher audit verify --ledger copy.db", r"^whole: "),
    ("usher forget ann@acme.example", r"^forgotten: "),
    (
        "!usher uninstall  ",
        r"^1 with the finalizer usher\.dev/copies, which only Usher lifts:\n +design/cad\n",
    ),
    (
        "usher uninstall --yes",
        r"^ok: 1 with the finalizer usher\.dev/copies, which is lifted:\n +design/cad\n",
    ),
    ("usher ledger backup - ", r"written: the ledger of incarnation 1 "),
    ("kubectl attach -i", r"the former one is kept in .*ledger\.db\.replaced"),
    ("usher ledger rebuild", r"may rebuild the ledger"),
    (r#"@.reason=="LedgerForeign""#, r"usher ledger adopt [\w-]+/\d+$"),
    ("usher ledger adopt", r"may take over the ledger"),
    ("grep 'the audit is not sealed'", r"^$"),
];
