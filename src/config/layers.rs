//! The sources of a configuration, merged by precedence.
//!
//! ```text
//! config/recorder.toml (built in) → FILE → FILE.secret.toml → UPBIT_RECORDER_* → --set
//!                                     later layers win, key by key; lists are replaced whole
//! ```
//!
//! Keys are interpreted by the reader; here only TOML is parsed. A layer that cannot be read is a fault and left out,
//! so that the faults of the others are reported by the same run.

use super::faults::{Fault, Origin};
use super::files::{self, Guard};
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use std::path::{Path, PathBuf};

/// The shipped file: documentation and defaults in one.
pub const DEFAULTS: &str = include_str!("../../config/recorder.toml");

/// The prefix of every environment variable that sets a key.
pub(super) const PREFIX: &str = "UPBIT_RECORDER_";

/// The sources to read. The process's environment is an argument, so that a test can pass its own.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// Names and values of all environment variables.
    pub environment: Vec<(String, String)>,
    /// `--set key=value`, in order.
    pub assignments: Vec<String>,
}

impl Sources {
    /// The arguments together with this process's environment. Bytes that are no UTF-8 become `U+FFFD`.
    pub fn of_process(file: Option<PathBuf>, assignments: Vec<String>) -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        let mut environment: Vec<_> = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        environment.sort();
        Self { file, environment, assignments }
    }

    /// The value of an environment variable, where it is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// The merged layers, every value with its origin.
#[derive(Debug)]
pub(super) struct Layers {
    figment: Figment,
    /// The effective tree.
    pub(super) merged: Value,
    /// The tree of the shipped file alone, which also defines the set of keys.
    pub(super) defaults: Value,
}

impl Layers {
    /// Reads every source; a fault is added for each that cannot be read.
    pub(super) fn read(sources: &Sources, faults: &mut Vec<Fault>) -> Self {
        let shipped = Toml::from_str::<Dict>(DEFAULTS).expect("a test reads the shipped file");
        let defaults = Value::from(shipped.clone());
        let mut layers = vec![Layer { origin: Origin::shipped(), values: shipped }];
        if let Some(file) = &sources.file {
            layers.extend(collect(read_file(file), faults));
            layers.extend(collect(read_secret_file(&secret_file(file)), faults).flatten());
        }
        let variables = sources.environment.iter().filter_map(|(name, value)| read_variable(name, value, &defaults));
        layers.extend(variables);
        for assignment in &sources.assignments {
            layers.extend(collect(read_assignment(assignment, &defaults), faults));
        }
        let figment = layers.into_iter().fold(Figment::new(), Figment::merge);
        let merged = figment.data().ok().and_then(|mut profiles| profiles.remove(&Profile::Default));
        Self { figment, merged: merged.unwrap_or_default().into(), defaults }
    }

    /// The layer that a value is from.
    pub(super) fn origin(&self, value: &Value) -> Origin {
        let metadata = self.figment.get_metadata(value.tag());
        metadata.map_or_else(Origin::shipped, Origin::of)
    }
}

/// `recorder.toml` → `recorder.secret.toml`, in the same directory.
pub(super) fn secret_file(file: &Path) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(".secret.toml");
    file.with_file_name(name)
}

/// One layer, as figment takes it.
struct Layer {
    origin: Origin,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.origin.metadata()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn collect<T>(result: Result<T, Fault>, faults: &mut Vec<Fault>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

fn read_file(path: &Path) -> Result<Layer, Fault> {
    let origin = Origin::open(path.display().to_string());
    match files::read(path, files::MOST_CONFIG, Guard::None) {
        Ok(Some(text)) => parse_toml(&text, origin),
        Ok(None) => Err(whole(&origin, files::missing())),
        Err(problem) => Err(whole(&origin, problem)),
    }
}

fn read_secret_file(path: &Path) -> Result<Option<Layer>, Fault> {
    let origin = Origin::secret(path.display().to_string());
    let text = files::read(path, files::MOST_SECRET, Guard::OwnerAlone).map_err(|problem| whole(&origin, problem))?;
    text.map(|text| parse_toml(&text, origin)).transpose()
}

fn parse_toml(text: &str, origin: Origin) -> Result<Layer, Fault> {
    let values = Toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let (line, column) = position(text, at);
        // The parser's message may quote the text.
        let message = if origin.is_secret() { "it is no TOML" } else { error.message() };
        whole(&origin, format!("line {line}, column {column}: {}", message.replace('\n', ", ")))
    })?;
    Ok(Layer { origin, values })
}

