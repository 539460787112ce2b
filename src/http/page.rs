//! What all pages have in common.

use maud::{DOCTYPE, Markup, html};

/// A page with this title, this style and this body.
pub(super) fn page(title: &str, style: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href=(style);
            }
            body { (body) }
        }
    }
}
