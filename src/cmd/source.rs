//! SOURCE: where a document comes from: a file, standard input, or a Secret of the cluster.

use std::{
    convert::Infallible,
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    cmd::{Failure, secret},
    domain::text::Label,
};

/// The most that is read of anything, in bytes: 1 MiB, which is also the most that a Secret holds. A genuine document is
/// far smaller, and one of up to this size gets the exact refusal.
const MAX_READ_BYTES: u64 = 1024 * 1024;

/// The entry, or the file beside the document, that holds the key set.
const KEY_SET: &str = "keys.jws";
/// The entry that holds the document.
const DOCUMENT: &str = "license.jws";

/// What names a document on the command line.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// The document: a file, - for standard input, or secret/NAME in the cluster.
    #[arg(value_name = "SOURCE")]
    source: Source,
    /// The namespace of secret/NAME, if not that of the kubeconfig's context.
    #[arg(short, long)]
    namespace: Option<Label>,
}

/// Where a document comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// `-`
    Stdin,
    /// `secret/NAME`
    Secret(String),
    /// Everything else; `./secret/NAME` is a file.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix("secret/") {
            Some(name) => Self::Secret(name.to_owned()),
            None if text == "-" => Self::Stdin,
            None => Self::File(text.into()),
        })
    }
}

/// As one would write it again.
impl fmt::Display for Args {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.source, &self.namespace) {
            (Source::Stdin, _) => out.write_str("-"),
            (Source::File(path), _) => write!(out, "{}", path.display()),
            (Source::Secret(name), None) => write!(out, "secret/{name}"),
            (Source::Secret(name), Some(namespace)) => write!(out, "secret/{name} -n {namespace}"),
        }
    }
}

/// What a source holds.
pub(super) struct Found {
    /// The document, without the line's end that an editor may have put after it.
    pub(super) document: Vec<u8>,
    /// Whether there was such a line's end.
    pub(super) line_end: bool,
    beside: Beside,
}

/// Where the key set is that came with the document.
enum Beside {
    Stdin,
    File(PathBuf),
    Entry { secret: String, key_set: Option<Vec<u8>> },
}

impl Args {
    /// Reads the document.
    pub(super) fn read(&self) -> Result<Found, Failure> {
        match &self.source {
            Source::Stdin => Ok(found(all_of(io::stdin().lock(), "standard input")?, Beside::Stdin)),
            Source::File(path) => Ok(found(file(path)?, Beside::File(path.with_file_name(KEY_SET)))),
            Source::Secret(name) => {
                let mut secret = secret::fetch(name, self.namespace.as_ref())?;
                let document = secret.entries.remove(DOCUMENT).ok_or_else(|| secret.without(DOCUMENT))?;
                let key_set = secret.entries.remove(KEY_SET);
                let beside = Beside::Entry { secret: secret.place, key_set };
                Ok(Found { document, line_end: false, beside })
            }
        }
    }
}

impl Found {
    /// The key set that came with the document.
    pub(super) fn key_set(&self) -> Result<Vec<u8>, Failure> {
        let give =
            "give the key set with --keys FILE, or a JWK set from a place that you trust with --jwks FILE";
        match &self.beside {
            Beside::Stdin => Err(format!("standard input brings no key set: {give}").into()),
            Beside::File(path) if !path.exists() => {
                Err(format!("there is no key set beside the document ({}): {give}", path.display()).into())
            }
            Beside::File(path) => Ok(without_line_end(file(path)?).0),
            Beside::Entry { key_set: Some(key_set), .. } => Ok(key_set.clone()),
            Beside::Entry { secret, key_set: None } => {
                Err(format!("{secret} has no entry {KEY_SET}: {give}").into())
            }
        }
    }
}

fn found(bytes: Vec<u8>, beside: Beside) -> Found {
    let (document, line_end) = without_line_end(bytes);
    Found { document, line_end, beside }
}

/// Reads a file that the command line names.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    let opened = File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
    });
    all_of(opened.map_err(|error| unreadable(path, &error))?, &path.display().to_string())
}

/// Reads a file of one line that nobody else is told, without its end.
pub(super) fn secret_line(path: &Path) -> Result<String, Failure> {
    let (line, _) = without_line_end(file(path)?);
    match String::from_utf8(line) {
        Ok(line) if !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(line),
        _ => Err(format!("{} does not hold one line without spaces", path.display()).into()),
    }
}

