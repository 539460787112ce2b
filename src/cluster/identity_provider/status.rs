//! What an IdentityProvider says of itself. Pure.

use jiff::Timestamp;

use super::outcomes::Outcome;
use crate::{
    cluster::api::{
        CertificateStatus, Conditions, IdentityProvider, IdentityProviderStatus, LeavingBy, LeavingStatus,
        Type, seconds,
    },
    domain::{
        login::LEAVER,
        reason::{Because, Reason},
    },
    identity::{Known, Standing},
    service::providers::Provider,
};

/// What `provider` says; nothing before it was asked. What was told of a provider that says nothing now stays.
pub(super) fn of(
    provider: &IdentityProvider,
    outcome: &Outcome,
    now: Timestamp,
) -> Option<IdentityProviderStatus> {
    let generation = provider.metadata.generation.unwrap_or(0);
    let former = provider.status.clone().unwrap_or_default();
    let conditions = Conditions::after(&former.conditions, generation, now);
    let at_work = match &outcome.provider {
        Ok(at_work) => at_work,
        Err(because) => {
            let conditions = conditions.ready(because, Some(because)).list();
            return Some(IdentityProviderStatus { observed_generation: generation, conditions, ..former });
        }
    };
    let Standing { known, trouble } = outcome.standing.as_ref()?;
    let leaving = leaving(provider, outcome.can_be_asked);
    let conditions = match trouble {
        None => conditions.with(Type::Ready, true, &opened(at_work, known.as_ref(), &leaving)),
        Some((trouble, _)) => conditions.with(Type::Ready, false, &away(trouble, known.is_some())),
    };
    let status = IdentityProviderStatus {
        observed_generation: generation,
        leaving: Some(leaving),
        conditions: conditions.list(),
        ..former
    };
    Some(match known {
        Some(known) => published(status, at_work, known, now),
        None => status,
    })
}

/// With what the provider publishes, since when that is something else than before.
fn published(
    mut status: IdentityProviderStatus,
    at_work: &Provider,
    known: &Known,
    now: Timestamp,
) -> IdentityProviderStatus {
    let certificates = |(sha256, until): &(String, Timestamp)| CertificateStatus {
        sha256: sha256.clone(),
        until: seconds(*until),
    };
    let former = (
        status.issuer.take(),
        status.authorization_host.take(),
        status.keys.take(),
        std::mem::take(&mut status.certificates),
    );
    let said = (
        Some(at_work.relying_party.issuer().to_string()),
        Some(known.host.clone()),
        Some(i64::try_from(known.keys).unwrap_or(i64::MAX)),
        known.certificates.iter().map(certificates).collect(),
    );
    if said != former {
        status.discovered_at = Some(seconds(now));
    }
    (status.issuer, status.authorization_host, status.keys, status.certificates) = said;
    status
}

fn leaving(provider: &IdentityProvider, can_be_asked: bool) -> LeavingStatus {
    if can_be_asked {
        return LeavingStatus { by: LeavingBy::Recheck, within: format!("{}m", LEAVER / 60) };
    }
    // As it is declared, for people know their own words best.
    let within = provider.spec.reauthenticate_after.clone().map_or_else(|| "24h".to_owned(), String::from);
    LeavingStatus { by: LeavingBy::Reauthentication, within }
}

fn opened(
    at_work: &Provider,
    known: Option<&Known>,
    LeavingStatus { by, within }: &LeavingStatus,
) -> Because {
    let people = match at_work.domains.as_slice() {
        [domain] => format!("people of {domain}"),
        domains => format!("people of {} domains", domains.len()),
    };
    let host = known.map_or("", |known| &known.host);
    let how = match by {
        LeavingBy::Recheck => "for it is asked again whenever their programs go on",
        LeavingBy::Reauthentication => "having to sign in again",
    };
    let message = format!(
        "{people} sign in at {host}; whoever leaves there is signed out of Usher within {within}, {how}"
    );
    Because::new(Reason::Discovered, message)
}

