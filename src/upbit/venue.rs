//! Names of the exchange's market places, and the venue of a host. Pure.
//!
//! ```text
//! api.upbit.com ──▶ upbit-kr      sg-api · id-api · th-api .upbit.com ──▶ upbit-sg · upbit-id · upbit-th
//! 127.0.0.1     ──▶ its own name, unless the configuration gives it another
//! ```
//!
//! The exchange runs several venues with the same protocol and some of the same codes: `USDT-BTC` is another pair on
//! each of them. Source: docs.upbit.com, "Base URL" of each region.

use crate::printable;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The known hosts, each with the name of its venue.
const HOSTS: [(&str, &str); 4] = [
    ("api.upbit.com", "upbit-kr"),
    ("sg-api.upbit.com", "upbit-sg"),
    ("id-api.upbit.com", "upbit-id"),
    ("th-api.upbit.com", "upbit-th"),
];

/// The longest name: that of the longest host.
pub const LONGEST: usize = 253;

/// The name of a venue: 1 to [`LONGEST`] of the characters `a-z 0-9 . - _ :`, which every host is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Venue(Cow<'static, str>);

/// Text that cannot name a venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a venue has 1 to {LONGEST} of the characters a-z 0-9 . - _ :, such as upbit-kr")]
pub struct NameError;

/// A directory has records of another venue.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} has records of {found}, and the addresses in use are of {wanted}: name another data_dir, or set venue = \"{found}\" if they lead there",
    directory.display()
)]
pub struct OtherVenue {
    directory: PathBuf,
    found: String,
    wanted: Venue,
}

impl Venue {
    /// The venue of a known host, however it is spelt; `None`: the host is not known, such as that of a proxy.
    pub fn of_host(host: &str) -> Option<Self> {
        let host = without_dot(host);
        let (_, name) = HOSTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(host))?;
        Some(Self(Cow::Borrowed(name)))
    }

    /// The venue that has the name of its host, which is that of a [`Url`](super::url::Url).
    pub fn named_after(host: &str) -> Self {
        Self(Cow::Owned(without_dot(host).to_owned()))
    }

    /// Refuses a directory that has records of another venue: `found` is the name on record there.
    ///
    /// # Errors
    /// The two differ.
    pub fn check(found: &str, wanted: &Self, directory: &Path) -> Result<(), OtherVenue> {
        if found == wanted.0 {
            return Ok(());
        }
        let found = printable::line(found, LONGEST);
        Err(OtherVenue { directory: directory.to_owned(), found, wanted: wanted.clone() })
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A host without the dot that makes it absolute.
fn without_dot(host: &str) -> &str {
    host.strip_suffix('.').filter(|host| !host.is_empty()).unwrap_or(host)
}

impl TryFrom<String> for Venue {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_:".contains(&byte);
        let is_name = (1..=LONGEST).contains(&name.len()) && name.bytes().all(fits);
        if is_name { Ok(Self(Cow::Owned(name))) } else { Err(NameError) }
    }
}

impl FromStr for Venue {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::try_from(name.to_owned())
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upbit::url::Url;
    use proptest::prelude::*;

    #[test]
    fn hosts_belong_to_venues_however_they_are_spelt() {
        for (host, venue) in [("api.upbit.com", "upbit-kr"), ("SG-API.Upbit.com.", "upbit-sg")] {
            assert_eq!(Venue::of_host(host), Some(venue.parse().unwrap()), "{host}");
        }
        for host in ["", "upbit.com", "api.upbit.com.evil.test", "my-api.upbit.com", "127.0.0.1"] {
            assert_eq!(Venue::of_host(host), None, "{host}");
        }
    }

    #[test]
    fn a_name_is_short_and_has_one_spelling() {
        for name in ["upbit-kr", "127.0.0.1", "::1", "my_proxy.example", &"x".repeat(LONGEST)] {
            assert_eq!(name.parse::<Venue>().map(|venue| venue.to_string()).as_deref(), Ok(name));
        }
        for name in ["", "Upbit-kr", "a b", "a/b", "업비트", "\u{1b}[2J", &"x".repeat(LONGEST + 1)] {
            assert_eq!(name.parse::<Venue>(), Err(NameError), "{name}");
            assert!(serde_json::from_value::<Venue>(name.into()).is_err(), "{name}");
        }
        assert_eq!(serde_json::to_string(&Venue::of_host("th-api.upbit.com")).unwrap(), "\"upbit-th\"");
    }

    #[test]
    fn a_directory_of_another_venue_is_refused_naming_both() {
        let wanted = Venue::of_host("api.upbit.com").unwrap();
        let check = |found| Venue::check(found, &wanted, Path::new("/tape")).map_err(|error| error.to_string());
        assert_eq!(check("upbit-kr"), Ok(()));
        let text = check("upbit-sg").unwrap_err();
        for part in ["/tape has", "records of upbit-sg", "of upbit-kr", "data_dir", "venue = \"upbit-sg\""] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!check("\u{1b}[2J").unwrap_err().contains('\u{1b}'));
    }

    proptest! {
        #[test]
        fn every_host_of_an_address_names_a_venue(host in "[0-9A-Za-z._:\\[\\]-]{1,260}") {
            if let Ok(url) = Url::http(&format!("http://{host}/")) {
                let venue = Venue::named_after(url.host());
                prop_assert_eq!(venue.as_str().parse(), Ok(venue.clone()));
            }
        }
    }
}
