//! Where a ledger is.

use std::{ffi::OsString, fmt, path::PathBuf};

use zeroize::Zeroizing;

/// Where a ledger is, and with that, what kind of database it is.
#[derive(Clone)]
pub enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// The URL of a PostgreSQL database. It may hold a password, so it is never shown.
    Database(Zeroizing<String>),
}

impl From<OsString> for Place {
    /// What has a scheme is a URL, and anything else a file, unless it has a password. Whether it is a good URL is for the one
    /// who opens it to say, who does not repeat the password.
    fn from(text: OsString) -> Self {
        let url = text.to_string_lossy();
        if url.contains("://") || url.to_ascii_lowercase().contains("password=") {
            Self::Database(Zeroizing::new(url.into_owned()))
        } else {
            Self::File(text.into())
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Database(url) => f.write_str(&super::postgres::place_of(url)),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Opens the ledger at a [`Place`] by the engine's function of this name, and goes on with it: the rest is compiled for each engine.
macro_rules! opened {
    ($place:expr, $open:ident, |$ledger:ident| $rest:expr) => {
        match $place {
            $crate::ledger::Place::File(path) => {
                let $ledger = $crate::ledger::sqlite::Sqlite::$open(path).await?;
                $rest
            }
            $crate::ledger::Place::Database(url) => {
                let $ledger = $crate::ledger::postgres::Postgres::$open(url).await?;
                $rest
            }
        }
    };
}
pub(crate) use opened;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_scheme_is_a_database_and_its_password_is_never_shown() {
        let place = |text: &str| Place::from(OsString::from(text));
        assert!(matches!(place("/var/lib/usher/ledger.db"), Place::File(_)));
        for (url, shown) in [
            (
                "postgres://usher:secret@db.acme.example:5433/licenses?sslmode=require",
                "postgres://db.acme.example/licenses",
            ),
            ("mysql://usher:secret@db.acme.example/licenses", "a database"),
            ("postgres://usher:secret@db.acme.example:port/licenses", "a database"),
            // What is meant for another library, or not escaped.
            ("host=db.acme.example user=usher password=secret dbname=licenses", "a database"),
            ("Host=db.acme.example;Password=secret", "a database"),
            ("postgres://usher:1/secret@db.acme.example/licenses", "a database"),
            ("postgres://db.acme.example/licenses/secret", "a database"),
        ] {
            let place = place(url);
            assert!(matches!(place, Place::Database(_)), "{url}");
            assert_eq!(place.to_string(), shown);
            assert_eq!(format!("{place:?}"), shown);
        }
    }
}
