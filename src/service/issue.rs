//! What a document says, and signing it.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use usher_license as wire;

use crate::{
    domain::{
        document::{self, Current, Due, State},
        duration::Ttl,
        features, hex,
        license::{Holder, Key, License, Seat, Uid},
        terms::Feature,
        text::DeviceId,
    },
    keys::Signer,
    ledger::Document,
};

/// About what a document is.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// The License itself.
    License,
    /// A Seat that is bound, and the features that it carries.
    Seat(&'a Seat, &'a [&'a Feature]),
    /// An activation, and the features that it carries.
    Activation(&'a Installation, &'a [&'a Feature]),
}

/// An installation that is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Of the activation.
    pub id: Uid,
    /// Who holds its place.
    pub holder: Holder,
    /// The device's fingerprint.
    pub device: DeviceId,
}

impl Subject<'_> {
    /// The UID of the License or Seat.
    #[must_use]
    pub fn uid<'a>(&'a self, license: &'a License) -> &'a Uid {
        match self {
            Self::License => &license.uid,
            Self::Seat(seat, _) => &seat.uid,
            Self::Activation(installation, _) => &installation.id,
        }
    }

    fn sub(&self, license: &License) -> String {
        match self {
            Self::License => format!("license/{}", license.key),
            Self::Seat(seat, _) => format!("seat/{}/{}", license.key.namespace, seat.name),
            Self::Activation(installation, _) => format!("activation/{}", installation.id),
        }
    }
}

/// The document about `subject` if one is due at `now`, and why. `current` is the one that there is.
///
/// # Errors
/// Never in practice: the form is fixed.
pub fn issue_if_due(
    license: &License,
    subject: Subject<'_>,
    signer: &Signer,
    current: Option<&Document>,
    now: Timestamp,
    entropy: &[u8; 32],
) -> Result<Option<(Document, Due)>, serde_json::Error> {
    let mut claims = without_times(license, subject, signer, now);
    let digest = digest(license, &claims)?;
    let uid = subject.uid(license);
    let current = current.map(|document| Current {
        digest: &document.digest,
        issued_at: document.issued_at,
        renew_at: signer.renew_at(&document.key_id, uid, document.renew_at),
    });
    let Some(due) = document::due(current, &digest, now) else { return Ok(None) };

    let times = document::times(license, uid, now);
    claims.jti = serial(entropy, uid);
    (claims.iat, claims.nbf, claims.exp, claims.lease) = times_said(&times);
    let document = Document {
        subject: uid.clone(),
        serial: claims.jti.clone(),
        digest,
        key_id: signer.key_id().to_string(),
        jws: signer.document(&claims)?,
        keys_jws: signer.keys_jws.clone(),
        issued_at: times.issued_at,
        expires_at: times.expires_at,
        renew_at: times.renew_at,
    };
    Ok(Some((document, due)))
}

/// Whether the document about `subject` goes on granting in the signer's name what it should not any more. What comes
/// instead grants nothing, so it needs no leave.
#[must_use]
pub fn is_to_end(
    license: &License,
    subject: Subject<'_>,
    signer: &Signer,
    current: Option<&Document>,
    now: Timestamp,
) -> bool {
    state(license, subject, now) != State::Active
        && current.and_then(grants_as).is_some_and(|issuer| issuer == signer.issuer.as_str())
}

/// In whose name a document grants something; `None` if it grants nothing.
#[must_use]
pub fn grants_as(document: &Document) -> Option<String> {
    let document = wire::License::parse(document.jws.as_bytes()).ok()?;
    let unverified_claims = document.unverified_claims();
    (unverified_claims.state == wire::State::Active).then(|| unverified_claims.iss.clone())
}

/// How many of the features that only some seats carry an adopted document says.
#[must_use]
pub fn scarce_features(license: &License, document: &Document) -> usize {
    let parsed = wire::License::parse(document.jws.as_bytes());
    let said = parsed.map(|parsed| parsed.unverified_claims().features.clone()).unwrap_or_default();
    let says = |feature: &&Feature| said.iter().any(|said| said.name == feature.name.as_str());
    license.terms.features.iter().filter(|feature| feature.seats.is_some()).filter(says).count()
}

/// The document in `jws` as the ledger would know it, if it is genuine: signed by this Authority, about this very License
/// and `subject`, for the holder that the Seat names today. Whether it is still good does not matter.
#[must_use]
pub fn adopt(
    license: &License,
    subject: Subject<'_>,
    signer: &Signer,
    jws: &str,
    keys_jws: &str,
) -> Option<Document> {
    let signed = signed(signer, jws)?;
    let claims = signed.unproven_claims();
    let wanted = match subject {
        Subject::License => None,
        Subject::Seat(seat, _) => Some(holder(&seat.holder)),
        Subject::Activation(..) => return None,
    };
    let about = (claims.iss.as_str(), claims.sub.as_str(), claims.aud.as_str(), claims.license.uid.as_str());
    let is_ours = about
        == (signer.issuer.as_str(), &subject.sub(license), license.product.as_str(), license.uid.0.as_str())
        && claims.holder == wanted;
    if !is_ours {
        return None;
    }
    let uid = subject.uid(license);
    let issued_at = Timestamp::from_second(i64::try_from(claims.iat).ok()?).ok()?;
    let times = document::times(license, uid, issued_at);
    // What it was made of is known if it has the instants that it would be given today.
    let as_today = times_said(&times) == (claims.iat, claims.nbf, claims.exp, claims.lease);
    let lease = wire::Lease { until: 0, renew_at: 0 };
    let said = wire::Claims { jti: String::new(), iat: 0, nbf: 0, exp: 0, lease, ..claims.clone() };
    Some(Document {
        subject: uid.clone(),
        serial: claims.jti.clone(),
        digest: if as_today { digest(license, &said).ok()? } else { "of former terms".into() },
        key_id: signed.unproven_kid().to_owned(),
        jws: jws.to_owned(),
        keys_jws: if signer.vouches(keys_jws) { keys_jws.to_owned() } else { signer.keys_jws.clone() },
        issued_at,
        expires_at: Timestamp::from_second(i64::try_from(claims.exp).ok()?).ok()?,
        renew_at: times.renew_at.filter(|_| as_today),
    })
}

/// The activation that the document in `jws` is about, and its last instant, if this Authority has signed it, under this very
/// License, for this device of this holder. Whether it is still good does not matter.
#[must_use]
pub fn activation_of(
    license: &License,
    (of, device): (&Holder, &DeviceId),
    signer: &Signer,
    jws: &str,
) -> Option<(Uid, Timestamp)> {
    let signed = signed(signer, jws)?;
    let claims = signed.unproven_claims();
    let id = Uid(claims.activation.clone()?);
    let about = (claims.iss.as_str(), claims.sub.as_str(), claims.aud.as_str(), claims.license.uid.as_str());
    let is_ours = about
        == (
            signer.issuer.as_str(),
            format!("activation/{id}").as_str(),
            license.product.as_str(),
            license.uid.0.as_str(),
        );
    let of_device = claims.device.as_ref().is_some_and(|said| said.id == device.as_str());
    let of_holder = match (&claims.holder, of) {
        // What people call it does not count.
        (Some(wire::Holder::Device(said)), Holder::Device { id, .. } | Holder::Workload { id, .. }) => {
            said.id == id.as_str()
        }
        (said, person) => *said == Some(holder(person)),
    };
    let until = Timestamp::from_second(i64::try_from(claims.exp).ok()?).ok()?;
    (is_ours && of_device && of_holder).then_some((id, until))
}

/// Whether this Authority has signed the document in `jws`, about a License of the name `key` or one of its Seats, of
/// whatever UID: such a Secret nobody else has made.
#[must_use]
pub fn is_about(key: &Key, signer: &Signer, jws: &str) -> bool {
    signed(signer, jws).is_some_and(|signed| {
        let claims = signed.unproven_claims();
        let about = (claims.iss.as_str(), claims.license.namespace.as_str(), claims.license.name.as_str());
        about == (signer.issuer.as_str(), key.namespace.as_str(), key.name.as_str())
    })
}

/// What was signed by a key of this Authority.
fn signed(signer: &Signer, jws: &str) -> Option<wire::License<wire::Unproven>> {
    let keys = wire::Keys::from_jwks(signer.own_keys().ok()?.as_bytes()).ok()?;
    wire::check_signature(jws.as_bytes(), &keys).ok()
}

/// `iat`, `nbf`, `exp` and the lease, as a document says them.
fn times_said(times: &document::Times) -> (u64, u64, u64, wire::Lease) {
    let lease = wire::Lease {
        until: unix(times.lease_until),
        renew_at: unix(times.renew_at.unwrap_or(times.lease_until)),
    };
    (unix(times.issued_at), unix(times.not_before), unix(times.expires_at), lease)
}

/// Everything that a document says, but its instants and its serial.
fn without_times(license: &License, subject: Subject<'_>, signer: &Signer, now: Timestamp) -> wire::Claims {
    let state = state(license, subject, now);
    let features = match subject {
        Subject::License => license.terms.features.iter().map(feature).collect(),
        Subject::Seat(_, carried) | Subject::Activation(_, carried) => {
            carried.iter().copied().map(feature).collect()
        }
    };
    wire::Claims {
        iss: signer.issuer.to_string(),
        sub: subject.sub(license),
        aud: license.product.to_string(),
        jti: String::new(),
        iat: 0,
        nbf: 0,
        exp: 0,
        schema: wire::Schema::V1,
        state: match state {
            State::Active => wire::State::Active,
            State::Suspended => wire::State::Suspended,
            State::Expired => wire::State::Expired,
        },
        license: wire::LicenseRef {
            namespace: license.key.namespace.clone(),
            name: license.key.name.clone(),
            uid: license.uid.to_string(),
            customer: license.customer.to_string(),
            edition: license.edition.as_ref().map(ToString::to_string),
        },
        holder: match subject {
            Subject::License => None,
            Subject::Seat(seat, _) => Some(holder(&seat.holder)),
            Subject::Activation(installation, _) => Some(holder(&installation.holder)),
        },
        features: if state == State::Active { features } else { Vec::new() },
        limits: wire::Limits {
            seats: Some(license.seats),
            devices_per_seat: license.terms.devices_per_seat,
            sessions_per_user: license.terms.sessions.per_user,
        },
        lease: wire::Lease { until: 0, renew_at: 0 },
        device: match subject {
            Subject::Activation(installation, _) => Some(wire::Bound { id: installation.device.to_string() }),
            Subject::License | Subject::Seat(..) => None,
        },
        activation: match subject {
            Subject::Activation(installation, _) => Some(installation.id.to_string()),
            Subject::License | Subject::Seat(..) => None,
        },
    }
}

/// A Seat whose assignments are suspended says what a suspended License says. (Its activations are given no document.)
fn state(license: &License, subject: Subject<'_>, now: Timestamp) -> State {
    let suspended = match subject {
        Subject::License | Subject::Activation(..) => false,
        Subject::Seat(seat, _) => features::suspended(seat),
    };
    match State::from(license.phase(now)) {
        State::Active if suspended => State::Suspended,
        state => state,
    }
}

/// A digest of what the document says and of what its instants come from: when this changes, it is made anew.
fn digest(license: &License, claims: &wire::Claims) -> Result<String, serde_json::Error> {
    let validity = license.validity;
    let lease = document::lease(license);
    let ttl = match lease.ttl {
        Ttl::Seconds(seconds) => Some(seconds),
        Ttl::Contract => None,
    };
    let instants = (
        validity.from.map(Timestamp::as_second),
        validity.hard_end().map(Timestamp::as_second),
        ttl,
        lease.offline_grace,
    );
    Ok(hex(&Sha256::digest(serde_json::to_vec(&(claims, instants))?)))
}

fn holder(holder: &Holder) -> wire::Holder {
    match holder {
        Holder::Email(email) => wire::Holder::User(wire::User::Email { email: email.to_string() }),
        Holder::Identity { issuer, subject } => wire::Holder::User(wire::User::Identity {
            issuer: issuer.to_string(),
            subject: subject.to_string(),
        }),
        Holder::Device { id, name } | Holder::Workload { id, name } => wire::Holder::Device(wire::Device {
            id: id.to_string(),
            name: name.as_ref().map(ToString::to_string),
        }),
    }
}

fn feature(feature: &Feature) -> wire::Feature {
    wire::Feature {
        name: feature.name.to_string(),
        pool: feature.pool,
        quota: feature
            .quota
            .map(|(limit, per)| wire::Quota { limit: u64::from(limit), per: per.as_str().into() }),
    }
}

/// 128 bits that nobody can guess, and that no two subjects of one commit share.
fn serial(entropy: &[u8; 32], subject: &Uid) -> String {
    let mut digest = Sha256::new();
    digest.update(b"serial");
    digest.update(entropy);
    digest.update(subject.0.as_bytes());
    hex(digest.finalize().get(..16).unwrap_or_default())
}

fn unix(at: Timestamp) -> u64 {
    u64::try_from(at.as_second()).unwrap_or(0)
}
