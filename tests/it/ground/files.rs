//! The files of a control plane of our own: what Usher asked of it, and what lies in it.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use super::{Call, Ground, USHER, Witness};

/// What was refused for want of a right, as far as the audit log was read: it is long, and asked often.
#[derive(Default)]
pub(super) struct Refused {
    read: u64,
    found: Vec<String>,
}

/// Answered with 403, too, and no matter of rights: nobody may write there, or not so much.
const NO_MATTER_OF_RIGHTS: [&str; 2] = ["it is being terminated", "exceeded quota"];

impl Ground {
    /// Every request that Usher had no right to make, so far.
    pub(super) fn refused(&self) -> Vec<String> {
        let Witness::Own { refused, .. } = &self.witness else { return Vec::new() };
        let mut refused = refused.lock().unwrap();
        let Ok(mut log) = File::open(self.directory().join("audit.log")) else { return Vec::new() };
        let mut text = String::new();
        log.seek(SeekFrom::Start(refused.read)).unwrap();
        log.read_to_string(&mut text).unwrap();
        // The last line may not be whole yet.
        text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
        refused.read += u64::try_from(text.len()).unwrap();
        let calls = text.lines().filter(|line| line.contains("\"code\":403")).filter_map(call);
        let wrong =
            |call: &Call| call.code == 403 && NO_MATTER_OF_RIGHTS.iter().all(|why| !call.said.contains(why));
        let told = calls
            .filter(wrong)
            .map(|call| format!("{} {} {}: {}", call.verb, call.what(), call.namespace, call.said));
        refused.found.extend(told);
        refused.found.clone()
    }

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
        log.lines().filter_map(call).collect()
    }
}

/// A line of the audit log, if it is of a request of Usher's that was answered.
fn call(line: &str) -> Option<Call> {
    let entry: Value = serde_json::from_str(line).ok()?;
    if entry["user"]["username"] != USHER || entry["stage"] != "ResponseComplete" {
        return None;
    }
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
    Some(Call {
        verb: text("/verb"),
        group: text("/objectRef/apiGroup"),
        resource: text("/objectRef/resource"),
        subresource: text("/objectRef/subresource"),
        namespace: text("/objectRef/namespace"),
        name: text("/objectRef/name"),
        code: entry["responseStatus"]["code"].as_u64().unwrap_or(0),
        said: text("/responseStatus/message"),
    })
}
