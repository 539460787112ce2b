//! `IdentityProvider`: where people sign in.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cluster::api::{AllowedNamespaces, Condition, ReauthenticateText},
    domain::{
        terms::DeviceCodes,
        text::{ClaimPath, ClientId, Domain, EntryName, HttpsUrl, Label, OidcIssuer, ProviderIssuer, Scope},
    },
    identity::{oidc::Algorithm, saml::NameIdFormat},
};

/// Where the people of some domains sign in: the company's own identity provider, and what Usher believes of what it says.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "usher.dev",
    version = "v1alpha1",
    kind = "IdentityProvider",
    plural = "identityproviders",
    status = "IdentityProviderStatus",
    derive = "PartialEq",
    shortname = "idp",
    category = "usher",
    selectable = ".spec.oidc.issuer",
    printcolumn(name = "Issuer", type_ = "string", json_path = ".spec.oidc.issuer"),
    printcolumn(name = "Domains", type_ = "string", json_path = ".spec.domains"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(name = "Entity-id", type_ = "string", json_path = ".spec.saml.entityId", priority = 1),
    printcolumn(name = "Namespaces", type_ = "string", json_path = ".spec.allowedNamespaces.from", priority = 1),
    printcolumn(name = "Signs-in-at", type_ = "string", json_path = ".status.authorizationHost", priority = 1),
    printcolumn(name = "Leavers-out-in", type_ = "string", json_path = ".status.leaving.within", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].message"#, priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')").message("the name of an IdentityProvider must be at most 63 characters without dots: UserAssignments name its groups by it"),
    validation = Rule::new("has(self.spec.oidc) != has(self.spec.saml)").message("spec must have oidc or saml, one of the two: it is how Usher and the provider know each other"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.oidc) == has(oldSelf.oidc)").message("oidc cannot be changed to saml or back, people are known by it: make another IdentityProvider instead"))]
pub struct IdentityProviderSpec {
    /// How Usher and the provider know each other, by OpenID Connect. Either this or `saml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcSpec>,
    /// How Usher and the provider know each other, by SAML 2.0. Either this or `oidc`, which is the better one where the provider has both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saml: Option<SamlSpec>,
    /// The domains of its people's addresses, at most 64: who types one of them signs in here. A domain belongs to the IdentityProvider that
    /// was there first; another one that names it is Stalled. Whole domains: `acme.example` is not `sub.acme.example`.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub domains: Vec<Domain>,
    /// In which namespaces its people and groups count; none if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// Which of the provider's claims say what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<ClaimsSpec>,
    /// The provider gives out the addresses of `domains` itself: one counts even if the provider does not say that it was verified. Set it only
    /// where nobody can choose their own address. False if not given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub email_authority: bool,
    /// Whether people sign in for devices without a browser, too, by typing a code that the device shows (RFC 8628). Whoever is talked into
    /// typing somebody else's code signs that one in as themselves, so allow it only where there are such devices. Forbidden if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_codes: Option<DeviceCodes>,
    /// After so long people must sign in again, where nothing else tells that they are still there: a Go duration from 15m to 2160h. 24h if not
    /// given. A provider that gives refresh tokens is asked again whenever somebody's program goes on, and says so then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reauthenticate_after: Option<ReauthenticateText>,
}

/// How Usher and a provider know each other, by OpenID Connect.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct OidcSpec {
    /// The provider's issuer: an https URL, exactly as the provider says it, with its slash at the end if it has one. No other IdentityProvider
    /// may have it. `<issuer>/.well-known/openid-configuration` is asked. It cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("issuer cannot be changed, people are known by it: make another IdentityProvider instead"))]
    pub issuer: OidcIssuer,
    /// How the provider knows Usher.
    pub client_id: ClientId,
    /// Where the client secret is: an entry of a Secret of type usher.dev/client-secret in Usher's own namespace.
    pub client_secret_ref: EntryRef,
    /// What is asked for beside `openid`, at most 16. `email` and `profile` if not given. Add `offline_access` where the provider gives no refresh
    /// token without it, or one that ends with the session in the browser, as Keycloak does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    pub scopes: Option<Vec<Scope>>,
    /// In which ways its ID tokens may be signed. RS256 and ES256 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 5), extend("x-kubernetes-list-type" = "set"))]
    pub algorithms: Option<Vec<Algorithm>>,
    /// The certificates that its TLS is verified with, in PEM, and no others; the public authorities if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    #[x_kube(validation = Rule::new("self.contains('-----BEGIN CERTIFICATE-----') && !self.contains('PRIVATE KEY')").message("ca must be certificates in PEM, and nothing else"))]
    pub ca: Option<String>,
    /// The provider may be on the machine that Usher runs on: for development. False if not given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_loopback: bool,
}

