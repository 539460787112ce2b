//! Activation keys, as every engine must keep them.

use super::*;
use crate::domain::contract::ActivationKey;

/// A change in which the License declares these names.
fn declaring(expected: i64, names: &[&str]) -> Change {
    let key = |name: &&str| ActivationKey {
        name: name.parse().unwrap(),
        expires: None,
        uses: None,
        sees_users: false,
    };
    let license =
        crate::domain::license::License { activation_keys: names.iter().map(key).collect(), ..license(1) };
    let terms =
        Terms { contract: Some(Contract { license, issuer: None, kept: 0, unknown: 0 }), ..Terms::default() };
    Change { terms: Some(terms), ..change(Some(expected)) }
}

fn hashes(facts: &Facts) -> Vec<(&str, &str)> {
    facts.keys.iter().map(|(name, hash)| (name.as_str(), hash.as_str())).collect()
}

pub(super) async fn an_activation_key_is_kept_until_its_name_goes_or_another_is_made<L: Ledger>(
    ledger: Shared<L>,
) {
    ledger.commit(&change(None)).await.unwrap();
    let mut made = declaring(1, &["a", "b"]);
    made.keys = vec![("a".into(), "1".into()), ("b".into(), "2".into())];
    ledger.commit(&made).await.unwrap();
    ledger.commit(&change(Some(2))).await.unwrap();
    assert_eq!(hashes(&facts(&*ledger).await), [("a", "1"), ("b", "2")], "nothing said leaves them");

    let mut anew = change(Some(3));
    anew.keys = vec![("a".into(), "3".into())];
    ledger.commit(&anew).await.unwrap();
    ledger.commit(&declaring(4, &["a"])).await.unwrap();
    assert_eq!(hashes(&facts(&*ledger).await), [("a", "3")]);

    let mut gone = change(Some(5));
    gone.forget = true;
    ledger.commit(&gone).await.unwrap();
    let links = ledger.audit(0, 10).await.unwrap();
    let entries: Vec<&str> = links.iter().map(|link| link.entries.as_str()).collect();
    assert!(
        entries[1].contains(r#"{"kind":"activationKey","license":"design/cad","key":"a"}"#),
        "{entries:?}"
    );
}