/// Line and column of a byte, both from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn whole(origin: &Origin, problem: String) -> Fault {
    Fault { origin: origin.clone(), key: String::new(), problem }
}

/// `UPBIT_RECORDER_PUBLIC__PING_INTERVAL` is `public.ping_interval`.
fn read_variable(name: &str, text: &str, defaults: &Value) -> Option<Layer> {
    let key = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
    Some(Layer { origin: Origin::open(name), values: nest(&key, interpret(&key, text, defaults)) })
}

fn read_assignment(assignment: &str, defaults: &Value) -> Result<Layer, Fault> {
    let origin = Origin::open("--set");
    let Some((key, text)) = assignment.split_once('=') else {
        let problem = format!("`{assignment}` has no value: write key=value, such as log.level=debug");
        return Err(whole(&origin, problem));
    };
    let key = key.trim();
    Ok(Layer { origin, values: nest(key, interpret(key, text, defaults)) })
}

/// How deep lists and tables in text outside a file may be nested; a subscribe list has three levels.
const MAX_NESTING: usize = 16;

/// Parts that a key is split into; no known key has more, so that the rest is refused as unknown.
const MAX_KEY_PARTS: usize = 4;

/// The value of a text outside a file.
///
/// Where the key is text it is taken as it stands, so that `log.level=info,hyper=warn` and a directory called `2026`
/// need no quotes. Anything else is read as TOML, then by figment's more lenient grammar.
fn interpret(key: &str, text: &str, defaults: &Value) -> Value {
    let toml = || Toml::from_str::<Dict>(&format!("value = {text}")).ok();
    let value = || toml().filter(|values| values.len() == 1).and_then(|mut values| values.remove("value"));
    match defaults.find_ref(key) {
        Some(Value::String(..)) if !text.trim_start().starts_with('"') => text.into(),
        // Both grammars are read recursively.
        _ if nesting(text) > MAX_NESTING => text.into(),
        _ => value().unwrap_or_else(|| text.parse().expect("figment's grammar takes any text")),
    }
}

/// At least the depth of lists and tables in `text`.
fn nesting(text: &str) -> usize {
    let deepest = text.bytes().fold((0_usize, 0), |(depth, deepest), byte| match byte {
        b'[' | b'{' => (depth + 1, deepest.max(depth + 1)),
        b']' | b'}' => (depth.saturating_sub(1), deepest),
        _ => (depth, deepest),
    });
    deepest.1
}

