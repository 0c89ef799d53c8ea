//! Addresses of the exchange and of proxies. Pure.
//!
//! ```text
//! wss://api.upbit.com/websocket/v1        https://api.upbit.com/v1
//! tls   host          path                query, fragment and user are refused: no endpoint has one
//! ```

use super::venue;
use std::fmt;
use url::{Host, ParseError};

/// The address of an endpoint, normalised: the host in lower case, the scheme's own port left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(url::Url);

/// Text that is no address of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address: {problem}")]
pub struct UrlError {
    text: String,
    problem: &'static str,
}

impl Url {
    /// Reads a WebSocket address: `ws://` or `wss://`.
    ///
    /// # Errors
    /// The mistake in `text`, and how to correct it.
    pub fn websocket(text: &str) -> Result<Self, UrlError> {
        Self::parse(text, ["ws://", "wss://"], "it must begin with ws:// or wss://")
    }

    /// Reads an HTTP address: `http://` or `https://`.
    ///
    /// # Errors
    /// The mistake in `text`, and how to correct it.
    pub fn http(text: &str) -> Result<Self, UrlError> {
        Self::parse(text, ["http://", "https://"], "it must begin with http:// or https://")
    }

    /// Whether TLS is used (`wss`, `https`).
    pub fn tls(&self) -> bool {
        matches!(self.0.scheme(), "wss" | "https")
    }

    /// Host name or address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// The port, 80 or 443 where none was given.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether its host is this machine, by its text alone: the network is not asked.
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                name == "localhost" || name.ends_with(".localhost")
            }
            None => false,
        }
    }

    /// Host and port, always both: `api.upbit.com:443`, `[::1]:80`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.0.host_str().unwrap_or_default(), self.port())
    }

    fn parse(text: &str, schemes: [&str; 2], expected: &'static str) -> Result<Self, UrlError> {
        let error = |problem| UrlError { text: redact_user(text), problem };
        let rest = schemes.into_iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or_else(|| error(expected))?;
        // The crate repairs mistakes as browsers do; in a configuration they are better refused.
        if let Some(problem) = repaired(rest) {
            return Err(error(problem));
        }
        let url = url::Url::parse(text).map_err(|cause| error(problem(cause)))?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        match (url.host(), url.port()) {
            (Some(Host::Domain(name)), _) if !name.bytes().all(fits) => Err(error(HOST)),
            (Some(Host::Domain(name)), _) if name.len() > venue::LONGEST => Err(error(LONG_HOST)),
            (_, Some(0)) => Err(error(PORT)),
            _ => Ok(Self(url)),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const HOST: &str = "the host may hold letters, digits, dots and hyphens";
const LONG_HOST: &str = "the host is longer than 253 characters";
const PORT: &str = "the port must be a number from 1 to 65535, and an IPv6 address stands in brackets";

/// The mistake behind the scheme that the parser would accept.
fn repaired(rest: &str) -> Option<&'static str> {
    let authority = rest.split('/').next().unwrap_or_default();
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("it holds a character that must be written as % code, or punycode in the host")
    } else if rest.contains(['?', '#']) {
        Some("a query (?) or fragment (#) has no place here")
    } else if authority.contains('@') {
        Some("a user name or password (@) has no place here")
    } else if authority.is_empty() {
        Some("the host is missing")
    } else if authority.contains(['\\', '%']) && !authority.starts_with('[') {
        Some(HOST)
    } else {
        None
    }
}

fn problem(cause: ParseError) -> &'static str {
    match cause {
        ParseError::EmptyHost => "the host is missing, and an IPv6 address stands in brackets",
        ParseError::InvalidPort => PORT,
        ParseError::InvalidIpv4Address => "a host of numbers must be an IPv4 address",
        ParseError::InvalidIpv6Address => "what stands in brackets must be an IPv6 address",
        _ => HOST,
    }
}

/// The text for an error, without the part before an `@`: it may be a password.
fn redact_user(text: &str) -> String {
    let scheme = text.find("://").map_or(0, |at| at + 3);
    match text.rfind('@') {
        Some(at) if at >= scheme => format!("{}…{}", &text[..scheme], &text[at..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, tls, host, port) in [
            ("wss://api.upbit.com/websocket/v1", true, "api.upbit.com", 443),
            ("ws://127.0.0.1:8080/websocket/v1", false, "127.0.0.1", 8080),
            ("ws://[::1]:9/x", false, "::1", 9),
            ("ws://localhost", false, "localhost", 80),
            ("wss://API.Upbit.com:443/v1", true, "api.upbit.com", 443),
            ("wss://xn--bcher-kva.example/", true, "xn--bcher-kva.example", 443),
        ] {
            let url = Url::websocket(text).unwrap();
            assert_eq!((url.tls(), url.host(), url.port()), (tls, host, port), "{text}");
        }
        let rest = Url::http("https://api.upbit.com/v1").unwrap();
        assert_eq!(
            (rest.port(), rest.authority().as_str(), rest.as_str()),
            (443, "api.upbit.com:443", "https://api.upbit.com/v1")
        );
        assert_eq!(Url::http("http://[::1]/").unwrap().authority(), "[::1]:80");
    }

    #[test]
    fn this_machine_is_known_by_its_names_and_addresses() {
        let is_loopback = |text: &str| Url::http(&format!("http://{text}")).unwrap().is_loopback();
        for host in
            ["127.0.0.1", "127.1.2.3:80", "127.1", "[::1]:80", "[::ffff:127.0.0.1]", "localhost.", "a.LOCALHOST"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["127.0.0.1.nip.io", "localhost.example", "notlocalhost", "128.0.0.1", "[::2]", "0.0.0.0"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_a_sentence() {
        for (wrong, problem) in [
            ("api.upbit.com", "ws:// or wss://"),
            ("https://api.upbit.com", "ws:// or wss://"),
            ("ws://", "host is missing"),
            ("ws:///", "host is missing"),
            ("ws://:80/", "host is missing"),
            ("ws://a:0/", "port"),
            ("ws://a:99999/", "port"),
            ("ws://a:x/", "port"),
            ("ws://::1/", "brackets"),
            ("ws://[::g]/", "IPv6"),
            ("ws://[fe80::1%25eth0]/", "IPv6"),
            ("ws://1.2.3.256/", "IPv4"),
            ("ws://a b/", "%"),
            ("ws://a\tb/", "%"),
            ("ws://a/x?y", "query"),
            ("ws://a/x#y", "fragment"),
            ("ws://a,b/", "letters"),
            ("ws://a%62/", "letters"),
            ("ws://a\\b/", "letters"),
        ] {
            let message = Url::websocket(wrong).unwrap_err().to_string();
            assert!(message.contains(problem) && message.contains(wrong), "{message}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let message = Url::websocket("wss://me:hunter2@host/").unwrap_err().to_string();
        assert!(message.contains("@host") && !message.contains("hunter2"), "{message}");
    }

    proptest! {
        #[test]
        fn an_address_is_read_as_it_is_shown(text in "\\PC*", tail in "[0-9a-z:.%\\[\\]/]{0,30}") {
            for text in [format!("wss://{text}"), format!("ws://{tail}"), format!("ws://[{tail}]:{text}")] {
                if let Ok(url) = Url::websocket(&text) {
                    prop_assert!(url.port() > 0 && !url.host().is_empty());
                    prop_assert_eq!(Url::websocket(url.as_str()), Ok(url));
                }
            }
        }
    }
}
