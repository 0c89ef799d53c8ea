//! Which way leads to a host: straight, or through the proxy that the environment names. Pure.
//!
//! ```text
//! wss, https ──▶ HTTPS_PROXY, else ALL_PROXY ──┐
//! ws, http   ──▶ HTTP_PROXY,  else ALL_PROXY ──┴── unless the host is this machine, or in NO_PROXY
//! ```
//!
//! Upper case counts before lower case. WebSocket and REST ask here alike, and every way through a proxy is a tunnel
//! (CONNECT), so that what is read and signed stays between the exchange and us. A proxy that cannot be used is an error
//! of the connections that it is meant for: going around it would be a way that nobody chose.

use crate::config::Url;
use crate::upbit::auth::Secret;
use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use std::fmt;
use std::sync::Arc;

/// The environment's proxies.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    secure: Option<Variable>,
    plain: Option<Variable>,
    /// Intercepts every host but those of `NO_PROXY`.
    chosen: Option<Arc<Matcher>>,
}

/// What a variable says.
#[derive(Clone, Debug)]
struct Variable {
    name: &'static str,
    proxy: Result<Proxy, &'static str>,
}

/// A proxy that can be used. What it is told to let us in has no `Display`, and stars for a `Debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The value of the header `Proxy-Authorization`.
    pub authorization: Option<Secret>,
    /// The variable that names it.
    pub variable: &'static str,
}

/// A variable names a proxy that cannot be used; its value is not repeated, for it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy in {variable} cannot be used: {problem}; NO_PROXY lists hosts that need none")]
pub struct Unusable {
    variable: &'static str,
    problem: &'static str,
}

const SECURE: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const PLAIN: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const NONE: [&str; 2] = ["NO_PROXY", "no_proxy"];

