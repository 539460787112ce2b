//! Who takes a seat of a License by signing in, as of now: see [`crate::domain::membership`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::gather::Gathered;
use crate::{
    cluster::{
        Context,
        api::{self, UserSpec},
        license::validate::is_made,
    },
    domain::{
        license::{Holder, Uid},
        membership::{Member, holds_until},
        reason::{Because, Reason},
        terms::SignIn,
        text::{Label, ProviderGroup},
    },
    ledger::{
        Ledger, Unavailable,
        people::{GroupAt, Members as Met},
    },
    service::providers::{Provider, Providers as _},
};

/// The longest `reauthenticateAfter` that there is, in hours.
const LONGEST: i64 = 2_160;

/// Who takes a seat by signing in.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Those who count now, each with the holder as whom they hold a seat, in the order in which they came.
    pub(super) counting: Vec<(Holder, Member)>,
    /// Those of providers that are not there or not at work: they are given nothing, and nothing is taken from them.
    pub(super) kept: Vec<(Holder, Member)>,
    /// Whether there may be others: nothing is taken away meanwhile.
    pub(super) unknown: bool,
    /// When this changes by itself.
    pub(super) until: Option<Timestamp>,
    /// Of providers whose groups admit nobody, why.
    pub(super) missing: BTreeMap<Label, Because>,
}

impl Members {
    /// The members of one of these groups.
    pub(super) fn of<'a>(&'a self, groups: &'a [api::GroupRef]) -> impl Iterator<Item = &'a Holder> {
        self.that(|member| {
            let is_in = |group: &api::GroupRef| {
                group.provider == member.provider && member.groups.contains(&group.name)
            };
            groups.iter().any(is_in)
        })
    }

    /// Whoever has asked for the License.
    pub(super) fn who_asked(&self) -> impl Iterator<Item = &Holder> {
        self.that(|member| member.asked)
    }

    fn that<'a>(&'a self, is: impl Fn(&Member) -> bool + 'a) -> impl Iterator<Item = &'a Holder> {
        self.counting.iter().filter(move |(_, member)| is(member)).map(|(holder, _)| holder)
    }

    fn changes_at(&mut self, at: Timestamp) {
        self.until = Some(self.until.map_or(at, |until| until.min(at)));
    }
}

/// What is known of them.
pub(super) async fn members<L: Ledger>(
    context: &Context<L>,
    gathered: &Gathered,
) -> Result<Members, Unavailable> {
    let Some(license) = gathered.readable() else { return Ok(Members::default()) };
    let (Some(uid), Some(sign_in)) = (license.uid(), license.spec.sign_in) else {
        return Ok(Members::default());
    };
    if sign_in == SignIn::None {
        return Ok(Members::default());
    }
    let providers: BTreeSet<&Label> =
        gathered.readable_assignments().flat_map(|a| &a.spec.groups).map(|group| &group.provider).collect();
    let met = context.ledger.members(&Uid(uid), &asked_for(gathered, license)).await?;
    let provider = |name: &Label| -> Found {
        match context.providers.named(name.as_str()) {
            Some(provider) if provider.allowed_namespaces.admit(&gathered.namespace_labels) => Ok(provider),
            Some(_) => Err(Some(not_allowed(name, &gathered.key.namespace))),
            None if context.index.identity_provider(name.as_str()).is_none() => Err(Some(not_there(name))),
            // It is there, and not at work: its own status says why.
            None => Err(None),
        }
    };
    Ok(counted(met, (&providers, &named(gathered)), sign_in, provider, context.edge.now()))
}

/// The holders whom something declared names.
fn named(gathered: &Gathered) -> BTreeSet<String> {
    let assigned = gathered.readable_assignments().flat_map(|a| &a.spec.users).filter_map(UserSpec::holder);
    let by_hand = gathered.readable_seats().filter(|seat| !is_made(seat));
    let by_hand = by_hand.filter_map(|seat| seat.spec.holder.holder());
    assigned.chain(by_hand).map(|holder| holder.identity()).collect()
}

