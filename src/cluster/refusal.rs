//! Writes that the API server will not have, however often they are tried: a quota, a policy, a limit of size.
//! They are an answer, not a failure: whoever asked for the object is told in the API server's own words.

/// So much of the API server's sentence is told.
const TOLD: usize = 300;
const FORBIDDEN: u16 = 403;
const TOO_LARGE: u16 = 413;
const INVALID: u16 = 422;

/// What the API server says if it refuses for good; `None` when trying again may help.
pub(super) fn refusal(error: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = error else { return None };
    // What etcd will not take comes as an internal error.
    let refused =
        [FORBIDDEN, TOO_LARGE, INVALID].contains(&status.code) || status.message.contains("too large");
    refused.then(|| status.message.chars().take(TOLD).collect())
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn error(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
    }

    #[test]
    fn a_quota_a_policy_and_a_limit_of_size_refuse_and_nothing_else_does() {
        for (code, message) in [
            (403, "exceeded quota"),
            (413, "limit is 3145728"),
            (422, "denied by a policy"),
            (500, "etcdserver: request is too large"),
        ] {
            assert_eq!(refusal(&error(code, message)).as_deref(), Some(message), "{code}");
        }
        for code in [404, 409, 429, 500, 503] {
            assert_eq!(refusal(&error(code, "not now")), None, "{code}");
        }
    }

    #[test]
    fn a_long_sentence_is_cut_where_a_character_ends() {
        assert_eq!(refusal(&error(403, &"é".repeat(1_000))), Some("é".repeat(TOLD)));
    }
}
