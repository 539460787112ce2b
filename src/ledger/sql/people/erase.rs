//! Erasing who somebody was, among those who have signed in.

use super::Connection;

/// Removes who is meant by `identity` ([`crate::domain::license::Holder::identity`]), and signs them out. Whether anybody was known by it.
pub async fn erase(connection: &mut Connection, identity: &str) -> Result<bool, sqlx::Error> {
    let (email, pair) = match identity.split_once(':') {
        Some(("email", email)) => (email, None),
        Some(("identity", rest)) => ("", rest.split_once(' ')),
        _ => return Ok(false),
    };
    let (issuer, subject) = pair.unwrap_or_default();
    const WHO: [&str; 2] = [
        "DELETE FROM logins WHERE (issuer, subject) IN
         (SELECT issuer, subject FROM principals WHERE email = $1 OR (issuer = $2 AND subject = $3))",
        "DELETE FROM principals WHERE email = $1 OR (issuer = $2 AND subject = $3)",
    ];
    let mut erased = 0;
    for statement in WHO {
        let gone = sqlx::query(statement).bind(email).bind(issuer).bind(subject);
        erased = gone.execute(&mut *connection).await?.rows_affected();
    }
    if erased > 0 {
        // What is under way says who it is about, too.
        sqlx::query("DELETE FROM passes").execute(&mut *connection).await?;
        sqlx::query("DELETE FROM device_codes").execute(connection).await?;
    }
    Ok(erased > 0)
}
