//! What Usher fetches from identity providers: over https only, from where they may be, so much, in so long, and without following
//! anybody elsewhere.
//!
//! The address of a provider is written by whoever may write IdentityProviders, and the document that it serves names further ones. So
//! that neither is a way into what only Usher can reach, an address is looked at after its name was resolved, and it is that address that is
//! connected to. Loopback is for development, and must be allowed.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use openidconnect::{
    AsyncHttpClient, HttpRequest, HttpResponse,
    http::StatusCode,
    url::{Host, Url},
};
use reqwest::{
    Certificate, Client,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{AUTHORIZATION, HeaderValue},
    redirect::Policy,
};

/// How long an answer may take, connecting included.
const LONGEST: Duration = Duration::from_secs(10);
/// The largest answer: key sets of large providers have some 20 kB.
const LARGEST: usize = 256 * 1024;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What trusts the provider's TLS cannot be read.
    #[error("the certificates in ca cannot be read")]
    Certificates(#[source] reqwest::Error),
    /// The URL is not of https.
    #[error("{0} is not an https URL")]
    NotHttps(String),
    /// The provider gave a token that no header can bring back.
    #[error("its access token is none")]
    NoToken,
    /// It leads to where no provider is.
    #[error("{0} is not an address that a provider may have")]
    Forbidden(IpAddr),
    /// The provider answered more than any makes sense.
    #[error("the answer is larger than {LARGEST} bytes")]
    TooLarge,
    /// It says that it cannot.
    #[error("the provider answers with the status {0}")]
    Failing(u16),
    /// It did not answer.
    #[error("the provider does not answer")]
    Away(#[source] reqwest::Error),
}

impl Error {
    /// Whether the provider may have done what it was asked for.
    pub(super) fn may_be_done(&self) -> bool {
        match self {
            Self::Away(error) => !error.is_connect() && !error.is_builder(),
            Self::TooLarge => true,
            // A gateway in front of it may say so of what was done behind it.
            Self::Failing(status) => *status != StatusCode::TOO_MANY_REQUESTS.as_u16(),
            Self::Certificates(_) | Self::NoToken | Self::NotHttps(_) | Self::Forbidden(_) => false,
        }
    }
}

/// Whether a provider may be on this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Loopback {
    /// It may not.
    #[default]
    Forbidden,
    /// It may, for development.
    Allowed,
}

impl Loopback {
    /// Whether a provider may have this address.
    fn permits(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if address.is_loopback() {
            return self == Self::Allowed;
        }
        let local = match address {
            // Where clouds tell machines their secrets.
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        !local && !address.is_unspecified() && !address.is_multicast()
    }
}

/// Resolves names to addresses that providers may have, and to no others.
struct Permitted(Loopback);

impl Resolve for Permitted {
    fn resolve(&self, name: Name) -> Resolving {
        let loopback = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            match found.iter().find(|found| !loopback.permits(found.ip())) {
                Some(forbidden) => Err(Error::Forbidden(forbidden.ip()).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// Fetches from one provider.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Client,
    loopback: Loopback,
}

impl Fetcher {
    /// Trusts the public authorities, or those whose certificates are in `ca` (PEM) and no others.
    ///
    /// # Errors
    /// When these cannot be read.
    pub fn new(ca: Option<&str>, loopback: Loopback) -> Result<Self, Error> {
        let client = Client::builder()
            .https_only(true)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(LONGEST)
            .dns_resolver(Arc::new(Permitted(loopback)));
        let client = match ca {
            Some(ca) => client
                .tls_certs_only(Certificate::from_pem_bundle(ca.as_bytes()).map_err(Error::Certificates)?),
            None => client,
        };
        Ok(Self { client: client.build().map_err(Error::Certificates)?, loopback })
    }

    /// Whether `url` is one to go to, as far as the text tells.
    pub(super) fn permits(&self, url: &Url) -> Result<(), Error> {
        if url.scheme() != "https" {
            return Err(Error::NotHttps(url.to_string()));
        }
        let literal = match url.host() {
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            _ => return Ok(()),
        };
        if self.loopback.permits(literal) { Ok(()) } else { Err(Error::Forbidden(literal)) }
    }

    /// What is at `url` for whoever has the token `bearer`, and with which status.
    pub(super) async fn get(&self, url: &Url, bearer: Option<&str>) -> Result<(u16, Vec<u8>), Error> {
        let mut request = HttpRequest::new(Vec::new());
        *request.uri_mut() = url.as_str().parse().map_err(|_| Error::NotHttps(url.to_string()))?;
        if let Some(token) = bearer {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Error::NoToken)?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let response = self.fetch(request).await?;
        Ok((response.status().as_u16(), response.into_body()))
    }

    async fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let request = reqwest::Request::try_from(request).map_err(Error::Away)?;
        self.permits(request.url())?;
        let mut answer = self.client.execute(request).await.map_err(Error::Away)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(Error::Away)? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                return Err(Error::TooLarge);
            }
        }
        let mut response = HttpResponse::new(body);
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for Fetcher {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async {
            let response = self.fetch(request).await?;
            // Whatever else it says then is no answer to what it was asked.
            let status = response.status();
            if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                return Err(Error::Failing(status.as_u16()));
            }
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_provider_is_where_clouds_tell_secrets_and_on_this_machine_only_if_allowed() {
        let permits = |address: &str, loopback: Loopback| loopback.permits(address.parse().unwrap());
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            assert!(!permits(address, Loopback::Allowed), "{address}");
        }
        for address in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert!(
                permits(address, Loopback::Allowed) && !permits(address, Loopback::Forbidden),
                "{address}"
            );
        }
        for address in ["10.0.0.8", "192.0.2.1", "2001:db8::1"] {
            assert!(permits(address, Loopback::Forbidden), "{address}");
        }
    }

    #[tokio::test]
    async fn what_is_not_https_or_is_forbidden_is_not_asked() {
        let fetcher = Fetcher::new(None, Loopback::Forbidden).unwrap();
        let ask = async |url: &str| fetcher.call(http::Request::get(url).body(vec![]).unwrap()).await;
        assert!(matches!(ask("http://idp.acme.example/").await, Err(Error::NotHttps(_))));
        assert!(matches!(ask("https://127.0.0.1:1/").await, Err(Error::Forbidden(_))));
        assert!(matches!(ask("https://[::1]:1/").await, Err(Error::Forbidden(_))));
        // By name it is the resolver that refuses.
        let by_name = ask("https://localhost:1/").await.unwrap_err();
        let mut causes =
            std::iter::successors(Some(&by_name as &dyn std::error::Error), |error| error.source());
        assert!(causes.any(|cause| cause.to_string().contains("is not an address that a provider may have")));
    }
}