/// A provider whose people count; else why they do not, if that is for its users to know.
type Found = Result<std::sync::Arc<Provider>, Option<Because>>;

/// The groups that matter to the License.
fn asked_for(gathered: &Gathered, license: &api::License) -> Vec<GroupAt> {
    let assigned = gathered.readable_assignments().flat_map(|a| &a.spec.groups);
    let assigned =
        assigned.map(|group| GroupAt { provider: Some(group.provider.clone()), name: group.name.clone() });
    let matched = license.spec.groups.iter().filter_map(|group| group.matches.as_ref());
    let matched = matched.flat_map(|matches| {
        let at = |name: &ProviderGroup| GroupAt { provider: matches.provider.clone(), name: name.clone() };
        matches.provider_groups.iter().map(at)
    });
    let all: BTreeSet<GroupAt> = assigned.chain(matched).collect();
    all.into_iter().collect()
}

fn counted(
    met: Met,
    (providers, named): (&BTreeSet<&Label>, &BTreeSet<String>),
    sign_in: SignIn,
    provider: impl Fn(&Label) -> Found,
    now: Timestamp,
) -> Members {
    let mut members = Members::default();
    let all: BTreeSet<&Label> =
        providers.iter().copied().chain(met.people.iter().map(|one| &one.provider)).collect();
    let found: BTreeMap<Label, Found> = all.into_iter().map(|name| (name.clone(), provider(name))).collect();
    for (name, found) in &found {
        // Who was in a group when the ledger was lost is not known before all have had to come again.
        let known = met.known_since.and_then(|since| heard_until(found, since));
        if let Some(known) = known.filter(|known| *known > now) {
            members.unknown = true;
            members.changes_at(known);
        }
        if let Err(Some(because)) = found
            && providers.contains(name)
        {
            members.missing.insert(name.clone(), because.clone());
        }
    }
    for member in met.people {
        let Some(found) = found.get(&member.provider) else { continue };
        // The name may be another provider's today.
        let is_another = |provider: &Provider| *provider.relying_party.issuer() != member.person.issuer;
        if found.as_ref().is_ok_and(|provider| is_another(provider)) {
            continue;
        }
        if let Some(until) = heard_until(found, member.proven_at).filter(|until| *until > now) {
            members.changes_at(until);
            let asked = member.asked && sign_in == SignIn::Verified && member.person.email.is_some();
            let holder = member.holder(|holder| named.contains(holder));
            let list = if found.is_ok() { &mut members.counting } else { &mut members.kept };
            list.push((holder, Member { asked, ..member }));
        }
    }
    members
}

/// Until when it matters what a provider said at `since`: of one that is not there or not at work, which may be as before tomorrow, for as long
/// as any word holds; of one whose people do not count here, not at all.
fn heard_until(found: &Found, since: Timestamp) -> Option<Timestamp> {
    match found {
        Ok(provider) => Some(holds_until(since, provider.reauthenticate_after)),
        Err(Some(because)) if because.reason == Reason::ProviderNotAllowed => None,
        Err(_) => Some(holds_until(since, SignedDuration::from_hours(LONGEST))),
    }
}

fn not_there(provider: &Label) -> Because {
    Because::new(
        Reason::ProviderNotFound,
        format!("there is no IdentityProvider {provider}: create it, or take its groups out of spec.groups"),
    )
}

