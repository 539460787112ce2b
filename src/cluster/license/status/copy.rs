//! Why a copy of a License's Secret is not as it should be. Pure.

use crate::{
    cluster::{
        rights::{command, not_granted},
        secrets::Withheld,
    },
    domain::{
        license::Key,
        reason::{Because, Reason},
    },
};

/// `namespace` does not let us in. A copy that is `held` there was made when it did.
pub(in crate::cluster::license) fn refused(namespace: &str, usher: &str, held: bool) -> Because {
    if !held {
        return not_granted(namespace, usher);
    }
    Because::new(
        Reason::NamespaceNotGranted,
        format!(
            "the copy in namespace {namespace} stays as it is until its exp, for Usher may not keep Secrets there any \
             more; who owns it deletes it, or lets Usher in again with: {}",
            command(namespace, usher)
        ),
    )
}

/// There is no such namespace, or it is going.
pub(in crate::cluster::license) fn no_namespace(namespace: &str) -> Because {
    Because::new(
        Reason::NamespaceNotGranted,
        format!(
            "there is no namespace {namespace} for a copy: create it, or take it out of spec.secret.namespaces"
        ),
    )
}

/// `namespace` is Usher's own.
pub(in crate::cluster::license) fn not_here(namespace: &str) -> Because {
    Because::new(
        Reason::InvalidSpec,
        format!(
            "no copy is kept in {namespace}, where Usher's keys are: take it out of spec.secret.namespaces"
        ),
    )
}

/// The copy cannot be written.
pub(in crate::cluster::license) fn withheld(copy: &Key, withheld: &Withheld) -> Because {
    let next = "set spec.secret.name to another name, take the namespace out of spec.secret.namespaces, or \
                delete that Secret";
    super::no_secret(withheld, &copy.to_string(), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sentence_is_short_and_says_what_to_do() {
        let told = [
            refused("render-farm", "usher-system", false),
            refused("render-farm", "usher-system", true),
            no_namespace("render-farm"),
            not_here("usher-system"),
            withheld(&Key::new("render-farm", "cad-license"), &Withheld::Taken),
        ];
        for because in &told {
            assert!(because.message.len() <= 300, "{} {}", because.message.len(), because.message);
        }
        let command = "kubectl create rolebinding usher-documents -n render-farm --clusterrole=usher-documents \
                       --serviceaccount=usher-system:usher";
        assert!(told.iter().take(2).all(|because| because.message.ends_with(command)), "{told:?}");
    }
}
