//! The proxies that the environment names, read once. `net/proxy` decides which of them is used for an address.
//!
//! ```text
//! wss, https ◀── HTTPS_PROXY, else ALL_PROXY      each also in lower case, which counts second
//! ws, http   ◀── HTTP_PROXY,  else ALL_PROXY
//! ```

use crate::upbit::auth::Secret;
use crate::upbit::url::Url;
use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use std::fmt;

/// The environment's proxies. One that cannot be used is no fault of the configuration: it fails the connections that
/// need it.
#[derive(Clone, Debug, Default)]
pub struct ProxyConfig {
    /// For `wss://` and `https://`.
    pub secure: Option<Result<Proxy, UnusableProxy>>,
    /// For `ws://` and `http://`.
    pub plain: Option<Result<Proxy, UnusableProxy>>,
    /// The hosts that are reached without one, as `NO_PROXY` lists them.
    pub bypass: String,
}

/// A proxy that can be used. Its `Display` leaves the authorization out, its `Debug` shows stars for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `http://` or `https://`, host and port.
    pub url: Url,
    /// The value of the header `Proxy-Authorization`.
    pub authorization: Option<Secret>,
    /// The variable that names it.
    pub variable: &'static str,
}

/// A variable names a proxy that cannot be used; its value is not repeated, for it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy in {variable} cannot be used: {problem}; NO_PROXY lists hosts that need none")]
pub struct UnusableProxy {
    variable: &'static str,
    problem: &'static str,
}

const SECURE: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const PLAIN: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const BYPASS: [&str; 2] = ["NO_PROXY", "no_proxy"];

impl ProxyConfig {
    /// Reads the variables; `variable` finds the value of one that is set and not empty.
    pub fn read<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        let read = |names: &[&'static str]| {
            let name = names.iter().find(|name| variable(name).is_some())?;
            let proxy = parse(name, variable(name)?);
            Some(proxy.map_err(|problem| UnusableProxy { variable: name, problem }))
        };
        let bypass = BYPASS.iter().find_map(|name| variable(name)).unwrap_or_default();
        Self { secure: read(&SECURE), plain: read(&PLAIN), bypass: bypass.to_owned() }
    }
}

/// `http://proxy.local:3128 (HTTPS_PROXY)`.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.url.tls() { "https" } else { "http" };
        write!(f, "{scheme}://{} ({})", self.url.authority(), self.variable)
    }
}

/// Reads `http://user:password@host:port`; without a scheme it is http.
fn parse(variable: &'static str, value: &str) -> Result<Proxy, &'static str> {
    let no_address = "it is no address such as http://host:port";
    let found =
        Matcher::builder().all(value.trim()).build().intercept(&Uri::from_static("https://x/")).ok_or(no_address)?;
    let authorization = found.basic_auth().map(|value| value.to_str().map(Secret::new)).transpose();
    let authorization = authorization.map_err(|_| no_address)?;
    let uri = found.uri();
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"));
    let scheme = scheme.ok_or("only proxies of the kinds http:// and https:// are spoken to")?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // With such a character left as it is, a part of the password would be taken for the host.
    if value.matches('@').count() != usize::from(authorization.is_some()) || authority.contains('@') {
        return Err("write what is no letter or digit in its user name and password as % codes");
    }
    let address = Url::http(&format!("{scheme}://{authority}"));
    let url = address.map_err(|_| "it needs a host, and a port from 1 to 65535")?;
    Ok(Proxy { url, authorization, variable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_authorization_is_sent_and_not_shown() {
        let proxy = parse("HTTPS_PROXY", "http://me:hunter%402@proxy.local:3128/").unwrap();
        assert_eq!(proxy.authorization.as_ref().unwrap().expose(), "Basic bWU6aHVudGVyQDI=");
        let shown = format!("{proxy} {proxy:?}");
        assert!(shown.contains("proxy.local:3128") && !shown.contains("hunter") && !shown.contains("bWU6"), "{shown}");
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_told_without_its_value() {
        for (value, problem) in [
            ("socks5://hunter2:hunter2@proxy:1080", "kinds http:// and https://"),
            ("ftp://hunter2", "no address"),
            ("http://", "no address"),
            ("http://hunter2 hunter2", "no address"),
            ("http://me:hunter2/x@proxy:3128", "% codes"),
            ("http://me:hun@hunter2@proxy:3128", "% codes"),
            ("http://me:hunter2#@proxy:3128", "% codes"),
            ("http://hunter2:0", "port"),
            ("http://hunter2:99999", "port"),
        ] {
            let read = ProxyConfig::read(|name| (name == "ALL_PROXY").then_some(value));
            let unusable = read.secure.unwrap().unwrap_err().to_string();
            let is_told = unusable.contains(problem) && unusable.contains("ALL_PROXY");
            assert!(is_told && !unusable.contains("hunter2"), "{value}: {unusable}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_a_parser_panic(text in "\\PC*", tail in "[a-z@:/\\[\\]%#?0-9]{0,20}") {
            for text in [text.clone(), format!("http://{tail}"), format!("socks5h://{tail}{text}")] {
                if let Ok(proxy) = parse("ALL_PROXY", &text) {
                    prop_assert!(proxy.url.port() > 0 && !proxy.url.host().is_empty());
                }
            }
        }
    }
}
