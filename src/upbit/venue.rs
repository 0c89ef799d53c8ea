//! Which venue a host belongs to. Pure.
//!
//! ```text
//! api.upbit.com ──▶ upbit-kr      sg-api · id-api · th-api .upbit.com ──▶ upbit-sg · upbit-id · upbit-th
//! ```
//!
//! The exchange runs several venues with the same protocol and some of the same codes: `USDT-BTC` is another pair on
//! each of them. Source: docs.upbit.com, "Base URL" of each region.

use std::fmt;

/// The known hosts, each with its venue.
const HOSTS: [(&str, Venue); 4] = [
    ("api.upbit.com", Venue::Korea),
    ("sg-api.upbit.com", Venue::Singapore),
    ("id-api.upbit.com", Venue::Indonesia),
    ("th-api.upbit.com", Venue::Thailand),
];

/// A market place of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Venue {
    /// `upbit-kr`
    Korea,
    /// `upbit-sg`
    Singapore,
    /// `upbit-id`
    Indonesia,
    /// `upbit-th`
    Thailand,
}

impl Venue {
    /// The venue of a host, however it is spelt; `None`: the host is not known, such as that of a proxy.
    pub fn of_host(host: &str) -> Option<Self> {
        let host = host.strip_suffix('.').unwrap_or(host);
        HOSTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(host)).map(|(_, venue)| *venue)
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Korea => "upbit-kr",
            Self::Singapore => "upbit-sg",
            Self::Indonesia => "upbit-id",
            Self::Thailand => "upbit-th",
        })
    }
}

/// Whether two hosts serve one venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// They do, or neither is known: then both are the user's own, such as a local exchange on two ports.
    Same,
    /// One is known and the other is not.
    Unknown,
    /// Both are known, and differ.
    Different(Venue, Venue),
}

impl Agreement {
    /// Compares two hosts.
    pub fn of(one: &str, other: &str) -> Self {
        match (Venue::of_host(one), Venue::of_host(other)) {
            (Some(one), Some(other)) if one != other => Self::Different(one, other),
            (Some(_), None) | (None, Some(_)) => Self::Unknown,
            _ => Self::Same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_belong_to_venues_however_they_are_spelt() {
        for (host, venue) in [("api.upbit.com", "upbit-kr"), ("SG-API.Upbit.com.", "upbit-sg")] {
            assert_eq!(Venue::of_host(host).map(|venue| venue.to_string()).as_deref(), Some(venue), "{host}");
        }
        for host in ["", "upbit.com", "api.upbit.com.evil.test", "my-api.upbit.com", "127.0.0.1"] {
            assert_eq!(Venue::of_host(host), None, "{host}");
        }
    }

    #[test]
    fn two_hosts_are_of_one_venue_or_two_or_unknown() {
        assert_eq!(Agreement::of("api.upbit.com", "API.upbit.com"), Agreement::Same);
        assert_eq!(Agreement::of("127.0.0.1", "localhost"), Agreement::Same);
        assert_eq!(Agreement::of("api.upbit.com", "127.0.0.1"), Agreement::Unknown);
        assert_eq!(Agreement::of("::1", "th-api.upbit.com"), Agreement::Unknown);
        let (korea, indonesia) = (Venue::Korea, Venue::Indonesia);
        assert_eq!(Agreement::of("api.upbit.com", "id-api.upbit.com"), Agreement::Different(korea, indonesia));
    }
}
