//! Who holds a seat beyond a number that the License says: by its overage, or because its limits only advise.

use std::collections::BTreeMap;

use crate::{
    domain::{
        license::{License, Seat, Uid},
        terms::{Client, Enforcement, Provisioning},
        text::Label,
    },
    service::reconcile_license::Beyond,
};

/// Those of `bound`, in the order in which they were bound, beside `kept` who cannot be read. Whoever was bound last is too many.
pub(super) fn over(
    license: &License,
    bound: &[&Seat],
    (kept, elsewhere): (usize, Option<&BTreeMap<String, u32>>),
) -> BTreeMap<Uid, Beyond> {
    if license.terms.provisioning == Provisioning::Floating {
        return BTreeMap::new();
    }
    let seats = usize::try_from(license.seats).unwrap_or(usize::MAX).saturating_sub(kept);
    let beyond_seats = bound.iter().skip(seats).map(|seat| (seat.uid.clone(), Beyond::Seats));
    if license.enforcement == Enforcement::Enforce {
        return beyond_seats.collect();
    }
    let mut in_group: BTreeMap<&Label, u32> = BTreeMap::new();
    let beyond_group = bound.iter().filter_map(|seat| {
        let group = license.group(seat.group.as_ref()?)?;
        let count = in_group.entry(&group.name).or_default();
        *count += 1;
        (*count > group.seats?).then(|| (seat.uid.clone(), Beyond::Group(group.name.clone())))
    });
    let per_user = bound.iter().filter(|seat| {
        let held = elsewhere.and_then(|elsewhere| elsewhere.get(&seat.holder.identity())).copied();
        let most = license.max_per_user.filter(|_| seat.holder.client() == Client::Users);
        most.zip(held).is_some_and(|(most, held)| held >= most)
    });
    let beyond_user = per_user.map(|seat| (seat.uid.clone(), Beyond::MaxPerUser));
    // Of several numbers the License's own is told.
    beyond_user.chain(beyond_group).chain(beyond_seats).collect()
}
