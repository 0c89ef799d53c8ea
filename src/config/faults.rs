//! The faults of a configuration, each with its origin, its key, and a hint.

use crate::printable;
use figment::{Metadata, Source};
use std::fmt;

/// The layer that a value is from: a file, an environment variable, `--set`, or `default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    name: String,
    secret: bool,
}

/// Characters of a fault: the longest one, which names every key of a table, takes a third.
const LONGEST: usize = 2_000;

/// How figment's metadata remembers that a layer is secret.
const SECRET: &str = "secret";

impl Origin {
    /// An origin whose values may be shown.
    pub fn open(name: impl Into<String>) -> Self {
        Self { name: name.into(), secret: false }
    }

    /// An origin whose values must never be shown.
    pub fn secret(name: impl Into<String>) -> Self {
        Self { name: name.into(), secret: true }
    }

    /// The shipped file.
    pub fn shipped() -> Self {
        Self::open("default")
    }

    /// Whether values from here must not be shown.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    pub(super) fn metadata(&self) -> Metadata {
        let metadata = Metadata::named(self.name.clone());
        if self.secret { metadata.source(Source::Custom(SECRET.into())) } else { metadata }
    }

    pub(super) fn of(metadata: &Metadata) -> Self {
        let secret = matches!(&metadata.source, Some(Source::Custom(kind)) if kind == SECRET);
        Self { name: metadata.name.clone().into_owned(), secret }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The layer that it is in.
    pub origin: Origin,
    /// The key, such as `public.subscribe[0].codes`; empty where it is about a whole file.
    pub key: String,
    /// The mistake, and how to correct it.
    pub problem: String,
}

impl Fault {
    /// A fault of a value. A problem may quote the value, and is left out where that is secret.
    pub(super) fn new(origin: Origin, key: &str, problem: impl Into<String>) -> Self {
        if !origin.is_secret() {
            return Self { origin, key: key.to_owned(), problem: problem.into() };
        }
        // The part behind the index of an entry is the user's text, which may be the secret.
        let known = key.find(']').map_or(key, |end| &key[..=end]);
        let problem = "the value cannot be used; what is wrong is not shown, as it is secret".to_owned();
        Self { origin, key: known.to_owned(), problem }
    }

    /// A fault of a key that does not exist in the table `path`. In a secret file the name can be the secret itself, so
    /// that the fault names the table alone; `problem` names known keys alone.
    pub(super) fn unknown(origin: Origin, path: &str, name: &str, problem: String) -> Self {
        match (origin.is_secret(), path) {
            (true, _) => {
                Self { origin, key: path.to_owned(), problem: format!("{problem} (not shown, as it is secret)") }
            }
            (false, "") => Self { origin, key: name.to_owned(), problem },
            (false, path) => Self { origin, key: format!("{path}.{name}"), problem },
        }
    }
}

/// One line, with line breaks of the input escaped.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = match self.key.as_str() {
            "" => format!("{}: {}", self.origin, self.problem),
            key => format!("{}: {key}: {}", self.origin, self.problem),
        };
        f.write_str(&printable::line(&line, LONGEST))
    }
}

/// All faults, ordered by layer and key; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Fault::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// The candidate that `wrong` is most likely a misspelling of.
///
/// At most a third of its letters (but always two) may have to change, so that `url` is not taken for `rest`.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wrong.chars().count() / 3).max(2);
    let distance = |candidate: &str| strsim::damerau_levenshtein(&wrong.to_lowercase(), &candidate.to_lowercase());
    let measured = candidates.into_iter().map(|candidate| (distance(candidate), candidate));
    let (_, found) = measured.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance)?;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let keys = ["ping_interval", "pong_timeout", "url"];
        assert_eq!(nearest("pingintervall", keys), Some("ping_interval"));
        assert_eq!(nearest("URL", keys), Some("url"));
        assert_eq!(nearest("retention", keys), None);
        assert_eq!(nearest("", []), None);
    }

    #[test]
    fn a_fault_is_one_line() {
        let fault = Fault::new(Origin::open("a\nb.toml"), "x", "`1\u{1b}[2J\r\n` is wrong");
        assert_eq!(fault.to_string(), r"a\nb.toml: x: `1\u001b[2J\r\n` is wrong");
    }

    #[test]
    fn an_origin_survives_its_way_through_figment() {
        for origin in [Origin::open("recorder.toml"), Origin::secret("recorder.secret.toml")] {
            assert_eq!(Origin::of(&origin.metadata()), origin);
        }
    }
}
