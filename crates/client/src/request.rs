//! Who asks: an installation, and what it is on.

use serde::{Deserialize, Serialize};

/// Which installation asks for a place under which License.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `NAMESPACE/NAME`
    pub license: String,
    /// On what.
    pub device: Device,
}

/// What an installation is on. Administrators see all of it; only `id` decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// The fingerprint. Of a pod it is not used: the server knows which installation a pod is.
    pub id: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who is logged in to the operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os_user: Option<String>,
    /// Its name in the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
}

impl Device {
    /// What can be said of this machine without knowing which one it is: all but its fingerprint and what people call it.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        Self {
            os_user: user,
            hostname: gethostname::gethostname().into_string().ok(),
            os: Some(std::env::consts::OS.to_owned()),
            ..Self::default()
        }
    }
}

/// Whether these bodies ask for one thing. What a device says of itself beside its id decides nothing, and may have changed since the first of them was sent.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let asked = |body| serde_json::from_str::<Request>(body).ok();
    one == other
        || asked(one)
            .zip(asked(other))
            .is_some_and(|(one, other)| (one.license, one.device.id) == (other.license, other.device.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_the_same_whatever_the_device_says_of_itself_beside_its_id() {
        let body = |license: &str, id: &str, hostname: Option<&str>| {
            let hostname = hostname.map(str::to_owned);
            let device = Device { id: id.into(), hostname, ..Device::default() };
            serde_json::to_string(&Request { license: license.into(), device }).unwrap()
        };
        let first = body("design/cad", "lab-3", Some("lab-3.acme.example"));
        assert!(same(&first, &body("design/cad", "lab-3", None)));
        for other in [body("design/cad", "lab-4", None), body("design/cam", "lab-3", None), String::new()] {
            assert!(!same(&first, &other), "{other}");
        }
        assert!(same("", ""));
    }
}
