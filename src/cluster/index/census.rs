//! The count of all objects.

use jiff::Timestamp;

use super::Index;
use crate::cluster::census::Census;

impl Index {
    /// How everything stands at `now`.
    pub fn census(&self, now: Timestamp) -> Census {
        let mut census = Census::default();
        // No watch waits while we count.
        let (licenses, authorities): (Vec<_>, Vec<_>) = self.read(|s| {
            (s.licenses.items.values().cloned().collect(), s.authorities.items.values().cloned().collect())
        });
        for license in &licenses {
            census.license(license.0.as_ref().ok(), now);
        }
        for authority in &authorities {
            census.authority(authority.0.as_ref().ok());
        }
        census
    }
}
