//! What a provider says of people beside the ID token, at its UserInfo endpoint (OpenID Connect Core, section 5.3).
//!
//! Many providers put into the ID token only who somebody is: by section 5.4 the address and the rest belong to the UserInfo endpoint
//! wherever an access token comes along. It is asked only for what the token leaves open, and what the token says goes first. Its word is
//! not signed: it counts by TLS, and if it is about the same subject, for an access token may have been put in another's place (5.3.2).

use openidconnect::{AccessToken, url::Url};
use serde_json::Value;

use super::Refused;
use crate::identity::{Claims, fetch::Fetcher, with_causes};

/// What is known of somebody by their token, and by the endpoint where the token leaves the address or the groups open.
///
/// # Errors
/// When the endpoint does not answer as it should, or speaks of somebody else. Without its word nobody is signed in: whoever came
/// without their groups would lose the seats that these give.
pub(super) async fn completed(
    verified: Value,
    claims: &Claims,
    endpoint: Option<&Url>,
    access_token: &AccessToken,
    fetcher: &Fetcher,
) -> Result<Value, Refused> {
    let Some(endpoint) = endpoint else { return Ok(verified) };
    if claims.email(&verified).is_some() && claims.groups(&verified).is_some() {
        return Ok(verified);
    }
    let away = |why: String| Refused::Away(format!("at its UserInfo endpoint: {why}"));
    let answer = fetcher.get(endpoint, Some(access_token.secret())).await;
    let (status, said) = answer.map_err(|error| away(with_causes(&error)))?;
    if status != 200 {
        return Err(away(format!("HTTP {status}")));
    }
    let said = serde_json::from_slice(&said).map_err(|_| away("its answer is no JSON".to_owned()))?;
    merged(verified, said, claims)
}

/// What the token says, and beside it what the endpoint said of the same person.
fn merged(verified: Value, said: Value, claims: &Claims) -> Result<Value, Refused> {
    // Whether an address was verified is said by who says the address.
    let (addressed, addresses) = (claims.email(&verified).is_some(), claims.email(&said).is_some());
    let (Value::Object(mut token), Value::Object(mut said)) = (verified, said) else {
        return Err(Refused::OtherPerson);
    };
    if !token.get("sub").is_some_and(|sub| sub.is_string() && said.get("sub") == Some(sub)) {
        return Err(Refused::OtherPerson);
    }
    if addressed {
        said.remove("email_verified");
    } else if addresses {
        token.remove("email_verified");
    }
    for (name, value) in said {
        token.entry(name).or_insert(value);
    }
    Ok(Value::Object(token))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(token: &Value, said: &Value) -> Result<Value, Refused> {
        merged(token.clone(), said.clone(), &Claims::default())
    }

    #[test]
    fn what_the_token_leaves_open_the_endpoint_says_and_nothing_else() {
        let token = json!({"sub": "1", "name": "Ann", "iss": "https://idp.acme.example"});
        let said = json!({"sub": "1", "name": "Eve", "email": "ann@acme.example", "email_verified": true, "iss": "x"});
        let both = json!({"sub": "1", "name": "Ann", "iss": "https://idp.acme.example", "email": "ann@acme.example",
            "email_verified": true});
        assert_eq!(told(&token, &said).unwrap(), both);
    }

    #[test]
    fn an_address_of_the_token_is_not_verified_by_the_endpoint() {
        let token = json!({"sub": "1", "email": "ann@acme.example"});
        let said =
            json!({"sub": "1", "email": "eve@acme.example", "email_verified": true, "groups": ["cad-users"]});
        let both = json!({"sub": "1", "email": "ann@acme.example", "groups": ["cad-users"]});
        assert_eq!(told(&token, &said).unwrap(), both);
    }

    #[test]
    fn an_address_of_the_endpoint_is_not_verified_by_the_token() {
        let token = json!({"sub": "1", "email_verified": true});
        for said in [
            json!({"sub": "1", "email": "eve@acme.example"}),
            json!({"sub": "1", "email": "eve@acme.example", "email_verified": false}),
        ] {
            assert_eq!(told(&token, &said).unwrap(), said);
        }
        let said = json!({"sub": "1", "email": "ann@acme.example", "email_verified": true});
        assert_eq!(told(&token, &said).unwrap(), said);
    }

    #[test]
    fn an_endpoint_that_speaks_of_somebody_else_or_of_nobody_is_not_believed() {
        let token = json!({"sub": "1"});
        for said in [json!({"sub": "2"}), json!({}), json!({"sub": 1}), json!(["1"]), json!(null)] {
            assert!(matches!(told(&token, &said), Err(Refused::OtherPerson)), "{said}");
        }
        assert!(matches!(told(&json!({}), &json!({})), Err(Refused::OtherPerson)));
        assert!(told(&token, &json!({"sub": "1"})).is_ok());
    }

    #[tokio::test]
    async fn without_the_endpoints_word_nobody_is_signed_in_unless_the_token_says_all() {
        use crate::identity::fetch::Loopback;
        let fetcher = Fetcher::new(None, Loopback::Allowed).unwrap();
        let nobody: Url = "https://127.0.0.1:9/userinfo".parse().unwrap();
        let ask = async |token: Value, endpoint: Option<&Url>| {
            completed(token, &Claims::default(), endpoint, &AccessToken::new("t".into()), &fetcher).await
        };
        let all = json!({"sub": "1", "email": "ann@acme.example", "groups": []});
        assert_eq!(ask(all.clone(), Some(&nobody)).await.unwrap(), all);
        for open in
            [json!({"sub": "1"}), json!({"sub": "1", "groups": []}), json!({"sub": "1", "email": "a"})]
        {
            let refused = ask(open.clone(), Some(&nobody)).await.unwrap_err();
            assert!(
                matches!(&refused, Refused::Away(why) if why.starts_with("at its UserInfo endpoint")),
                "{open}"
            );
            assert_eq!(ask(open.clone(), None).await.unwrap(), open, "there is none to ask");
        }
    }
}