/// Takes one line's end from the end, if there is one, and says whether there was.
pub(super) fn without_line_end(mut bytes: Vec<u8>) -> (Vec<u8>, bool) {
    let end = [b"\r\n".as_slice(), b"\n"].into_iter().find(|end| bytes.ends_with(end));
    bytes.truncate(bytes.len() - end.map_or(0, <[u8]>::len));
    (bytes, end.is_some())
}

fn all_of(from: impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_READ_BYTES + 1).read_to_end(&mut bytes);
    match read.map_err(|error| format!("cannot read {name}: {error}"))? {
        read if read as u64 > MAX_READ_BYTES => Err(format!(
            "{name} has more than {MAX_READ_BYTES} bytes, so it is no document and no keys: name the right file"
        )
        .into()),
        _ => Ok(bytes),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!(
                "there is no file {path}: check the name (a document in a Secret of the cluster is named secret/NAME)"
            )
        }
        io::ErrorKind::IsADirectory => {
            format!("{path} is a directory: name a file in it, such as {DOCUMENT}")
        }
        io::ErrorKind::PermissionDenied => {
            format!("you may not read {path}: ask its owner for the right to, or be another user")
        }
        _ => format!("cannot read {path}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(source: &str, namespace: Option<&str>) -> Args {
        let Ok(source) = source.parse();
        Args { source, namespace: namespace.map(|name| name.parse().unwrap()) }
    }

    #[test]
    fn a_source_is_a_file_standard_input_or_a_secret() {
        for (text, source) in [
            ("-", Source::Stdin),
            ("secret/cad-license", Source::Secret("cad-license".into())),
            ("license.jws", Source::File("license.jws".into())),
            ("./secret/cad-license", Source::File("./secret/cad-license".into())),
            ("secret", Source::File("secret".into())),
        ] {
            assert_eq!(text.parse(), Ok(source), "{text}");
        }
    }

    #[test]
    fn a_source_is_shown_as_it_was_written() {
        for (source, namespace, shown) in [
            ("-", None, "-"),
            ("a/license.jws", None, "a/license.jws"),
            ("secret/cad", None, "secret/cad"),
            ("secret/cad", Some("design"), "secret/cad -n design"),
        ] {
            assert_eq!(args(source, namespace).to_string(), shown);
        }
    }

    #[test]
    fn one_line_end_is_taken_away_and_told() {
        for (bytes, left, told) in [
            ("a.b", "a.b", false),
            ("a\n", "a", true),
            ("a\r\n", "a", true),
            ("a\n\n", "a\n", true),
            ("", "", false),
        ] {
            assert_eq!(without_line_end(bytes.into()), (left.into(), told), "{bytes:?}");
        }
    }

    #[test]
    fn the_key_set_is_looked_for_beside_the_document() {
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("license.jws");
        std::fs::write(&document, "a.b.c\n").unwrap();
        let source = document.display().to_string();

        let missing = args(&source, None).read().unwrap().key_set().unwrap_err().to_string();
        assert!(missing.contains("keys.jws): give the key set with --keys FILE"), "{missing}");

        std::fs::write(folder.path().join("keys.jws"), "d.e.f\n").unwrap();
        let found = args(&source, None).read().unwrap();
        assert_eq!((found.document.as_slice(), found.line_end), (b"a.b.c".as_slice(), true));
        assert_eq!(found.key_set().unwrap(), b"d.e.f");
    }

    #[test]
    fn what_cannot_be_read_comes_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let directory = file(folder.path()).unwrap_err().to_string();
        assert!(directory.ends_with("is a directory: name a file in it, such as license.jws"), "{directory}");
        let missing = file(&folder.path().join("a")).unwrap_err().to_string();
        assert!(
            missing
                .ends_with("a: check the name (a document in a Secret of the cluster is named secret/NAME)"),
            "{missing}"
        );
        let huge = folder.path().join("huge");
        File::create(&huge).unwrap().set_len(MAX_READ_BYTES + 1).unwrap();
        assert!(file(&huge).unwrap_err().to_string().ends_with("name the right file"));
    }
}
