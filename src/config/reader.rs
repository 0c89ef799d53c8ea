//! Reads the leaves of the merged tree one by one and collects their faults.
//!
//! A leaf that cannot be read has its default instead, so that one run reports all faults; since any fault refuses the
//! whole configuration, that default is never used.

use super::faults::{Fault, Faults, Origin, nearest};
use super::layers::{Layers, PREFIX};
use crate::printable;
use crate::quantity::{format_duration, format_size, parse_duration, parse_size};
use figment::value::{Dict, Value};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Characters of a text that are quoted where something else was expected: enough to find it by.
const QUOTED: usize = 80;

/// One key in force.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The whole key, such as `public.url`.
    pub key: String,
    /// As written.
    pub value: Value,
    /// The layer that it is from.
    pub origin: Origin,
}

/// The merged tree, with the settings and faults found so far.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    layers: &'a Layers,
    settings: Vec<Setting>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// A reader with unknown keys and misplaced tables already refused; `faults` are those of the layers.
    pub(super) fn new(layers: &'a Layers, faults: Vec<Fault>) -> Self {
        let mut reader = Self { layers, settings: Vec::new(), faults };
        if let (Some(merged), Some(known)) = (layers.merged.as_dict(), layers.defaults.as_dict()) {
            reader.compare("", merged, known);
        }
        reader
    }

    /// The settings in reading order, or all faults.
    pub(super) fn finish(self) -> Result<Vec<Setting>, Faults> {
        if self.faults.is_empty() { Ok(self.settings) } else { Err(Faults(self.faults)) }
    }

    /// Adds a fault about a key that was read before, or about one of an entry of its list.
    pub(super) fn refuse(&mut self, key: &str, problem: impl Into<String>) {
        let fault = Fault::new(self.origin(key), key, problem);
        self.faults.push(fault);
    }

    /// Adds a fault about a key that does not quote its value, and is shown even where that is secret.
    pub(super) fn refuse_openly(&mut self, key: &str, problem: String) {
        self.faults.push(Fault { origin: self.origin(key), key: key.to_owned(), problem });
    }

    /// Adds a fault about keys that contradict each other, at the first that is not a default.
    pub(super) fn refuse_together(&mut self, keys: [&str; 2], problem: impl Into<String>) {
        let changed = keys.into_iter().find(|key| self.origin(key) != Origin::shipped());
        self.refuse(changed.unwrap_or(keys[0]), problem);
    }

    /// Marks the value of a key that was read before as secret.
    pub(super) fn conceal(&mut self, key: &str) {
        for setting in self.settings.iter_mut().filter(|setting| setting.key == key) {
            setting.origin = Origin::secret(setting.origin.to_string());
        }
    }

    /// The layer of a key, or of the list that an entry's key belongs to.
    fn origin(&self, key: &str) -> Origin {
        let parent = key.split('[').next().unwrap_or(key);
        let value = self.layers.merged.find_ref(parent);
        value.map_or_else(Origin::shipped, |value| self.layers.origin(value))
    }

    /// Reads a key by its own rule.
    pub(super) fn leaf<T>(&mut self, key: &str, parse: impl Fn(&Value) -> Result<T, String>) -> T {
        let default = self.layers.defaults.find_ref(key).unwrap_or_else(|| panic!("the shipped file has no key {key}"));
        // A table that was overwritten by something else was refused by `compare`; its keys read as their defaults.
        let value = self.layers.merged.find_ref(key).unwrap_or(default);
        self.settings.push(Setting { key: key.to_owned(), value: value.clone(), origin: self.layers.origin(value) });
        parse(value).unwrap_or_else(|problem| {
            // A problem may quote the value, which may be secret.
            let secret = self.layers.origin(value).is_secret();
            self.refuse(
                key,
                if secret { "the value cannot be used (not shown, it is secret)".into() } else { problem },
            );
            parse(default).unwrap_or_else(|problem| panic!("the shipped file is wrong: {key}: {problem}"))
        })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.leaf(key, |value| value.to_bool().ok_or_else(|| expected("true or false", value)))
    }

    /// Any text that `parse` takes.
    pub(super) fn text<T, E: Display>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> T {
        self.leaf(key, |value| {
            let text = value.as_str().ok_or_else(|| expected("text in quotes", value))?;
            parse(text).map_err(|error| error.to_string())
        })
    }

    /// Text that `parse` takes, or empty text for nothing.
    pub(super) fn optional<T, E: Display>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        self.text(key, |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) })
    }

    /// The path of a directory.
    pub(super) fn path(&mut self, key: &str) -> PathBuf {
        self.text(key, |text| match text {
            "" => Err("it is empty: name a directory"),
            home if home == "~" || home.starts_with("~/") => Err("only a shell understands `~`: write the whole path"),
            path => Ok(path.into()),
        })
    }

    /// A whole number.
    pub(super) fn number<T: TryFrom<i128> + Display>(&mut self, key: &str, bounds: RangeInclusive<i128>) -> T {
        self.leaf(key, |value| {
            let number = whole_number(value).ok_or_else(|| expected("a whole number", value))?;
            let fitting = bounds.contains(&number).then(|| T::try_from(number).ok()).flatten();
            fitting.ok_or_else(|| out_of_bounds(number, bounds.start(), bounds.end()))
        })
    }

    /// A duration.
    pub(super) fn duration(&mut self, key: &str, bounds: RangeInclusive<Duration>) -> Duration {
        self.text(key, |text| bounded_duration(text, &bounds))
    }

    /// A duration, or empty text for nothing.
    pub(super) fn optional_duration(&mut self, key: &str, bounds: RangeInclusive<Duration>) -> Option<Duration> {
        self.optional(key, |text| bounded_duration(text, &bounds))
    }

    /// A size in bytes.
    pub(super) fn size(&mut self, key: &str, bounds: RangeInclusive<u64>) -> u64 {
        self.leaf(key, |value| bounded_size(value, &bounds))
    }

    /// A size in bytes, or empty text for nothing.
    pub(super) fn optional_size(&mut self, key: &str, bounds: RangeInclusive<u64>) -> Option<u64> {
        self.leaf(key, |value| match value.as_str() {
            Some("") => Ok(None),
            _ => bounded_size(value, &bounds).map(Some),
        })
    }

    /// Refuses keys that the shipped file does not have, and anything but a table where it has one.
    fn compare(&mut self, path: &str, merged: &Dict, known: &Dict) {
        for (name, value) in merged {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let origin = self.layers.origin(first_leaf(value));
            match (known.get(name), value) {
                (Some(Value::Dict(_, known)), Value::Dict(_, merged)) => self.compare(&key, merged, known),
                (Some(Value::Dict(..)), _) => {
                    self.faults.push(Fault::new(origin, &key, expected("a table of keys", value)));
                }
                (Some(_), _) => {}
                (None, _) => {
                    let problem = format!("unknown key; {}", self.hint(&key, name, known, &origin));
                    self.faults.push(Fault::unknown(origin, path, name, problem));
                }
            }
        }
    }

    /// The known key that an unknown one is most likely a mistake for: the nearest sibling, else the same name in
    /// another table, else the nearest of all.
    fn hint(&self, key: &str, name: &str, siblings: &Dict, origin: &Origin) -> String {
        let mut all = Vec::new();
        leaves("", &self.layers.defaults, &mut all);
        let all = || all.iter().map(String::as_str);
        let namesakes: Vec<&str> = all().filter(|known| known.rsplit('.').next() == Some(name)).collect();
        let beside = nearest(name, siblings.keys().map(String::as_str)).map(str::to_owned);
        let elsewhere = (!namesakes.is_empty()).then(|| namesakes.join("` or `"));
        match beside.or(elsewhere).or_else(|| nearest(key, all()).map(str::to_owned)) {
            // A section may have a name that is near by chance.
            _ if is_service_link(key, origin) => {
                "Kubernetes sets it for a service of our name: give the pod enableServiceLinks: false".to_owned()
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", siblings.keys().cloned().collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Whether a variable is one that Kubernetes gives to all pods beside a service that is called `upbit-recorder`.
fn is_service_link(key: &str, origin: &Origin) -> bool {
    let is_variable = origin.to_string().starts_with(PREFIX);
    is_variable && (key.starts_with("service_") || key == "port" || key.starts_with("port_"))
}

/// The whole keys of all leaves below `value`.
pub(super) fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
    match value.as_dict() {
        None => found.push(path.to_owned()),
        Some(dict) => dict.iter().for_each(|(name, value)| {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            leaves(&key, value, found);
        }),
    }
}

/// `expected a whole number, found text`.
pub(super) fn expected(what: &str, found: &Value) -> String {
    let found = match found {
        Value::String(_, text) => format!("the text `{}`", printable::line(text, QUOTED)),
        Value::Char(_, char) => format!("the text `{char}`"),
        Value::Bool(_, flag) => format!("`{flag}`"),
        Value::Num(_, _) => format!("the number {}", show_number(found)),
        Value::Empty(..) => "nothing".to_owned(),
        Value::Dict(..) => "a table".to_owned(),
        Value::Array(..) => "a list".to_owned(),
    };
    format!("expected {what}, found {found}")
}

/// A number as JSON and TOML both spell it.
fn show_number(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A number without a fraction, in any of figment's representations.
fn whole_number(value: &Value) -> Option<i128> {
    value.to_i128().or_else(|| i128::try_from(value.to_u128()?).ok())
}

/// A table has no origin of its own, its leaves have.
fn first_leaf(value: &Value) -> &Value {
    value.as_dict().and_then(|dict| dict.values().next()).map_or(value, first_leaf)
}

fn bounded_duration(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    let [low, high] = [bounds.start(), bounds.end()].map(|bound| format_duration(*bound));
    bounds.contains(&duration).then_some(duration).ok_or_else(|| out_of_bounds(text, &low, &high))
}

fn bounded_size(value: &Value, bounds: &RangeInclusive<u64>) -> Result<u64, String> {
    let text = match (value.as_str(), whole_number(value)) {
        (Some(text), _) => text.to_owned(),
        (None, Some(bytes)) => bytes.to_string(),
        (None, None) => return Err(expected("a size such as \"128MiB\"", value)),
    };
    let size = parse_size(&text).map_err(|error| error.to_string())?;
    let [low, high] = [bounds.start(), bounds.end()].map(|bound| format_size(*bound));
    bounds.contains(&size).then_some(size).ok_or_else(|| out_of_bounds(text, &low, &high))
}

fn out_of_bounds(value: impl Display, low: &impl Display, high: &impl Display) -> String {
    format!("`{value}` is out of bounds: from {low} to {high}")
}