fn away(trouble: &str, is_known: bool) -> Because {
    let meanwhile = if is_known {
        "what it last published is used meanwhile"
    } else {
        "nobody can sign in there until it does"
    };
    let message = format!("the identity provider does not answer as it should: {trouble}; {meanwhile}");
    Because::new(Reason::ProviderAway, message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::cluster::identity_provider::{outcomes::Version, read};

    fn declared() -> IdentityProvider {
        serde_json::from_value(json!({
            "apiVersion": "usher.dev/v1alpha1", "kind": "IdentityProvider", "metadata": {"name": "acme", "generation": 3},
            "spec": {"domains": ["acme.example"], "reauthenticateAfter": "8h",
                "oidc": {"issuer": "https://idp.acme.example/", "clientId": "usher", "clientSecretRef": {"name": "acme", "key": "secret"}}},
        }))
        .unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn stands(known: Option<usize>, trouble: Option<&str>) -> Outcome {
        let declared = declared();
        let oidc = declared.spec.oidc.as_ref().unwrap();
        let provider = read::by_oidc(&declared, oidc, "s".to_owned().into()).map(Arc::new);
        let known = known.map(|keys| Known { host: "login.acme.example".into(), keys, ..Known::default() });
        let trouble = trouble.map(|trouble| (trouble.to_owned(), at(0)));
        let version = Version { uid: "u".into(), generation: 3, secret: None };
        Outcome { of: version, provider, standing: Some(Standing { known, trouble }), can_be_asked: false }
    }

    fn said(status: &IdentityProviderStatus) -> Vec<(Type, &str, &str, &str)> {
        let conditions = status.conditions.iter();
        conditions.map(|c| (c.type_, c.status.as_str(), c.reason.as_str(), c.message.as_str())).collect()
    }

    #[test]
    fn a_provider_that_answers_says_where_people_sign_in_and_how_a_leaver_is_kept_out() {
        let status = of(&declared(), &stands(Some(2), None), at(60)).unwrap();
        assert_eq!(
            said(&status),
            [(
                Type::Ready,
                "True",
                "Discovered",
                "people of acme.example sign in at login.acme.example; whoever leaves there is signed out of Usher within 8h, having to sign in again"
            )]
        );
        assert_eq!((status.observed_generation, status.keys), (3, Some(2)));
        assert_eq!(status.issuer.as_deref(), Some("https://idp.acme.example/"));
        assert_eq!(
            status.leaving,
            Some(LeavingStatus { by: LeavingBy::Reauthentication, within: "8h".into() })
        );
    }

    #[test]
    fn of_a_provider_that_can_be_asked_again_about_all_its_people_leavers_are_out_at_once() {
        let outcome = Outcome { can_be_asked: true, ..stands(Some(2), None) };
        let status = of(&declared(), &outcome, at(60)).unwrap();
        let said = &status.conditions[0].message;
        assert!(
            said.ends_with(
                "is signed out of Usher within 11m, for it is asked again whenever their programs go on"
            ),
            "{said}"
        );
        assert_eq!(status.leaving, Some(LeavingStatus { by: LeavingBy::Recheck, within: "11m".into() }));
    }

    #[test]
    fn asked_again_and_again_it_says_the_same_until_it_publishes_something_else() {
        let mut provider = declared();
        let first = of(&provider, &stands(Some(2), None), at(60)).unwrap();
        provider.status = Some(first.clone());
        assert_eq!(of(&provider, &stands(Some(2), None), at(600)).unwrap(), first);
        let other = of(&provider, &stands(Some(3), None), at(600)).unwrap();
        assert_eq!(first.discovered_at.as_deref(), Some("1970-01-01T00:01:00Z"));
        assert_eq!(other.discovered_at.as_deref(), Some("1970-01-01T00:10:00Z"));
    }

    #[test]
    fn a_provider_that_is_away_is_not_ready_and_what_was_told_of_it_stays() {
        let mut provider = declared();
        provider.status = of(&provider, &stands(Some(2), None), at(60));
        let status = of(&provider, &stands(Some(2), Some("timed out")), at(90)).unwrap();
        assert_eq!(
            said(&status),
            [(
                Type::Ready,
                "False",
                "ProviderAway",
                "the identity provider does not answer as it should: timed out; what it last published is used meanwhile"
            )]
        );
        assert_eq!((status.keys, status.discovered_at.as_deref()), (Some(2), Some("1970-01-01T00:01:00Z")));
        // So it is after a restart, when nothing of it is known.
        let status = of(&provider, &stands(None, Some("timed out")), at(90)).unwrap();
        assert_eq!(status.keys, Some(2));
        assert!(status.conditions[0].message.ends_with("timed out; nobody can sign in there until it does"));
    }

    #[test]
    fn what_only_an_edit_can_mend_is_stalled_and_before_anybody_was_asked_nothing_is_said() {
        let because = Because::new(Reason::DomainTaken, "the domain belongs to another one");
        let outcome = Outcome { provider: Err(because), ..stands(None, None) };
        let status = of(&declared(), &outcome, at(60)).unwrap();
        let (why, message) = ("DomainTaken", "the domain belongs to another one");
        assert_eq!(
            said(&status),
            [(Type::Ready, "False", why, message), (Type::Stalled, "True", why, message)]
        );
        assert_eq!(of(&declared(), &Outcome { standing: None, ..stands(None, None) }, at(60)), None);
    }
}
