//! The files of a control plane of our own: what Usher asked of it, and what lies in it.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use super::{Call, Ground, USHER, Witness};

impl Ground {
    pub(super) fn directory(&self) -> &Path {
        let Witness::Own { directory, .. } = &self.witness else {
            panic!("a cluster that was borrowed has no files that are ours: use Ground::own");
        };
        directory.path()
    }

    /// Puts an object where the API server keeps it, with the UID that it has: no client may do that.
    pub fn store(&self, key: &str, object: &Value) {
        let path = |name: &str| self.directory().join(name);
        let url = std::fs::read_to_string(path("etcd.url")).unwrap();
        let base64 = |text: &str| serde_json::to_value(k8s_openapi::ByteString(text.into())).unwrap();
        let body = json!({"key": base64(key), "value": base64(&object.to_string())});
        let put = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--cacert"])
            .arg(path("ca.crt"))
            .arg("--cert")
            .arg(path("pki/apiserver.crt"))
            .arg("--key")
            .arg(path("pki/apiserver.key"))
            .args(["--data", &body.to_string(), &format!("{}/v3/kv/put", url.trim())])
            .output()
            .unwrap();
        assert!(put.status.success(), "{}", String::from_utf8_lossy(&put.stderr));
    }

    /// Every write that Usher has made so far, in order: `verb resource/subresource namespace/name code`.
    pub fn writes(&self) -> Vec<String> {
        self.requests()
            .into_iter()
            .filter(|r| !["get ", "list ", "watch "].iter().any(|v| r.starts_with(v)))
            .collect()
    }

    /// Every request that Usher has made so far, in order, but the heartbeat of its Lease and what follows its ledger in
    /// its own time.
    pub fn requests(&self) -> Vec<String> {
        let beats = [" leases usher-system/usher ", " configmaps usher-system/usher-witness "];
        let mut requests = self.all_requests();
        requests.retain(|request| beats.iter().all(|beat| !request.contains(beat)));
        requests
    }

    /// Every request that Usher has made so far, in order.
    pub fn all_requests(&self) -> Vec<String> {
        let calls = self.calls();
        calls
            .iter()
            .map(|call| {
                format!("{} {} {}/{} {}", call.verb, call.what(), call.namespace, call.name, call.code)
            })
            .collect()
    }

    /// The same, as the audit log has it.
    pub fn calls(&self) -> Vec<Call> {
        let log = std::fs::read_to_string(self.directory().join("audit.log")).unwrap_or_default();
        log.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|entry| entry["user"]["username"] == USHER && entry["stage"] == "ResponseComplete")
            .map(|entry| {
                let text =
                    |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
                Call {
                    verb: text("/verb"),
                    group: text("/objectRef/apiGroup"),
                    resource: text("/objectRef/resource"),
                    subresource: text("/objectRef/subresource"),
                    namespace: text("/objectRef/namespace"),
                    name: text("/objectRef/name"),
                    code: entry["responseStatus"]["code"].as_u64().unwrap_or(0),
                    said: text("/responseStatus/message"),
                }
            })
            .collect()
    }
}
