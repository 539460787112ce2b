//! `usher forget`: erases who somebody was. The audit keeps what was done, and no longer says by whom.

use std::{fmt::Debug, process::ExitCode};

use kube::{Api, Client, Resource, ResourceExt as _, core::DeserializeGuard};
use serde::de::DeserializeOwned;

use crate::{
    cluster::{
        api::{Seat, UserAssignment, UserSpec},
        labels::{MANAGED_BY, USHER},
    },
    cmd::{
        self, Exit, Failure,
        describe::{BAD, GOOD, styled},
        edge::Machine,
        eprint, list,
        place::LedgerArgs,
        print,
    },
    domain::{
        license::{Holder, Key},
        text::{Email, ProviderIssuer, Subject},
    },
    ledger::{Held, opened},
    service::{
        edge::Edge as _,
        forget_person::{Declared, ForgetError, forget_person},
    },
};

/// Erases a person who holds nothing any more from the ledger. What was done stays in the audit, by nobody.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The person's e-mail address.
    #[arg(value_name = "EMAIL", required_unless_present_any = ["issuer", "kubernetes_user"])]
    email: Option<Email>,
    /// How an identity provider knows the person: the provider's issuer URL.
    #[arg(long, value_name = "URL", requires = "subject")]
    issuer: Option<ProviderIssuer>,
    /// The provider's name for the person (`sub`).
    #[arg(long, requires = "issuer")]
    subject: Option<Subject>,
    /// How Kubernetes names the person (`kubectl auth whoami`), if they ended activations as an administrator.
    #[arg(long, value_name = "NAME")]
    kubernetes_user: Option<String>,
    #[command(flatten)]
    ledger: LedgerArgs,
}

const EXAMPLES: &str = "\
Examples:
  kubectl exec -n usher-system deploy/usher -- usher forget ann@acme.example
  kubectl exec -n usher-system deploy/usher -- usher forget --issuer https://idp.acme.example --subject 1234

Exit codes:
  0  nothing in the ledger says who the person was
  1  refused: the person is declared in the cluster or holds a seat; it says what to delete first
  2  the command line is wrong, or the cluster or the ledger could not be read

What else names the person stays, and is yours to erase: your Git, documents that were handed out, backups, other logs.";

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(forget(args))
}

async fn forget(args: &Args) -> Result<ExitCode, Failure> {
    let person = args.person();
    let client = Client::try_from(cmd::cluster().await?)?;
    let seats = all::<Seat>(&client).await?;
    // Those that Usher made go with what they were made for.
    let seats = seats.iter().filter(|seat| seat.labels().get(MANAGED_BY).is_none_or(|by| by != USHER));
    let seats = seats.filter(|seat| names(seat.spec.holder.user.as_ref(), &person)).map(declared);
    let assignments = all::<UserAssignment>(&client).await?;
    let assignments =
        assignments.iter().filter(|of| of.spec.users.iter().any(|user| names(Some(user), &person)));
    let declared: Vec<Declared> = seats.chain(assignments.map(declared)).collect();
    let now = Machine.now();
    let forgotten = opened!(&args.ledger.ledger, beside, |ledger| forget_person(
        &ledger,
        &person,
        args.kubernetes_user.as_deref(),
        declared,
        now
    )
    .await);
    match forgotten {
        Ok(0) => print(&format!("{}: the ledger knows no such person\n", styled(GOOD, "nothing to forget")))?,
        Ok(_) => print(&format!(
            "{}: the ledger no longer says who the person was\nnext: erase the name in your Git and in backups of the ledger from before\n",
            styled(GOOD, "forgotten")
        ))?,
        Err(ForgetError::Declared(declared)) => return refuse(&named(&declared)),
        Err(ForgetError::Holds(held)) => return refuse(&holds(&held)),
        Err(ForgetError::Commit(error)) => return Err(error.into()),
    }
    Ok(Exit::Done.into())
}

impl Args {
    fn person(&self) -> Vec<Holder> {
        let identity = self.issuer.clone().zip(self.subject.clone());
        let identity = identity.map(|(issuer, subject)| Holder::Identity { issuer, subject });
        self.email.clone().map(Holder::Email).into_iter().chain(identity).collect()
    }
}

