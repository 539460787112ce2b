//! What a license document says: schema 1. `schema/license.v1.json` states the same for readers in other languages.
//!
//! Members that this version does not know are ignored, so that a later issuer may add some; a member that it knows must have
//! exactly its type. What an older reader must not ignore needs a new `schema` number.

use serde::{Deserialize, Serialize};

use crate::{error::Error, json::Strict};

/// The payload of a license document. Times are Unix seconds (RFC 7519 *NumericDate*, whole numbers only).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The authority: a URL that no other authority has.
    pub iss: String,
    /// Of what it speaks: `license/NS/NAME`, `seat/NS/NAME` or `activation/ID`.
    pub sub: String,
    /// The one product that it is for.
    pub aud: String,
    /// The serial of this very document.
    pub jti: String,
    /// When it was issued.
    pub iat: u64,
    /// The first instant of its validity.
    pub nbf: u64,
    /// The end of its validity: from this instant on no verifier may accept it.
    pub exp: u64,
    /// The version of this form.
    pub schema: Schema,
    /// Whether the license is in force.
    pub state: State,
    /// The License that it was made from.
    pub license: LicenseRef,
    /// Who holds the seat; absent in a document about a whole license.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// What may be used. Empty unless the state is active.
    pub features: Vec<Feature>,
    /// How much may be used.
    pub limits: Limits,
    /// When to renew.
    pub lease: Lease,
    /// The installation that it is bound to; absent where copies are not prevented.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Bound>,
    /// The activation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation: Option<String>,
}

impl Claims {
    /// Reads a payload: strict JSON, a schema that is known, every member of its type.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            schema: u64,
        }
        let strict = Strict::check("payload", payload)?;
        let Version { schema: found } = strict.read()?;
        if found != u64::from(Schema::V1) {
            return Err(Error::UnsupportedSchema { expected: Schema::V1.into(), found });
        }
        strict.read()
    }
}

/// The version of the document's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub enum Schema {
    /// The form described here, written `1`.
    V1,
}

impl From<Schema> for u64 {
    fn from(schema: Schema) -> Self {
        match schema {
            Schema::V1 => 1,
        }
    }
}

impl TryFrom<u64> for Schema {
    type Error = Error;

    fn try_from(found: u64) -> Result<Self, Error> {
        if found == u64::from(Self::V1) {
            Ok(Self::V1)
        } else {
            Err(Error::UnsupportedSchema { expected: 1, found })
        }
    }
}

/// Whether the license is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is.
    Active,
    /// Its issuer has suspended it, for now.
    Suspended,
    /// Its validity has ended.
    Expired,
}

/// The License that a document was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseRef {
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its Kubernetes UID.
    pub uid: String,
    /// The customer that it was issued to.
    pub customer: String,
    /// The Edition that it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
}

/// Who holds a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A person.
    User(User),
    /// A device.
    Device(Device),
}

/// A person, by exactly one of two names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum User {
    /// By address, as the provider of its domain asserts it.
    Email {
        /// The whole address, lower-case.
        email: String,
    },
    /// By identity at a provider.
    Identity {
        /// The provider's issuer.
        issuer: String,
        /// The person's subject there.
        subject: String,
    },
}

/// A device that holds a seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its fingerprint.
    pub id: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The installation that a document is bound to: on any other one it is worth nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Its fingerprint.
    pub id: String,
}

/// Something that may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// How many may use it at once, over the whole license; each use is checked out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<u32>,
    /// How often it may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// So many uses in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Uses.
    pub limit: u64,
    /// The period, as the License states it, such as `Day`.
    pub per: String,
}

/// How much may be used. What is absent is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Seats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seats: Option<u32>,
    /// Devices on which one seat is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices_per_seat: Option<u32>,
    /// Sessions that one user has open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions_per_user: Option<u32>,
}

/// When to ask for a newer document, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// By then the client must have asked again; from then on to `exp` it works, and warns.
    pub until: u64,
    /// From then on it should ask.
    pub renew_at: u64,
}
