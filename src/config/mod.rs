//! The configuration: read, validated, and typed for the rest of the program.
//!
//! ```text
//!  layers ──one tree──▶ reader ──leaf by leaf──▶ sections, subscribe, credentials ──▶ Config
//!     └───────────────────┴── every fault, together ──▶ Faults (exit code 78)
//! ```
//!
//! The shipped `config/recorder.toml` is built in: it has the defaults and defines the set of keys. Values are parsed
//! once, here; other rooms get typed values only.

mod credentials;
mod faults;
mod files;
mod filter;
mod keys;
mod layers;
mod model;
pub mod proxy;
mod reader;
mod reload;
mod sections;
mod subscribe;
mod upload;

pub use faults::{Fault, Faults, Origin, nearest};
pub use keys::{KeyError, KeySource, KeySources};
pub use layers::{DEFAULTS, Sources};
pub use model::{Config, ConnectionConfig, HttpConfig, LogConfig, LogFormat, RestConfig, StorageConfig, TlsRoots};
pub use reader::Setting;
pub use reload::{Loaded, RELOADED, Reloaded};
pub use subscribe::{Refusal, refusals};
pub use upload::{Destination, HostName, Provider, UploadConfig};

use layers::Layers;
use reader::Reader;

/// Reads and checks the configuration.
///
/// # Errors
///
/// Every fault of every layer, together.
pub fn load(sources: &Sources) -> Result<Loaded, Faults> {
    let mut faults = Vec::new();
    let layers = Layers::read(sources, &mut faults);
    let mut reader = Reader::new(&layers, faults);
    let config = sections::read(&mut reader, sources);
    Ok(Loaded { config, settings: reader.finish()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn with(assignments: &[&str]) -> Result<Config, Vec<String>> {
        let assignments = assignments.iter().map(|&text| text.to_owned()).collect();
        let loaded = load(&Sources { assignments, ..Sources::default() });
        loaded.map(|loaded| loaded.config).map_err(|faults| faults.0.iter().map(Fault::to_string).collect())
    }

    fn fault(assignment: &str) -> String {
        let mut faults = with(&[assignment]).unwrap_err();
        let fault = faults.pop().unwrap();
        assert_eq!(faults, [""; 0], "{assignment}");
        fault
    }

    #[test]
    fn without_anything_set_the_three_great_markets_are_recorded() {
        let config = with(&[]).unwrap();
        let kinds: Vec<&str> = config.public.subscribe.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(kinds, ["trade", "orderbook", "ticker"]);
        assert!(config.public.subscribe.iter().all(|entry| entry.codes == ["KRW-BTC", "KRW-ETH", "KRW-XRP"]));
        assert!(config.public.enabled && !config.private.enabled && config.credentials.is_none());
    }

    #[test]
    fn the_keys_of_the_shipped_file_are_the_keys_that_are_read() {
        let mut shipped = Vec::new();
        reader::leaves("", &Layers::read(&Sources::default(), &mut Vec::new()).defaults, &mut shipped);
        let loaded = load(&Sources::default()).unwrap();
        let read: Vec<String> = loaded.settings.into_iter().map(|setting| setting.key).collect();
        assert_eq!(read.len(), read.iter().collect::<BTreeSet<_>>().len(), "a key is read twice");
        assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), shipped.into_iter().collect());
    }

    #[test]
    fn the_account_is_not_sent_in_plain_text_to_another_machine() {
        let refusals = |url: &str| {
            let with_account = [&*format!("private.url={url}"), "private.enabled=true"];
            let told = with(&with_account).unwrap_err();
            told.iter().filter(|fault| fault.contains("private.url: ws:// would send the token")).count()
        };
        for host in ["api.upbit.com", "10.0.0.7:8080", "localhost.example", "[fd00::1]"] {
            assert_eq!([refusals(&format!("ws://{host}/")), refusals(&format!("wss://{host}/"))], [1, 0], "{host}");
        }
        for host in ["127.0.0.1:8080", "localhost", "[::1]:8080"] {
            assert_eq!(refusals(&format!("ws://{host}/")), 0, "{host}");
        }
        // A connection that is not made sends nothing.
        assert!(with(&["private.url=ws://api.upbit.com/"]).is_ok());
    }

    #[test]
    fn settings_stand_in_the_order_of_the_shipped_file() {
        let loaded = load(&Sources::default()).unwrap();
        let mut at = 0;
        for Setting { key, .. } in loaded.settings {
            let name = key.rsplit('.').next().unwrap();
            let line = if name == "subscribe" { format!("\n[[{key}]]") } else { format!("\n{name} = ") };
            at += DEFAULTS[at..].find(&line).unwrap_or_else(|| panic!("{key} is not where it belongs")) + 1;
        }
    }

    #[test]
    fn unknown_keys_are_answered_with_the_nearest() {
        assert_eq!(
            fault("public.ping_intervall=1s"),
            "--set: public.ping_intervall: unknown key; did you mean `ping_interval`?"
        );
        assert_eq!(fault("publik.url=x"), "--set: publik: unknown key; did you mean `public`?");
        assert!(fault("rotate_bytes=1MiB").ends_with("did you mean `storage.rotate_bytes`?"));
        assert!(fault("subscribe=[]").ends_with("did you mean `private.subscribe` or `public.subscribe`?"));
        assert!(fault("service_host=10.0.0.1").contains("known here: data_dir"));
        assert!(fault("log.colour=never").ends_with("known here: format, level"));
    }

    #[test]
    fn variables_are_keys_and_those_of_kubernetes_are_explained() {
        let variable = |name: &str| {
            let environment = vec![(name.to_owned(), "x".to_owned())];
            load(&Sources { environment, ..Sources::default() }).unwrap_err().to_string()
        };
        let text = variable("UPBIT_RECORDER_PUBLIC__PING_INTERVALL");
        assert!(
            text.starts_with("UPBIT_RECORDER_PUBLIC__PING_INTERVALL: public.ping_intervall: unknown key; did"),
            "{text}"
        );
        for name in ["SERVICE_HOST", "PORT", "PORT_9464_TCP_ADDR"] {
            let text = variable(&format!("UPBIT_RECORDER_{name}"));
            assert!(text.contains("enableServiceLinks: false"), "{text}");
        }
    }

    #[test]
    fn every_bound_is_kept_and_named() {
        for (assignment, wanted) in [
            ("public.ping_interval=56s", "from 10ms to 55s"),
            ("public.pong_timeout=0s", "from 10ms to 5m"),
            ("public.ping_interval=30", "write a whole number and one of the units"),
            ("public.connects_per_second=6", "from 1 to 5"),
            ("public.max_retries=-1", "from 0 to"),
            ("public.max_retries=many", "expected a whole number, found the text `many`"),
            ("public.max_message_bytes=65MiB", "from 4KiB to 64MiB"),
            ("public.format=default", "DEFAULT, SIMPLE"),
            ("public.enabled=5", "expected true or false, found the number 5"),
            ("public.url=https://x/", "ws:// or wss://"),
            ("public.tls_ca_file=/no/such.pem", "cannot be read"),
            ("public=5", "expected a table of keys, found the number 5"),
            ("rest.url=wss://x/", "http:// or https://"),
            ("storage.rotate_bytes=1048575", "from 1MiB to 1TiB"),
            ("storage.rotate_interval=7h", "does not divide a day"),
            ("storage.buffer_bytes=5MiB", "at least 17664KiB necessary"),
            ("storage.zstd_level=20", "from 1 to 19"),
            ("storage.max_streams=0", "from 1 to 100000"),
            ("tls_roots=os", "expected bundled or system"),
            ("storage.keep_for=5m", "from 1h to"),
            ("storage.keep_bytes=1", "from 1MiB"),
            ("http.listen=localhost", "127.0.0.1:9464"),
            ("log.level=inof", "did you mean `info`"),
            ("log.format=xml", "auto, text or json"),
            ("private.jwt_algorithm=RS256", "HS512 or HS256"),
            ("public.backoff_min=1m", "longer than backoff_max, 30s"),
            ("public.backoff_max=1ms", "backoff_min, 500ms, is longer"),
            ("public.enabled=false", "nothing would be recorded"),
            ("data_dir=", "is empty"),
            ("venue=Upbit-KR", "a-z 0-9 . - _ :"),
            ("data_dir=~/tape", "write the whole path"),
        ] {
            let text = fault(assignment);
            let key = assignment.split('=').next().unwrap();
            assert!(text.contains(wanted) && text.contains(key), "{text}");
        }
    }

    #[test]
    fn every_fault_is_found_at_once() {
        let faults =
            with(&["log.level=inof", "nonsense", "public.urll=x", "storage.zstd_level=x", "public.subscribe=5"]);
        assert_eq!(faults.unwrap_err().len(), 5);
    }

    #[test]
    fn plain_numbers_are_bytes_and_empty_text_is_nothing() {
        let config = with(&["storage.rotate_bytes=2097152", "storage.keep_for=90d", "http.listen="]).unwrap();
        assert_eq!(config.storage.rotate_bytes, 2 << 20);
        assert_eq!(config.storage.keep_for, Some(Duration::from_secs(90 * 86_400)));
        assert_eq!((config.storage.keep_bytes, config.http.listen), (None, None));
    }
}
