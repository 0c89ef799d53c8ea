//! Whether an address is reached straight or through a proxy that the environment names. Pure.
//!
//! ```text
//! wss, https ──▶ HTTPS_PROXY, else ALL_PROXY ──┐
//! ws, http   ──▶ HTTP_PROXY,  else ALL_PROXY ──┴── unless the host is this machine, or in NO_PROXY
//! ```
//!
//! WebSocket and REST decide here alike, and each uses a proxy by a tunnel (CONNECT), so that nothing that is read or
//! signed is visible to it. A proxy that cannot be used fails the connection: bypassing it would contradict the
//! environment.

use crate::config::proxy::{Proxy, ProxyConfig, UnusableProxy};
use crate::upbit::url::Url;
use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use std::sync::Arc;

/// The environment's proxies and the hosts that they are for.
#[derive(Clone, Debug)]
pub struct Proxies {
    config: ProxyConfig,
    /// Matches every host that `NO_PROXY` does not list.
    proxied: Arc<Matcher>,
}

impl Proxies {
    /// The decisions that follow from the environment.
    pub fn new(config: &ProxyConfig) -> Self {
        // The proxy's name is not used: only whether a host matches.
        let proxied = Matcher::builder().all("http://proxy").no(config.bypass.as_str()).build();
        Self { config: config.clone(), proxied: Arc::new(proxied) }
    }

    /// The proxy between this machine and the host of `url`; `None`: there is none.
    ///
    /// # Errors
    /// The environment names one for this host, and it cannot be used.
    pub fn between(&self, url: &Url) -> Result<Option<&Proxy>, UnusableProxy> {
        let proxy = if url.tls() { &self.config.secure } else { &self.config.plain };
        let proxy = proxy.as_ref().filter(|_| !url.is_loopback() && self.matches(url));
        proxy.map(|proxy| proxy.as_ref().map_err(Clone::clone)).transpose()
    }

    fn matches(&self, url: &Url) -> bool {
        let uri: Result<Uri, _> = format!("https://{}/", url.authority()).parse();
        uri.is_ok_and(|uri| self.proxied.intercept(&uri).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proxies(variables: &[(&'static str, &'static str)]) -> Proxies {
        let variables = variables.to_vec();
        Proxies::new(&ProxyConfig::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
        }))
    }

    /// The decision for `url`, as it is shown.
    fn decision(proxies: &Proxies, url: &str) -> String {
        let url = Url::websocket(url).or_else(|_| Url::http(url)).unwrap();
        match proxies.between(&url) {
            Ok(None) => "straight".to_owned(),
            Ok(Some(proxy)) => proxy.to_string(),
            Err(unusable) => unusable.to_string(),
        }
    }

    #[test]
    fn websocket_and_rest_take_the_same_way() {
        let named = proxies(&[("HTTPS_PROXY", "http://a:1"), ("http_proxy", "b:2"), ("ALL_PROXY", "http://c:3")]);
        for url in ["wss://api.upbit.com/websocket/v1", "https://api.upbit.com/v1"] {
            assert_eq!(decision(&named, url), "http://a:1 (HTTPS_PROXY)");
        }
        for url in ["ws://api.upbit.com/websocket/v1", "http://api.upbit.com/v1"] {
            assert_eq!(decision(&named, url), "http://b:2 (http_proxy)");
        }
        let all = proxies(&[("all_proxy", "https://[::1]:3")]);
        for url in ["wss://api.upbit.com/", "https://api.upbit.com/", "ws://api.upbit.com/", "http://api.upbit.com/"] {
            assert_eq!(decision(&all, url), "https://[::1]:3 (all_proxy)");
        }
        let both = proxies(&[("https_proxy", "http://lower"), ("HTTPS_PROXY", "https://upper")]);
        assert_eq!(decision(&both, "https://api.upbit.com/"), "https://upper:443 (HTTPS_PROXY)");
        assert_eq!(decision(&proxies(&[]), "https://api.upbit.com/"), "straight");
    }

    #[test]
    fn this_machine_is_reached_straight() {
        let all = proxies(&[("ALL_PROXY", "http://a:1"), ("http_proxy", "http://a:1"), ("HTTPS_PROXY", "socks5://a")]);
        for host in ["127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "localhost", "LocalHost.", "x.localhost"] {
            for scheme in ["ws", "wss", "http", "https"] {
                assert_eq!(decision(&all, &format!("{scheme}://{host}/v1")), "straight");
            }
        }
        assert_eq!(decision(&all, "ws://localhost.example/v1"), "http://a:1 (http_proxy)");
        assert_eq!(decision(&all, "ws://127.0.0.1.example/v1"), "http://a:1 (http_proxy)");
    }

    #[test]
    fn one_that_cannot_be_used_is_an_error_and_not_gone_around() {
        let unusable = proxies(&[("https_proxy", "socks5://a:1"), ("http_proxy", "http://b:2")]);
        assert!(unusable.between(&Url::http("https://api.upbit.com/v1").unwrap()).is_err());
        assert!(unusable.between(&Url::websocket("wss://api.upbit.com/").unwrap()).is_err());
        assert_eq!(decision(&unusable, "http://api.upbit.com/v1"), "http://b:2 (http_proxy)");
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
            assert_eq!(decision(&listing(no), url) == "straight", is_straight, "{no} {url}");
        }
    }

    proptest! {
        #[test]
        fn no_list_of_hosts_makes_it_panic(text in "\\PC*") {
            let bypass = ProxyConfig { bypass: text, ..ProxyConfig::default() };
            let _ = Proxies::new(&bypass).matches(&Url::http("https://api.upbit.com/v1").unwrap());
        }
    }
}
