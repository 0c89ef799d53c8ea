//! Single values as people write them: durations, sizes, addresses. Total functions of their text, and nothing else.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Units of duration with their length in milliseconds, the longest first.
const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size with their length in bytes, the longest first.
const SIZE_UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Text that is no value of the kind wanted; the message says which and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// No duration.
    #[error("`{0}` is no duration: write a whole number and one of the units ms, s, m, h, d, such as 30s")]
    Duration(String),
    /// No size.
    #[error("`{0}` is no size: write a whole number and one of the units B, KiB, MiB, GiB, TiB, such as 128MiB")]
    Size(String),
    /// A number beyond 2^64 of the smallest unit.
    #[error("`{0}` is too large")]
    TooLarge(String),
    /// No address.
    #[error("`{text}` is no address: {problem}")]
    Url {
        /// As written.
        text: String,
        /// What is wrong with it, and what would be right.
        problem: &'static str,
    },
}

/// Reads `30s`, `500ms`, `1d`.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let (number, unit) = split_number(text);
    let no_duration = || ValueError::Duration(text.to_owned());
    let unit = DURATION_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(no_duration)?.1;
    scale(text, number, unit).unwrap_or_else(|| Err(no_duration())).map(Duration::from_millis)
}

/// Reads `128MiB`, `64 KiB`, `1048576`.
pub fn parse_size(text: &str) -> Result<u64, ValueError> {
    let (number, unit) = split_number(text);
    let no_size = || ValueError::Size(text.to_owned());
    let known = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    let unit = if unit.is_empty() { 1 } else { known.ok_or_else(no_size)?.1 };
    scale(text, number, unit).unwrap_or_else(|| Err(no_size()))
}

/// Spells a duration in whole milliseconds so that [`parse_duration`] reads it back.
pub fn format_duration(duration: Duration) -> String {
    format_exact(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATION_UNITS)
}

/// Spells a size so that [`parse_size`] reads it back.
pub fn format_size(bytes: u64) -> String {
    format_exact(bytes, &SIZE_UNITS)
}

/// The digits in front and the unit behind them.
fn split_number(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// `number` units; `None` where there are no digits, an error where the product does not fit.
fn scale(text: &str, number: &str, unit: u64) -> Option<Result<u64, ValueError>> {
    if number.is_empty() {
        return None;
    }
    let product = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    Some(product.ok_or_else(|| ValueError::TooLarge(text.to_owned())))
}

/// In the greatest unit that divides the amount.
fn format_exact(amount: u64, units: &[(&str, u64)]) -> String {
    let (last, greater) = units.split_last().expect("both tables have units");
    let fitting = greater.iter().find(|(_, unit)| amount > 0 && amount.is_multiple_of(*unit));
    let (name, unit) = fitting.unwrap_or(last);
    format!("{}{name}", amount / unit)
}

/// An address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether TLS is used (`wss`, `https`).
    pub tls: bool,
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// The port, 80 or 443 where none was given.
    pub port: u16,
    /// The whole address as written.
    pub text: String,
}

impl Url {
    /// Reads a WebSocket address: `ws://` or `wss://`.
    pub fn websocket(text: &str) -> Result<Self, ValueError> {
        Self::parse(text, ["ws://", "wss://"], "it must begin with ws:// or wss://")
    }

    /// Reads an HTTP address: `http://` or `https://`.
    pub fn http(text: &str) -> Result<Self, ValueError> {
        Self::parse(text, ["http://", "https://"], "it must begin with http:// or https://")
    }

    /// Whether its host is this machine, whatever the network says.
    pub fn is_loopback(&self) -> bool {
        let name = self.host.trim_end_matches('.').to_ascii_lowercase();
        match name.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// Host and port as addresses have them: `api.upbit.com:443`, `[::1]:80`.
    pub fn authority(&self) -> String {
        Self::join(&self.host, self.port)
    }

    /// The same of any host and port.
    pub fn join(host: &str, port: u16) -> String {
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    fn parse(text: &str, [plain, secure]: [&str; 2], expected: &'static str) -> Result<Self, ValueError> {
        let error = |problem| ValueError::Url { text: redact_user(text), problem };
        let (tls, rest) = match (text.strip_prefix(plain), text.strip_prefix(secure)) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(error(expected)),
        };
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(error("it holds a character that must be written as % code, or punycode in the host"));
        }
        if rest.contains(['?', '#']) {
            return Err(error("a query (?) or fragment (#) has no place here"));
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(error("a user name or password (@) has no place here"));
        }
        let (host, port) = split_port(authority).map_err(error)?;
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host: parse_host(host).map_err(error)?, port, text: text.to_owned() })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What stands before an `@` may be a password, and the text of an error is printed.
fn redact_user(text: &str) -> String {
    let scheme = text.find("://").map_or(0, |at| at + 3);
    match text.rfind('@') {
        Some(at) if at >= scheme => format!("{}…{}", &text[..scheme], &text[at..]),
        _ => text.to_owned(),
    }
}

