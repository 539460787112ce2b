//! Listing objects of a cluster, a page at a time.

use std::fmt::Debug;

use kube::{Api, api::ListParams};
use serde::de::DeserializeOwned;

/// How many objects are read at once.
const PAGE: u32 = 500;

/// All objects that `selector` selects; an empty one selects all.
pub(super) async fn all<K>(api: &Api<K>, selector: &str) -> Result<Vec<K>, kube::Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let (mut found, mut params) = (Vec::new(), ListParams::default().labels(selector).limit(PAGE));
    loop {
        let page = api.list(&params).await?;
        found.extend(page.items);
        let Some(next) = page.metadata.continue_.filter(|next| !next.is_empty()) else { return Ok(found) };
        params = params.continue_token(&next);
    }
}
