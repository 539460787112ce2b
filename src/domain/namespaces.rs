//! In which namespaces something counts that the whole cluster has: an Authority's signature, an identity provider's people.

use std::collections::BTreeMap;

/// Which namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Namespaces {
    /// None: whoever says nothing lets nobody in.
    #[default]
    None,
    /// Those that have all of these labels, with these values.
    Labelled(BTreeMap<String, String>),
    /// All.
    All,
}

impl Namespaces {
    /// Whether a namespace with these labels is one of them.
    #[must_use]
    pub fn admit(&self, labels: &BTreeMap<String, String>) -> bool {
        match self {
            Self::None => false,
            Self::Labelled(wanted) => wanted.iter().all(|(name, value)| labels.get(name) == Some(value)),
            Self::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn who_says_nothing_admits_no_namespace_and_who_says_all_every_one() {
        assert!(!Namespaces::default().admit(&labels(&[("a", "b")])));
        assert!(Namespaces::All.admit(&labels(&[])));
    }

    #[test]
    fn a_selector_wants_every_label_with_its_value() {
        let some = Namespaces::Labelled(labels(&[("a", "1"), ("b", "2")]));
        assert!(some.admit(&labels(&[("a", "1"), ("b", "2"), ("c", "3")])));
        assert!(!some.admit(&labels(&[("a", "1")])));
        assert!(!some.admit(&labels(&[("a", "1"), ("b", "3")])));
    }
}