/// Host, still in its brackets, and port.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority[after_host..].find(':').map(|colon| after_host + colon) else {
        return Ok((authority, None));
    };
    match authority[colon + 1..].parse() {
        Ok(port) if port > 0 => Ok((&authority[..colon], Some(port))),
        _ => Err("the port must be a number from 1 to 65535, and an IPv6 address stands in brackets"),
    }
}

fn parse_host(host: &str) -> Result<String, &'static str> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let known = address.parse::<Ipv6Addr>().is_ok();
        return known.then(|| address.to_owned()).ok_or("what stands in brackets must be an IPv6 address");
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    match host.bytes().all(fits) {
        _ if host.is_empty() => Err("the host is missing"),
        true => Ok(host.to_owned()),
        false => Err("the host may hold letters, digits, dots and hyphens"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration(" 2 h "), Ok(Duration::from_secs(7200)));
        for wrong in ["", "30", "s", "-1s", "1.5s", "30 sec", "1h30m", "30S"] {
            assert_eq!(parse_duration(wrong), Err(ValueError::Duration(wrong.into())));
        }
        let huge = "99999999999999999999d";
        assert_eq!(parse_duration(huge), Err(ValueError::TooLarge(huge.into())));
    }

    #[test]
    fn sizes_are_a_number_and_a_unit_or_bytes() {
        assert_eq!(parse_size("128MiB"), Ok(128 << 20));
        assert_eq!(parse_size("1048576"), Ok(1 << 20));
        for wrong in ["", "MiB", "1MB", "1mib", "1.5GiB", "-1"] {
            assert_eq!(parse_size(wrong), Err(ValueError::Size(wrong.into())));
        }
        assert_eq!(parse_size("99999999TiB"), Err(ValueError::TooLarge("99999999TiB".into())));
    }

    #[test]
    fn addresses_are_taken_apart() {
        let url = |text: &str| Url::websocket(text).map(|url| (url.tls, url.host, url.port));
        assert_eq!(url("wss://api.upbit.com/websocket/v1"), Ok((true, "api.upbit.com".into(), 443)));
        assert_eq!(url("ws://127.0.0.1:8080/websocket/v1"), Ok((false, "127.0.0.1".into(), 8080)));
        assert_eq!(url("ws://[::1]:9/x"), Ok((false, "::1".into(), 9)));
        assert_eq!(url("ws://localhost"), Ok((false, "localhost".into(), 80)));
        assert_eq!(Url::http("https://api.upbit.com/v1").map(|url| url.port), Ok(443));
    }

    #[test]
    fn this_machine_is_known_by_its_names_and_addresses() {
        let is_loopback = |text: &str| Url::http(&format!("http://{text}")).unwrap().is_loopback();
        for host in ["127.0.0.1", "127.1.2.3:80", "[::1]:80", "[::ffff:127.0.0.1]", "localhost.", "a.LOCALHOST"] {
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
            ("ws://:80/", "host is missing"),
            ("ws://a:0/", "port"),
            ("ws://a:99999/", "port"),
            ("ws://::1/", "brackets"),
            ("ws://[::g]/", "IPv6"),
            ("ws://a b/", "%"),
            ("ws://a/x?y", "query"),
            ("ws://a/x#y", "fragment"),
            ("ws://a,b/", "letters"),
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
        fn durations_are_read_as_they_are_spelt(millis in 0..u64::MAX) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn sizes_are_read_as_they_are_spelt(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC*", tail in "[0-9]{0,25} ?[a-zA-Z]{0,3}") {
            for text in [&text, &tail, &format!("wss://{text}"), &format!("ws://[{tail}]:{text}")] {
                let _ = (parse_duration(text), parse_size(text), Url::websocket(text), Url::http(text));
            }
        }
    }
}