impl Proxies {
    /// Reads the variables; `variable` finds the value of one that is set and not empty.
    pub fn read<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        let first = |names: &[&'static str]| names.iter().find_map(|&name| Some((name, variable(name)?)));
        let read = |(name, value): (&'static str, &str)| Variable { name, proxy: parse(name, value) };
        let no = first(&NONE).map_or("", |(_, value)| value);
        let chosen = Matcher::builder().all("http://proxy").no(no).build();
        Self { secure: first(&SECURE).map(read), plain: first(&PLAIN).map(read), chosen: Some(Arc::new(chosen)) }
    }

    /// The proxy on the way to the host of `url`; `None`: there is none.
    ///
    /// # Errors
    /// There is meant to be one, and it cannot be used.
    pub fn on_the_way_to(&self, url: &Url) -> Result<Option<&Proxy>, Unusable> {
        let variable = if url.tls { &self.secure } else { &self.plain };
        let Some(variable) = variable.as_ref().filter(|_| !url.is_loopback() && self.chooses(url)) else {
            return Ok(None);
        };
        let Variable { name, proxy } = variable;
        proxy.as_ref().map(Some).map_err(|problem| Unusable { variable: name, problem })
    }

    fn chooses(&self, url: &Url) -> bool {
        let uri: Result<Uri, _> = format!("https://{}/", url.authority()).parse();
        self.chosen.as_ref().zip(uri.ok()).is_some_and(|(matcher, uri)| matcher.intercept(&uri).is_some())
    }
}

impl Proxy {
    /// Host and port, as an address has them.
    pub fn authority(&self) -> String {
        Url::join(&self.host, self.port)
    }
}

/// `http://proxy.local:3128 (HTTPS_PROXY)`.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{} ({})", self.authority(), self.variable)
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
    let Url { tls, host, port, .. } = address.map_err(|_| "it needs a host, and a port from 1 to 65535")?;
    Ok(Proxy { tls, host, port, authorization, variable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxies(variables: &[(&'static str, &'static str)]) -> Proxies {
        let variables = variables.to_vec();
        Proxies::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
    }

    /// The way to `url`, as it is shown.
    fn way(proxies: &Proxies, url: &str) -> String {
        let url = Url::websocket(url).or_else(|_| Url::http(url)).unwrap();
        match proxies.on_the_way_to(&url) {
            Ok(None) => "straight".to_owned(),
            Ok(Some(proxy)) => proxy.to_string(),
            Err(unusable) => unusable.to_string(),
        }
    }

    #[test]
    fn websocket_and_rest_take_the_same_way() {
        let named = proxies(&[("HTTPS_PROXY", "http://a:1"), ("http_proxy", "b:2"), ("ALL_PROXY", "http://c:3")]);
        for url in ["wss://api.upbit.com/websocket/v1", "https://api.upbit.com/v1"] {
            assert_eq!(way(&named, url), "http://a:1 (HTTPS_PROXY)");
        }
        for url in ["ws://api.upbit.com/websocket/v1", "http://api.upbit.com/v1"] {
            assert_eq!(way(&named, url), "http://b:2 (http_proxy)");
        }
        let all = proxies(&[("all_proxy", "https://[::1]:3")]);
        for url in ["wss://api.upbit.com/", "https://api.upbit.com/", "ws://api.upbit.com/", "http://api.upbit.com/"] {
            assert_eq!(way(&all, url), "https://[::1]:3 (all_proxy)");
        }
        let both = proxies(&[("https_proxy", "http://lower"), ("HTTPS_PROXY", "https://upper")]);
        assert_eq!(way(&both, "https://api.upbit.com/"), "https://upper:443 (HTTPS_PROXY)");
        assert_eq!(way(&Proxies::default(), "https://api.upbit.com/"), "straight");
    }

    #[test]
    fn this_machine_is_reached_straight() {
        let all = proxies(&[("ALL_PROXY", "http://a:1"), ("http_proxy", "http://a:1"), ("HTTPS_PROXY", "socks5://a")]);
        for host in ["127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "localhost", "LocalHost.", "x.localhost"] {
            for scheme in ["ws", "wss", "http", "https"] {
                assert_eq!(way(&all, &format!("{scheme}://{host}/v1")), "straight");
            }
        }
        assert_eq!(way(&all, "ws://localhost.example/v1"), "http://a:1 (http_proxy)");
        assert_eq!(way(&all, "ws://127.0.0.1.example/v1"), "http://a:1 (http_proxy)");
    }

    #[test]
    fn no_proxy_lists_hosts_domains_and_networks() {
        let listing = |no: &'static str| proxies(&[("ALL_PROXY", "http://a:1"), ("no_proxy", no)]);
        for (no, url, is_straight) in [
            ("upbit.com", "wss://api.upbit.com/", true),
            (".upbit.com, x", "https://api.upbit.com/", true),
            ("notupbit.com", "wss://api.upbit.com/", false),
            ("10.0.0.0/8", "ws://10.1.2.3:8080/", true),
            ("10.0.0.0/8", "ws://11.1.2.3:8080/", false),
            ("fd00::/8", "ws://[fd00::1]:8080/", true),
            ("*", "https://api.upbit.com/", true),
        ] {
            assert_eq!(way(&listing(no), url) == "straight", is_straight, "{no} {url}");
        }
    }

    #[test]
    fn what_lets_us_in_is_sent_and_not_shown() {
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
            let unusable = way(&proxies(&[("ALL_PROXY", value)]), "wss://api.upbit.com/");
            let is_told = unusable.contains(problem) && unusable.contains("ALL_PROXY");
            assert!(is_told && !unusable.contains("hunter2"), "{value}: {unusable}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_a_parser_panic(text in "\\PC*", tail in "[a-z@:/\\[\\]%#?0-9]{0,20}") {
            for text in [text.clone(), format!("http://{tail}"), format!("socks5h://{tail}{text}")] {
                if let Ok(proxy) = parse("ALL_PROXY", &text) {
                    prop_assert!(proxy.port > 0 && !proxy.host.is_empty());
                }
                let listing = Proxies::read(|name| (name == "NO_PROXY").then_some(&*text));
                let _ = listing.on_the_way_to(&Url::http("https://api.upbit.com/v1").unwrap());
            }
        }
    }
}
