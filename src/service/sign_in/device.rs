//! A device without a browser is signed in from another one (RFC 8628).
//!
//! ```text
//!   device ──► wait: device code, user code                                       device: give, again and again ──► tokens
//!   person ──► "type the code" ──► find ──► depart ──► provider ──► "continue as Ann on Lab 3?": device, address, code ──► agree
//! ```
//!
//! Whoever talks somebody into typing a code signs in as them, and no passkey stops it. So: off unless the provider's entry says otherwise; the
//! code is typed, there is no link that has it in it; and the page on which they say yes shows the code again, what the device says of itself, from
//! where it asks, and since when.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Denied, Failure, People, SignIn, Url, Why, hashed};
use crate::{
    domain::{
        authorization::{Authorization, CLIENT},
        device::{LIFE, PAUSE, UserCode},
        login::after,
        text::DeviceName,
    },
    keys::token::{self, Purpose},
    ledger::people::Waiting,
};

/// Where people type what their device shows.
pub const DEVICE: &str = "/device";

/// For what somebody signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Errand {
    /// A program on this machine, which listens for a code.
    Program(Authorization),
    /// A device elsewhere, which asks whether somebody has.
    Device(Device),
    /// The browser itself, to see what is theirs.
    Browser,
}

impl Errand {
    /// What the device is called, as its program says.
    #[must_use]
    pub fn device_name(&self) -> Option<&DeviceName> {
        match self {
            Self::Program(authorization) => authorization.device.as_ref(),
            Self::Device(device) => device.claims.name.as_ref(),
            Self::Browser => None,
        }
    }
}

/// A device that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// What is told of it.
    pub claims: Claims,
    /// The hash of its device code.
    pub(super) hash: String,
    /// Of its user code.
    user_code: String,
    /// The last instant at which it waits.
    pub(super) until: Timestamp,
}

impl Device {
    /// Whether it shows this code.
    #[must_use]
    pub fn shows(&self, code: &UserCode) -> bool {
        self.user_code == known(code)
    }
}

/// What a device says of itself, and what is seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// What it calls itself.
    pub name: Option<DeviceName>,
    /// The address from which it asks, as Usher sees it.
    pub address: String,
    /// Since when it waits.
    pub since: Timestamp,
}

/// What a device is told (RFC 8628, section 3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Codes {
    /// What it shows to Usher.
    pub device_code: Zeroizing<String>,
    /// What it shows to people.
    pub user_code: String,
    /// Where they type that.
    pub verification_uri: Url,
    /// For so many seconds both are good.
    pub expires_in: i64,
    /// So many seconds it waits before it asks again.
    pub interval: i64,
}

/// As what a user code is kept.
fn known(code: &UserCode) -> String {
    hashed("user code", &[&code.plain()])
}

impl<L: People> SignIn<L> {
    /// Whether any device may be signed in by a code.
    #[must_use]
    pub fn knows_devices(&self) -> bool {
        self.providers.any_by_device_codes()
    }

    /// A device that calls itself so asks from this address: its codes.
    ///
    /// # Errors
    /// Why it is given none.
    pub async fn wait(&self, client: &str, name: &str, address: &str) -> Result<Codes, Denied> {
        if client != CLIENT {
            return Err(Denied::Client);
        }
        if !self.knows_devices() {
            return Err(Denied::NoDevices);
        }
        let name = match name {
            "" => None,
            name => Some(name.parse().map_err(|_| Denied::DeviceName)?),
        };
        let (entropy, now) = (self.edge.entropy(), self.edge.now());
        let device_code = Purpose::DeviceCode.token(&entropy, "device code");
        let drawn = crate::domain::digest(["user code".as_bytes(), &entropy]);
        let user_code = UserCode::of(*drawn.first_chunk().unwrap_or(&[0; 8]));
        let claims = Claims { name, address: address.to_owned(), since: now };
        let waiting = Waiting {
            hash: token::hash(&device_code),
            user_code: known(&user_code),
            device: serde_json::to_string(&claims).map_err(Failure::from)?,
            until: after(now, LIFE),
        };
        if !self.ledger.await_person(&waiting, now).await? {
            return Err(Denied::Failure(Why::Crowded.into()));
        }
        Ok(Codes {
            device_code,
            user_code: user_code.to_string(),
            verification_uri: self.home.at(DEVICE),
            expires_in: LIFE,
            interval: PAUSE,
        })
    }

    /// The device that shows this code.
    ///
    /// # Errors
    /// When none does, or not any more.
    pub async fn find(&self, code: &UserCode) -> Result<Device, Failure> {
        let found = self.ledger.waiting(&known(code), self.edge.now()).await?;
        let Waiting { hash, user_code, device, until } = found.ok_or(Why::UnknownCode)?;
        Ok(Device { claims: serde_json::from_str(&device)?, hash, user_code, until })
    }
}