/// How Usher and a provider know each other, by SAML 2.0.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
#[x_kube(
    validation = Rule::new("has(self.metadataUrl) ? !has(self.signOnUrl) && !has(self.certificates) : has(self.signOnUrl) && has(self.certificates)").message("saml must have metadataUrl alone, or signOnUrl and certificates: from either it is known where people sign in and whose keys sign")
)]
pub struct SamlSpec {
    /// The provider's entity id, exactly as the provider says it. No other IdentityProvider may have it. It cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("entityId cannot be changed, people are known by it: make another IdentityProvider instead"))]
    pub entity_id: ProviderIssuer,
    /// As what the provider knows Usher: the entity id of the service provider there, and the audience of what it says. If not given,
    /// `<public URL>/signin/saml/metadata`, where Usher says what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<ProviderIssuer>,
    /// Where the provider says what it is: asked every 5 minutes, so that it can change its keys. What is there counts because of its TLS: see `ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<HttpsUrl>,
    /// Where people sign in (by the HTTP-Redirect binding), if there is no `metadataUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_on_url: Option<HttpsUrl>,
    /// The certificates whose keys sign, each in PEM, at most 8, if there is no `metadataUrl`. No other key counts. Two while the provider changes
    /// from one to the other. Their end is shown, and is the provider's own affair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 16384)), extend("x-kubernetes-list-type" = "set"))]
    pub certificates: Option<Vec<String>>,
    /// In which way the provider must name people; in any way that is not for one time only, if not given. The way is part of who somebody is.
    #[serde(rename = "nameIDFormat", default, skip_serializing_if = "Option::is_none")]
    pub name_id_format: Option<NameIdFormat>,
    /// The certificates that the TLS of `metadataUrl` is verified with, in PEM, and no others; the public authorities if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    #[x_kube(validation = Rule::new("self.contains('-----BEGIN CERTIFICATE-----') && !self.contains('PRIVATE KEY')").message("ca must be certificates in PEM, and nothing else"))]
    pub ca: Option<String>,
    /// The provider may be on the machine that Usher runs on: for development. False if not given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_loopback: bool,
}

/// An entry of a Secret in Usher's own namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct EntryRef {
    /// The Secret's name.
    pub name: Label,
    /// The entry.
    pub key: EntryName,
}

/// Which claims say what: each the name of a claim, or the names on the way to it, joined by dots. By SAML: the name of an attribute, or what people
/// call it (`FriendlyName`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[schemars(inline)]
pub struct ClaimsSpec {
    /// Who it is, for good; never an address or a name, which change hands. `sub` if not given; by SAML the name that the provider gives (`NameID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<ClaimPath>,
    /// Their address. `email` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<ClaimPath>,
    /// Their groups: a list of texts. `groups` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<ClaimPath>,
    /// What to call them. `name` if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ClaimPath>,
}

/// What Usher says of an IdentityProvider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProviderStatus {
    /// The generation that this is said of.
    #[serde(default)]
    pub observed_generation: i64,
    /// The issuer, or by SAML the entity id, that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub issuer: Option<String>,
    /// The host of the authorization endpoint: where browsers are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub authorization_host: Option<String>,
    /// How many keys the provider publishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<i64>,
    /// By SAML: the certificates whose keys sign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub certificates: Vec<CertificateStatus>,
    /// When the provider last published something else than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub discovered_at: Option<String>,
    /// How somebody who has left the company is kept out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<LeavingStatus>,
    /// How the IdentityProvider stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A certificate of a provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct CertificateStatus {
    /// Its SHA-256, in hex.
    #[schemars(length(max = 64))]
    pub sha256: String,
    /// Its end.
    #[schemars(extend("format" = "date-time"), length(max = 32))]
    pub until: String,
}

/// How somebody who has left the company is kept out.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub struct LeavingStatus {
    /// Which way.
    pub by: LeavingBy,
    /// How soon at the latest: a Go duration.
    #[schemars(length(max = 32))]
    pub within: String,
}

/// Which way a leaver is kept out.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[schemars(inline)]
pub enum LeavingBy {
    /// The provider is asked again whenever their programs go on, by the refresh token that it has given for each who is signed in. While it
    /// does not answer, `reauthenticateAfter` is the bound.
    Recheck,
    /// They must sign in again, and the provider does not let them.
    Reauthentication,
}
