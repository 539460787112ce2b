//! `POST /v1/activations`: an installation is bound to a place.

use axum::{body::Body, extract::State, response::Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::begun;
use crate::{
    domain::{refusal::Code, refused::About},
    http::{
        openapi::{Call, Credential, Gives, Method, Nonce, Shape},
        problem::Problem,
        routes::{
            Api,
            request::{Head, Taken},
        },
    },
    service::activations::{self as answers, Activations, Device, Remains, Wish},
};

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ActivationRequest")]
struct Request {
    /// The License: namespace/name.
    license: String,
    /// On what. A pod may leave it out, and its `id` is not used: which installation a pod is, Kubernetes says.
    device: Option<Device>,
    /// What is left of an activation that the server does not know.
    lost: Option<Left>,
}

/// The remains of an activation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Left {
    /// Its last `N-Nonce`.
    nonce: String,
    /// Its last document.
    document: String,
}

/// What is granted.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Activated")]
#[expect(dead_code, reason = "declares what the answer is; the recorded one is sent as it is")]
struct Answer {
    #[serde(flatten)]
    activation: answers::Answer,
    /// The credential of all other calls of this activation. It is given here and nowhere else: keep it secret, on a disk.
    activation_token: String,
    #[serde(flatten)]
    told: answers::Told,
}

/// What is told of an activation that begins.
pub(super) const ACTIVATED: Shape = Shape::of::<Answer>(
    r#"{"id": "5f0c1d52a8e94c1f8d0b7a3e6c2b9f10", "state": "active", "license": "design/cad", "product": "cad", "document": "eyJhbGciOiJFZERTQSJ9.e30.c2ln",
            "keys": "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "lease": {"renew_at": "2026-11-26T22:00:00Z", "until": "2026-11-27T10:00:00Z", "expires_at": "2026-11-30T10:00:00Z"},
            "activation_token": "usher_act_0000", "parameters": {"customer": "acme", "edition": "standard", "features": [{"name": "render"}, {"name": "simulate", "pool": 5}],
            "seats": 2, "devices_per_seat": 2, "sessions_per_user": 1, "session_ttl": 300, "enforcement": "Enforce", "valid_until": "2030-01-01T00:00:00Z",
            "afterwards": "Stop"}, "users": [{"email": "ann@acme.example"}]}"#,
);

pub(in crate::http::routes) const ACTIVATE: Call = Call {
    method: Method::Post,
    path: "/activations",
    in_path: &[],
    name: "activate",
    about: "Activations",
    summary: "Bind an installation to a place under a License",
    description: "Gives the activation, its token, its first nonce, its first signed document, and what the License says; its users, \
if the License lets whoever asks see them (`seesUsers`). The same request with the same `Idempotency-Key` \
is answered with the same activation, its token and its nonce, so write the key down before you send. A device that is active already and activates again \
(its state was lost, or restored from a snapshot) takes over its own place: its former activation is superseded, which is allowed as often as the License's \
`clones.recoveries` says. Somebody who has signed in activates on the seat that is theirs, on as many devices as `devicesPerSeat` says. A pod activates by the token of its service account, \
which the License's `workloads` name: it takes the slot of its owner (a Deployment, a StatefulSet, …) that is its own or whose pod is gone or leaving, and with that its place; `device.id` of the \
document names the slot. All other calls of that activation need the pod's token in `Workload-Token`, too.",
    by: &[Credential::ActivationKey, Credential::ServiceAccount, Credential::AccessToken],
    nonce: Nonce::Gives,
    repeatable: true,
    takes: Some(Shape::of::<Request>(
        r#"{"license": "design/cad", "device": {"id": "9f86d081884c7d65", "name": "Lab 3", "hostname": "lab-3", "os": "linux"}}"#,
    )),
    gives: Gives { status: 201, what: "The installation is active.", body: Some(ACTIVATED) },
    or: None,
    refuses: &[
        Code::ActivationEnded,
        Code::ActivationSuperseded,
        Code::NonceUsed,
        Code::SeatsExhausted,
        Code::DevicesExhausted,
        Code::SeatMissing,
        Code::SeatWaiting,
        Code::SeatSuspended,
        Code::HolderChanged,
        Code::NamespaceNotAllowed,
        Code::TransfersExhausted,
        Code::RecoveriesExhausted,
        Code::KeyExpired,
        Code::KeyUsedUp,
        Code::DeviceNotAllowed,
        Code::DeviceNotListed,
        Code::DeviceActive,
        Code::LicenseSuspended,
        Code::LicenseExpired,
        Code::LicenseNotReady,
    ],
};

pub(in crate::http::routes) async fn activate<L: Activations>(
    State(api): State<Api<L>>,
    head: Head,
    body: Body,
) -> Result<Response, Problem> {
    let taken = Taken::with_json(&head, body, api.bounds.body).await?;
    let Request { license, device, lost } = taken.json()?;
    let lost = lost.map(|Left { nonce, document }| Remains { nonce, document });
    let about = About::license(&license);
    let reply = api.runtime.activate(&taken.asked(), &Wish { license, device, lost }).await;
    begun(&reply.map_err(|failure| Problem::from(failure).about(about))?)
}
