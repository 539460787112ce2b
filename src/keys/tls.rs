//! The certificates of Usher's own listeners: a small CA, made once, and a certificate under it, made at each start.

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use zeroize::Zeroizing;

/// How long the CA lasts: ten years. Clients hold it, so it should outlive them.
const CA_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
/// How long a certificate lasts: 90 days. It is made anew at each start and each [`RENEWAL`].
const CERTIFICATE_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How often a running server makes itself a new certificate.
pub const RENEWAL: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Clocks differ.
const BACKDATED: SignedDuration = SignedDuration::from_mins(10);

/// A certificate with its key, in PEM.
pub struct Pem {
    /// The certificate.
    pub certificate: String,
    /// Its private key: a secret.
    pub key: Zeroizing<String>,
}

/// Makes the CA.
///
/// # Errors
/// When the system has no randomness, or the PEM is not a CA's.
pub fn make_ca(now: Timestamp) -> Result<Pem, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Usher CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, now, CA_LIFE);
    let certificate = params.self_signed(&key)?;
    Ok(Pem { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}

/// Makes a server's certificate for `names` (DNS names and addresses) under `ca`.
///
/// # Errors
/// When the system has no randomness, or `ca` is not a CA's PEM.
pub fn make_certificate(ca: &Pem, names: &[String], now: Timestamp) -> Result<Pem, rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(&ca.certificate, KeyPair::from_pem(&ca.key)?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "Usher");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, now, CERTIFICATE_LIFE);
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Pem { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}

fn validity(params: &mut CertificateParams, now: Timestamp, life: SignedDuration) {
    let date = |at: Timestamp| {
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let part = |number: i8| u8::try_from(number).unwrap_or(1);
        rcgen::date_time_ymd(i32::from(date.year()), part(date.month()), part(date.day()))
    };
    params.not_before = date(now.checked_sub(BACKDATED).unwrap_or(now));
    params.not_after = date(now.checked_add(life).unwrap_or(now));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_good_for_90_days_and_for_clocks_that_are_late() {
        let mut params = CertificateParams::default();
        // 2027-01-15T00:09:59Z: ten minutes before was yesterday.
        validity(&mut params, Timestamp::from_second(1_799_971_799).unwrap(), CERTIFICATE_LIFE);
        assert_eq!(params.not_before, rcgen::date_time_ymd(2027, 1, 14));
        assert_eq!(params.not_after, rcgen::date_time_ymd(2027, 4, 15));
    }

    #[test]
    fn a_certificate_is_made_under_a_ca_that_was_written_and_read() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let ca = make_ca(now).unwrap();
        let certificate = make_certificate(&ca, &["localhost".into(), "127.0.0.1".into()], now).unwrap();
        assert!(certificate.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        let other = make_ca(now).unwrap();
        let mixed = Pem { certificate: "nonsense".into(), key: other.key };
        assert!(make_certificate(&mixed, &["localhost".into()], now).is_err());
    }
}