/// The value in a table for each part of its key.
fn nest(key: &str, value: Value) -> Dict {
    let parts: Vec<&str> = key.splitn(MAX_KEY_PARTS, '.').collect();
    let (first, rest) = parts.split_first().expect("splitting gives one part at least");
    let value = rest.iter().rev().fold(value, |value, part| Dict::from([((*part).to_owned(), value)]).into());
    Dict::from([((*first).to_owned(), value)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sources: &Sources) -> (Layers, Vec<String>) {
        let mut faults = Vec::new();
        let layers = Layers::read(sources, &mut faults);
        (layers, faults.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn later_layers_win_and_every_value_knows_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("my.toml");
        std::fs::write(&file, "data_dir = 'f'\n[log]\nlevel = 'warn'\n[storage]\nzstd_level = 5").unwrap();
        let sources = Sources {
            file: Some(file.clone()),
            environment: vec![
                ("UPBIT_RECORDER_LOG__LEVEL".into(), "debug".into()),
                ("UPBIT_RECORDER_STORAGE__ZSTD_LEVEL".into(), "7".into()),
                ("HOME".into(), "/".into()),
            ],
            assignments: vec!["storage.zstd_level=9".into()],
        };
        let (layers, faults) = read(&sources);
        assert_eq!(faults, [""; 0]);
        let shown = |key: &str| {
            let value = layers.merged.find_ref(key).unwrap();
            format!(
                "{:?} {}",
                value.to_i128().map_or(value.as_str().map(str::to_owned), |n| Some(n.to_string())),
                layers.origin(value)
            )
        };
        assert_eq!(shown("data_dir"), format!("Some(\"f\") {}", file.display()));
        assert_eq!(shown("log.level"), "Some(\"debug\") UPBIT_RECORDER_LOG__LEVEL");
        assert_eq!(shown("storage.zstd_level"), "Some(\"9\") --set");
        assert_eq!(shown("log.format"), "Some(\"auto\") default");
    }

    #[test]
    fn the_secret_file_is_read_only_if_its_owner_alone_can() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("my.toml");
        let secret = directory.path().join("my.secret.toml");
        std::fs::write(&file, "").unwrap();
        std::fs::write(&secret, "data_dir = 'hidden'").unwrap();
        let sources = Sources { file: Some(file), ..Sources::default() };
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o640)).unwrap();
        let (_, faults) = read(&sources);
        assert!(faults[0].contains("my.secret.toml: others") && faults[0].contains("chmod 600"), "{faults:?}");
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        let (layers, faults) = read(&sources);
        assert_eq!(faults, [""; 0]);
        assert!(layers.origin(layers.merged.find_ref("data_dir").unwrap()).is_secret());
    }

    #[test]
    fn a_missing_or_malformed_file_is_a_fault() {
        let sources = Sources { file: Some("/no/such/file.toml".into()), ..Sources::default() };
        assert!(read(&sources).1[0].starts_with("/no/such/file.toml: cannot be read: "));
        let origin = Origin::open("x.toml");
        let fault = parse_toml("a = 1\nb = = 2\n", origin).err().unwrap().to_string();
        assert!(fault.starts_with("x.toml: line 2, column 5: "), "{fault}");
        let secret = parse_toml("key = hunter2", Origin::secret("s.toml")).err().unwrap().to_string();
        assert!(!secret.contains("hunter2"), "{secret}");
    }

    #[test]
    fn text_outside_a_file_is_taken_as_the_key_wants_it() {
        let defaults = Value::from(Toml::from_str::<Dict>(DEFAULTS).unwrap());
        let text = |key, text| interpret(key, text, &defaults).as_str().map(str::to_owned);
        assert_eq!(text("data_dir", "2026").as_deref(), Some("2026"));
        assert_eq!(text("log.level", "info,a=b").as_deref(), Some("info,a=b"));
        assert_eq!(text("data_dir", "\"a b\"").as_deref(), Some("a b"));
        assert_eq!(interpret("public.enabled", "true", &defaults).to_bool(), Some(true));
        for list in ["[{type=\"trade\",codes=['A-B']}]", "[{type=trade,codes=[A-B]}]"] {
            let list = interpret("public.subscribe", list, &defaults);
            let entry = list.as_array().unwrap()[0].as_dict().unwrap();
            assert_eq!(entry["codes"].as_array().unwrap()[0].as_str(), Some("A-B"));
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let assignments = vec![format!("public.subscribe={deep}"), format!("{}=1", "a.".repeat(100_000))];
        let (layers, faults) = read(&Sources { assignments, ..Sources::default() });
        assert_eq!(faults, [""; 0]);
        assert_eq!(layers.merged.find_ref("public.subscribe").and_then(Value::as_str), Some(deep.as_str()));
    }

    #[test]
    fn an_assignment_without_a_value_is_a_fault() {
        let sources = Sources { assignments: vec!["log.level".into()], ..Sources::default() };
        assert!(read(&sources).1[0].contains("key=value"));
    }
}
