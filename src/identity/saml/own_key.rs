//! Usher's own key, by which providers know that a request is Usher's. It signs requests of SAML and nothing else.
//!
//! It is RSA, for that is what Keycloak, Entra and ADFS verify, and has a certificate of its own that nobody vouches for: whoever sets a provider up
//! takes that from Usher's description.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use openssl::{
    asn1::{Asn1Integer, Asn1Time},
    bn::{BigNum, MsbOption},
    error::ErrorStack,
    hash::MessageDigest,
    pkey::{Id, PKey, Private},
    rsa::Rsa,
    sign::Signer,
    x509::{X509, X509Name},
};
use zeroize::Zeroizing;

/// As strong as 128 bits (NIST SP 800-57), for the certificate is to last. To sign takes some milliseconds, once for whoever departs.
const BITS: u32 = 3_072;
/// How long the certificate lasts: ten years. Providers hold it, and turning it is handwork there.
const LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// Clocks differ.
const BACKDATED: SignedDuration = SignedDuration::from_mins(10);

/// How it signs (RFC 9231, section 2.3.2).
pub(super) const ALGORITHM: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// Usher's own key, with its certificate.
pub struct OwnKey {
    key: PKey<Private>,
    certificate: X509,
}

/// Why that is none.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    /// It cannot be made or read.
    #[error("it cannot be made or read")]
    OpenSsl(#[from] ErrorStack),
    /// It is a key of another kind.
    #[error("it is no RSA key of 2048 bits or more")]
    Weak,
    /// Key and certificate are of two pairs.
    #[error("its certificate is another key's")]
    Mismatch,
}

impl OwnKey {
    /// A new one. (It is drawn by the library itself.)
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn fresh(now: Timestamp) -> Result<Self, NoKey> {
        let key = PKey::from_rsa(Rsa::generate(BITS)?)?;
        let mut name = X509Name::builder()?;
        name.append_entry_by_text("CN", "Usher SAML")?;
        let name = name.build();
        let mut certificate = X509::builder()?;
        // Version 3.
        certificate.set_version(2)?;
        let serial = serial()?;
        certificate.set_serial_number(&serial)?;
        certificate.set_subject_name(&name)?;
        certificate.set_issuer_name(&name)?;
        certificate.set_pubkey(&key)?;
        let at = |by: SignedDuration| Asn1Time::from_unix(now.saturating_add(by).unwrap_or(now).as_second());
        let (from, end) = (at(-BACKDATED)?, at(LIFE)?);
        certificate.set_not_before(&from)?;
        certificate.set_not_after(&end)?;
        certificate.sign(&key, MessageDigest::sha256())?;
        Ok(Self { key, certificate: certificate.build() })
    }

    /// The one that was written like this.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, NoKey> {
        let certificate = X509::from_pem(certificate.as_bytes())?;
        // Without a passphrase OpenSSL would ask for one, at the terminal.
        let key = PKey::private_key_from_pem_passphrase(key.as_bytes(), b"")?;
        if key.id() != Id::RSA || key.bits() < 2_048 {
            return Err(NoKey::Weak);
        }
        if certificate.public_key()?.public_eq(&key) {
            Ok(Self { key, certificate })
        } else {
            Err(NoKey::Mismatch)
        }
    }

    /// Certificate and private key, in PEM: the latter is a secret.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn to_pem(&self) -> Result<(String, Zeroizing<String>), NoKey> {
        let key = Zeroizing::new(self.key.private_key_to_pem_pkcs8()?);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((text(&self.certificate.to_pem()?), Zeroizing::new(text(&key))))
    }

    /// The certificate, as descriptions have it.
    pub(super) fn certificate(&self) -> Result<String, NoKey> {
        Ok(BASE64_STANDARD.encode(self.certificate.to_der()?))
    }

    /// Its signature over `message`, by [`ALGORITHM`], in base64.
    pub(super) fn sign(&self, message: &str) -> Result<String, NoKey> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key)?;
        Ok(BASE64_STANDARD.encode(signer.sign_oneshot_to_vec(message.as_bytes())?))
    }
}

/// A number of its own for each certificate: two of one name and one number are one to some providers.
fn serial() -> Result<Asn1Integer, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    serial.to_asn1_integer()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_key_is_what_it_was_when_it_was_written_and_two_halves_of_two_are_none() {
        let (one, other) = (OwnKey::fresh(at(1_800_000_000)).unwrap(), OwnKey::fresh(at(0)).unwrap());
        let (certificate, key) = one.to_pem().unwrap();
        let read = OwnKey::from_pem(&certificate, &key).unwrap();
        assert_eq!(read.sign("a").unwrap(), one.sign("a").unwrap(), "PKCS #1 v1.5 draws nothing");
        assert_ne!(other.sign("a").unwrap(), one.sign("a").unwrap());
        assert_eq!(read.certificate().unwrap(), one.certificate().unwrap());
        assert!(matches!(OwnKey::from_pem(&other.to_pem().unwrap().0, &key), Err(NoKey::Mismatch)));
        assert!(matches!(OwnKey::from_pem("", &key), Err(NoKey::OpenSsl(_))));

        let weak = PKey::from_rsa(Rsa::generate(1_024).unwrap()).unwrap();
        let weak = String::from_utf8(weak.private_key_to_pem_pkcs8().unwrap()).unwrap();
        assert!(matches!(OwnKey::from_pem(&certificate, &weak), Err(NoKey::Weak)));
    }

    #[test]
    fn its_certificate_lasts_ten_years_and_is_good_for_clocks_that_are_late() {
        let now = 1_800_000_000;
        let certificate = OwnKey::fresh(at(now)).unwrap().certificate;
        let time = |second| Asn1Time::from_unix(second).unwrap();
        assert!(certificate.not_before() == time(now - 600));
        assert!(certificate.not_after() == time(now + 10 * 365 * 86_400));
        assert!(certificate.verify(&certificate.public_key().unwrap()).unwrap());
    }
}
