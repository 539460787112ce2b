//! Which machine this is: a digest that stays the same while the operating system is installed, and from which nobody learns more.
//!
//! | system | taken from | changes when |
//! |---|---|---|
//! | Linux | `/etc/machine-id`, else `/var/lib/dbus/machine-id` (machine-id(5)) | the system is installed anew |
//! | macOS | `IOPlatformUUID` of `ioreg -rd1 -c IOPlatformExpertDevice` | the main board is replaced |
//! | Windows | `MachineGuid` in `HKLM\SOFTWARE\Microsoft\Cryptography` | the system is installed anew |
//!
//! The fingerprint is the SHA-256 of `usher fingerprint 1`, a zero byte, the source and its value in lower case, as base64url: 43
//! characters. It is no secret and proves nothing: whoever copies the system copies its source. Copies are caught by
//! the chain of nonces. Containers have no such identity of their own: name the device yourself there.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// Before what is digested, so that nobody else's digest of the same source is the same.
const PURPOSE: &[u8] = b"usher fingerprint 1\0";

/// There is nothing to tell this machine by.
#[derive(Debug, thiserror::Error)]
#[error(
    "this machine has no identity that can be read ({0}): name the device yourself, such as by its inventory number"
)]
pub struct Unknown(String);

/// The fingerprint of this machine.
///
/// # Errors
/// When its source cannot be read.
pub fn of_this_machine() -> Result<String, Unknown> {
    let (source, value) = source()?;
    Ok(of(source, &value))
}

fn of(source: &str, value: &str) -> String {
    let digest = Sha256::new()
        .chain_update(PURPOSE)
        .chain_update(source)
        .chain_update(b"\0")
        .chain_update(value.to_ascii_lowercase());
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

#[cfg(target_os = "linux")]
fn source() -> Result<(&'static str, String), Unknown> {
    let paths = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
    let read = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let id = read.into_iter().find_map(|text| machine_id(&text));
    let id = id.ok_or_else(|| Unknown(format!("neither {} is there", paths.join(" nor "))))?;
    Ok(("machine-id", id))
}

#[cfg(target_os = "macos")]
fn source() -> Result<(&'static str, String), Unknown> {
    let text = output("ioreg", &["-rd1", "-c", "IOPlatformExpertDevice"])?;
    let uuid = platform_uuid(&text).ok_or_else(|| Unknown("ioreg names no IOPlatformUUID".to_owned()))?;
    Ok(("platform-uuid", uuid))
}

#[cfg(target_os = "windows")]
fn source() -> Result<(&'static str, String), Unknown> {
    let key = r"HKLM\SOFTWARE\Microsoft\Cryptography";
    let text = output("reg", &["query", key, "/v", "MachineGuid"])?;
    let guid = machine_guid(&text).ok_or_else(|| Unknown(format!("{key} has no MachineGuid")))?;
    Ok(("machine-guid", guid))
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
fn source() -> Result<(&'static str, String), Unknown> {
    Err(Unknown("where it is kept on this system is not known".to_owned()))
}

#[cfg(any(target_os = "macos", target_os = "windows"))]
fn output(program: &str, arguments: &[&str]) -> Result<String, Unknown> {
    let ran = std::process::Command::new(program).args(arguments).output();
    let ran = ran.map_err(|error| Unknown(format!("{program}: {error}")))?;
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

/// 32 hexadecimal digits and a line's end. `uninitialized`, as images have it before their first start, is none.
#[cfg(any(target_os = "linux", test))]
fn machine_id(text: &str) -> Option<String> {
    let id = text.trim();
    let whole = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (whole && id.bytes().any(|byte| byte != b'0')).then(|| id.to_owned())
}

#[cfg(any(target_os = "macos", test))]
fn platform_uuid(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.contains("\"IOPlatformUUID\""))?;
    line.split('"').nth(3).filter(|uuid| !uuid.is_empty()).map(str::to_owned)
}

#[cfg(any(target_os = "windows", test))]
fn machine_guid(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.trim_start().starts_with("MachineGuid"))?;
    line.split_whitespace().nth(2).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_machine_has_the_same_fingerprint_and_no_other_has_it() {
        let one = of("machine-id", "b08dfa6083e7567a1921a715000001fb");
        // printf 'usher fingerprint 1\0machine-id\0b08d…01fb' | openssl dgst -sha256 -binary | basenc --base64url
        assert_eq!(one, "BXTI36Fd2RDqtRYi6YHUVUDdJrsBMgA_M9MNYInvReI");
        assert_eq!(of("machine-id", "B08DFA6083E7567A1921A715000001FB"), one);
        assert_ne!(of("machine-id", "b08dfa6083e7567a1921a715000001fc"), one);
        assert_ne!(of("machine-guid", "b08dfa6083e7567a1921a715000001fb"), one);
    }

    #[test]
    fn each_system_says_it_in_its_own_words() {
        let id = "b08dfa6083e7567a1921a715000001fb";
        assert_eq!(machine_id(&format!("{id}\n")).as_deref(), Some(id));
        assert_eq!(machine_id("uninitialized\n"), None);
        assert_eq!(machine_id("00000000000000000000000000000000\n"), None);
        let ioreg = "+-o J314sAP  <class IOPlatformExpertDevice>\n    {\n      \"IOPlatformUUID\" = \"5A1F2B3C-0000-4000-8000-0123456789AB\"\n      \"model\" = <\"x\">\n";
        assert_eq!(platform_uuid(ioreg).as_deref(), Some("5A1F2B3C-0000-4000-8000-0123456789AB"));
        assert_eq!(platform_uuid("\"IOPlatformUUID\""), None);
        let reg = "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Cryptography\r\n    MachineGuid    REG_SZ    1d3fa0c2-9d0a-4b6e-a7c1-53b1f3a5a9d7\r\n";
        assert_eq!(machine_guid(reg).as_deref(), Some("1d3fa0c2-9d0a-4b6e-a7c1-53b1f3a5a9d7"));
    }
}