fn refuse(why: &str) -> Result<ExitCode, Failure> {
    eprint(&format!("{}: {why}", styled(BAD, "refused")))?;
    Ok(Exit::Refused.into())
}

fn declared<K: Resource<DynamicType = ()>>(object: &K) -> Declared {
    Declared {
        kind: if K::kind(&()) == "Seat" { "Seat" } else { "UserAssignment" },
        key: Key::new(object.namespace().unwrap_or_default(), object.name_any()),
    }
}

/// What to do first. The objects' names are the user's own.
fn named(declared: &[Declared]) -> String {
    let commands = declared.iter().map(|Declared { kind, key }| match *kind {
        "Seat" => format!("\n  kubectl delete seat {} -n {}", key.name, key.namespace),
        _ => format!(
            "\n  kubectl edit userassignment {} -n {}    # take the user out",
            key.name, key.namespace
        ),
    });
    format!(
        "objects in the cluster name the person, and so may your Git\nnext: change both first:{}\n",
        commands.collect::<String>()
    )
}

fn holds(held: &[Held]) -> String {
    let licenses: Vec<String> = held.iter().map(|held| held.license.to_string()).collect();
    format!(
        "the person still holds a seat under {}, though no object in the cluster says so\n\
         next: Usher frees it as soon as it looks at that License, which it does not while it is paused or stalled; if it runs, try again in a moment\n",
        licenses.join(", ")
    )
}

/// Every object of a kind. One that cannot be read may name anybody.
async fn all<K>(client: &Client) -> Result<Vec<K>, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<DeserializeGuard<K>> = Api::all(client.clone());
    let listed = list::all(&api, "").await.map_err(|error| {
        format!("cannot see whether the person is declared in the cluster: {}", cmd::with_causes(&error))
    })?;
    let read = listed.into_iter().map(|object| {
        let place = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
        object.0.map_err(|_| {
            let kind = K::kind(&());
            format!("{kind} {place} cannot be read, so nobody knows whom it names: correct it first").into()
        })
    });
    read.collect()
}

/// Whether this is the person.
fn names(user: Option<&UserSpec>, person: &[Holder]) -> bool {
    user.and_then(UserSpec::holder).is_some_and(|holder| person.contains(&holder))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn person(line: &str) -> Option<Vec<String>> {
        let parsed = Line::try_parse_from(["forget"].into_iter().chain(line.split_whitespace())).ok()?;
        Some(parsed.args.person().iter().map(Holder::identity).collect())
    }

    #[test]
    fn a_person_is_an_address_or_a_subject_at_an_issuer_or_both() {
        assert_eq!(person("Ann@ACME.example").unwrap(), ["email:ann@acme.example"]);
        let identity = "identity:https://idp.acme.example 7";
        assert_eq!(person("--issuer https://idp.acme.example --subject 7").unwrap(), [identity]);
        let both = person("ann@acme.example --issuer https://idp.acme.example --subject 7").unwrap();
        assert_eq!(both, ["email:ann@acme.example", identity]);
        assert_eq!(person("--kubernetes-user ann").unwrap(), [""; 0]);
        for line in ["", "ann", "--issuer https://idp.acme.example", "ann@acme.example --subject 7"] {
            assert_eq!(person(line), None, "{line}");
        }
    }

    #[test]
    fn a_user_is_the_person_whatever_the_case_of_the_address() {
        let is_ann = |user: serde_json::Value| {
            let ann = [Holder::Email("ann@acme.example".parse().unwrap())];
            names(Some(&serde_json::from_value(user).unwrap()), &ann)
        };
        assert!(is_ann(json!({"email": "Ann@Acme.example"})));
        assert!(!is_ann(json!({"email": "bob@acme.example"})));
        assert!(!is_ann(json!({"identity": {"issuer": "https://idp.acme.example", "subject": "7"}})));
    }

    #[test]
    fn a_refusal_says_what_to_delete_first() {
        let by = |kind, name| Declared { kind, key: Key::new("design", name) };
        let said = named(&[by("Seat", "cy"), by("UserAssignment", "us")]);
        let next = "next: change both first:\n  kubectl delete seat cy -n design\n  kubectl edit userassignment us -n design    # take the user out\n";
        assert!(said.ends_with(next), "{said}");
    }
}
