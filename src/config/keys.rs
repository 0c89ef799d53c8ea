//! The account's two keys: where each is, and how it is read. Only the sources are configuration: the keys themselves are
//! read when they are needed, and a `Config` never holds them.

use super::files::{self, Guard};
use crate::printable;
use crate::upbit::auth::{Credentials, JwtAlgorithm, Secret};
use std::fmt;
use std::path::{Path, PathBuf};

/// The sources of both keys, and how tokens are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySources {
    /// Where the access key is.
    pub access_key: KeySource,
    /// Where the secret key is.
    pub secret_key: KeySource,
    /// How tokens are signed.
    pub jwt_algorithm: JwtAlgorithm,
}

/// Where one key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file that holds nothing else but white space around it.
    File(PathBuf),
    /// In an environment variable.
    Variable(&'static str),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The name of a file that does not exist may be the key itself, typed by mistake.
            Self::File(path) if path.symlink_metadata().is_err() => f.write_str("a file that is not there"),
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

impl KeySources {
    /// The variables that hold both keys; `None`: `is_set` is true of neither.
    ///
    /// # Errors
    ///
    /// One is set without the other.
    pub fn in_environment(is_set: impl Fn(&str) -> bool) -> Result<Option<Self>, KeyError> {
        let [access_key, secret_key] = [ACCESS.variable, SECRET.variable].map(KeySource::Variable);
        match [ACCESS.variable, SECRET.variable].map(is_set) {
            [false, false] => Ok(None),
            [true, true] => Ok(Some(Self { access_key, secret_key, jwt_algorithm: JwtAlgorithm::default() })),
            [is_access_set, _] => {
                let missing = if is_access_set { secret_key } else { access_key };
                Err(KeyError { from: missing, problem: "it is not set, but the other key is".to_owned() })
            }
        }
    }

    /// Reads both keys.
    ///
    /// # Errors
    ///
    /// A key was removed since the configuration was checked.
    pub fn load(&self) -> Result<Credentials, KeyError> {
        Ok(Credentials {
            access_key: self.access_key.load()?,
            secret_key: self.secret_key.load()?,
            algorithm: self.jwt_algorithm,
        })
    }
}

impl KeySource {
    pub(super) fn load(&self) -> Result<Secret, KeyError> {
        let text = match self {
            // Its mode was checked with the configuration.
            Self::File(path) => read_key_file(path, Guard::Owner),
            Self::Variable(name) => std::env::var(name).map_err(|_| "it is not set, or no text".to_owned()),
        };
        let key = text.and_then(|text| match key_problem(&text) {
            Some(problem) => Err(format!("it {problem}")),
            None => Ok(Secret::new(&text)),
        });
        key.map_err(|problem| KeyError { from: self.clone(), problem })
    }
}

/// Why a text is no key, without quoting it; white space around a key is allowed. Checked here because the exchange
/// would refuse it without a reason.
pub(super) fn key_problem(text: &str) -> Option<&'static str> {
    let key = text.trim();
    let quotes = ['"', '\'', '`', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}'];
    let problem = if key.is_empty() {
        "is empty"
    } else if key.starts_with('\u{feff}') {
        "begins with a byte order mark: save it as plain text without one"
    } else if key.contains(quotes) {
        "has quotes in it: it must hold the key alone"
    } else if key.contains(char::is_whitespace) {
        "has white space inside the key: it must hold one key and nothing else"
    } else if key.contains(printable::is_hidden) {
        "has a character in it that cannot be seen: type the key in anew, or copy it without what is around it"
    } else if !key.is_ascii() {
        "has characters that no key has: it must hold the key alone"
    } else {
        return None;
    };
    Some(problem)
}

/// The text of a file that holds one key.
pub(super) fn read_key_file(path: &Path, guard: Guard) -> Result<String, String> {
    files::read(path, files::MOST_SECRET, guard)?.ok_or_else(files::missing)
}

/// A key cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read one of the account's keys from {from}: {problem}")]
pub struct KeyError {
    from: KeySource,
    problem: String,
}

/// One of the two keys, by its name in each source.
pub(super) struct Key {
    /// The setting that names a file.
    pub(super) setting: &'static str,
    /// The environment variable that holds the key itself.
    pub(super) variable: &'static str,
    /// The file in systemd's `$CREDENTIALS_DIRECTORY`.
    pub(super) credential: &'static str,
}

/// The access key.
pub(super) const ACCESS: Key =
    Key { setting: "private.access_key_file", variable: "UPBIT_ACCESS_KEY", credential: "access_key" };

/// The secret key.
pub(super) const SECRET: Key =
    Key { setting: "private.secret_key_file", variable: "UPBIT_SECRET_KEY", credential: "secret_key" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_keys_are_in_the_environment_or_neither() {
        let found = |set: &'static [&str]| KeySources::in_environment(|name| set.contains(&name));
        assert_eq!(found(&[]), Ok(None));
        let both = found(&["UPBIT_ACCESS_KEY", "UPBIT_SECRET_KEY"]).unwrap().unwrap();
        assert_eq!(both.secret_key, KeySource::Variable("UPBIT_SECRET_KEY"));
        let lone = found(&["UPBIT_ACCESS_KEY"]).unwrap_err().to_string();
        assert!(lone.contains("UPBIT_SECRET_KEY: it is not set"), "{lone}");
    }

    #[test]
    fn a_text_that_is_no_existing_file_is_not_repeated() {
        let source = KeySource::File("AKIAhunter2".into());
        assert!(!source.load().unwrap_err().to_string().contains("hunter2"));
    }
}