fn not_allowed(provider: &Label, namespace: &str) -> Because {
    Because::new(
        Reason::ProviderNotAllowed,
        format!(
            "people of IdentityProvider {provider} do not count in the namespace {namespace}: have it added to the provider's spec.allowedNamespaces, or take its groups out of spec.groups"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{license::tests::at, standing::Person},
        service::providers::tests::provider,
    };

    /// Whoever `acme` has proven at this time.
    fn proven(subject: &str, when: i64, asked: bool) -> Member {
        Member {
            person: Person {
                issuer: "https://acme.example/".parse().unwrap(),
                subject: subject.parse().unwrap(),
                email: format!("{subject}@acme.example").parse().ok(),
            },
            provider: "acme".parse().unwrap(),
            groups: ["cad-users".parse().unwrap()].into(),
            proven_at: at(when),
            holds: None,
            anothers: false,
            asked,
        }
    }

    const DAY: i64 = 24 * 3_600;

    fn of(members: &Members) -> Vec<(&str, bool)> {
        members.counting.iter().map(|(_, member)| (member.person.subject.as_str(), member.asked)).collect()
    }

    fn counted_at(
        now: i64,
        people: Vec<Member>,
        known_since: Option<i64>,
        found: impl Fn() -> Found,
    ) -> Members {
        let acme: Label = "acme".parse().unwrap();
        let met = Met { people, known_since: known_since.map(at) };
        counted(met, (&[&acme].into(), &BTreeSet::new()), SignIn::Members, |_| found(), at(now))
    }

    fn at_work() -> Found {
        Ok(provider("acme", "acme.example"))
    }

    #[test]
    fn what_a_provider_has_said_of_somebody_counts_until_it_has_to_say_it_again() {
        let people = vec![proven("ann", 0, false), proven("bob", 60, false)];
        let now = |now| counted_at(now, people.clone(), None, at_work);
        assert_eq!((of(&now(100)), now(100).until), (vec![("ann", false), ("bob", false)], Some(at(DAY))));
        assert_eq!((of(&now(DAY)), now(DAY).until), (vec![("bob", false)], Some(at(DAY + 60))));
        assert_eq!((of(&now(DAY + 60)), now(DAY + 60).until), (vec![], None));
        assert!(!now(DAY + 60).unknown);
    }

    #[test]
    fn while_it_is_not_known_who_belongs_to_a_group_that_is_said() {
        let people = || vec![proven("ann", 0, false)];
        let gone = || Err(Some(not_there(&"acme".parse().unwrap())));
        let missing = counted_at(9, people(), None, gone);
        assert!(!missing.unknown && missing.counting.is_empty() && missing.kept.len() == 1);
        assert_eq!(missing.missing.values().next().unwrap().reason, Reason::ProviderNotFound);
        let away = counted_at(9, people(), None, || Err(None));
        assert!(away.kept.len() == 1 && away.missing.is_empty());
        let longest = 90 * DAY;
        assert_eq!((away.until, counted_at(longest, people(), None, gone).kept), (Some(at(longest)), vec![]));
        assert!(counted_at(9, people(), Some(5), gone).unknown, "nor is it known who else there was");
        let lost = counted_at(9, people(), Some(5), at_work);
        assert!(lost.unknown && of(&lost) == [("ann", false)]);
        assert!(!counted_at(5 + DAY, Vec::new(), Some(5), at_work).unknown, "all have had to come again");
    }

    #[test]
    fn people_who_do_not_count_in_the_namespace_are_nobody_there_and_that_is_known() {
        let not_allowed = || Err(Some(not_allowed(&"acme".parse().unwrap(), "design")));
        let members = counted_at(9, vec![proven("ann", 0, false)], None, not_allowed);
        assert!(members.counting.is_empty() && members.kept.is_empty() && !members.unknown);
        assert_eq!(members.missing.values().next().unwrap().reason, Reason::ProviderNotAllowed);
    }

    #[test]
    fn whoever_was_proven_by_another_provider_of_that_name_is_nobody() {
        let other = || Ok(provider("acme", "other.acme.example"));
        assert!(counted_at(9, vec![proven("ann", 0, false)], None, other).counting.is_empty());
    }

    #[test]
    fn who_has_asked_counts_where_everybody_may_and_only_with_an_address() {
        let acme: Label = "acme".parse().unwrap();
        let mut nameless = proven("cy", 0, true);
        nameless.person.email = None;
        let people = vec![proven("ann", 0, true), nameless];
        let asked = |sign_in| {
            let met = Met { people: people.clone(), known_since: None };
            let members = counted(met, (&[&acme].into(), &BTreeSet::new()), sign_in, |_| at_work(), at(9));
            members.who_asked().count()
        };
        assert_eq!((asked(SignIn::Verified), asked(SignIn::Members)), (1, 0));
    }
}
