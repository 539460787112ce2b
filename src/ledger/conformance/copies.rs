//! Copies of a License's Secret.

use super::{Shared, at, change, facts, uid};
use crate::{
    domain::license::Key,
    ledger::{Change, CopyClaim, Ledger},
};

pub(super) async fn a_copy_is_claimed_and_released_like_the_secret_that_it_is_of<L: Ledger>(
    ledger: Shared<L>,
) {
    let copy = |namespace: &str| Key::new(namespace, "cad-license");
    let mut first = change(None);
    first.claim = vec![("cad-license".into(), uid("l"))];
    first.copies.claim = vec![copy("farm"), copy("lab")];
    assert!(ledger.commit(&first).await.unwrap().is_empty());
    let claim = |namespace: &str, removing| CopyClaim { secret: copy(namespace), removing };
    let now = facts(&*ledger).await;
    assert_eq!((now.secrets.len(), now.copies), (1, vec![claim("farm", false), claim("lab", false)]));

    // Another License wants one of these names for itself, another a copy there.
    let mut other = Change::new(Key::new("farm", "cad"), uid("o"), None, at(100), [7; 32]);
    other.claim = vec![("cad-license".into(), uid("o"))];
    other.copies.claim = vec![copy("lab")];
    assert_eq!(ledger.commit(&other).await.unwrap(), ["cad-license", "lab/cad-license"]);

    let mut second = change(Some(1));
    second.copies.settle = vec![copy("lab")];
    second.copies.release = vec![copy("farm")];
    ledger.commit(&second).await.unwrap();
    let now = facts(&*ledger).await.copies;
    assert_eq!(now, [claim("farm", true), claim("lab", false)], "what was not released is not settled");
    let mut third = change(Some(2));
    third.copies.settle = vec![copy("farm")];
    ledger.commit(&third).await.unwrap();
    assert_eq!(facts(&*ledger).await.copies, [claim("lab", false)]);
}
