//! Reads the entries of `[[public.subscribe]]` and `[[private.subscribe]]`: their shape here, their meaning in
//! `checks`.

mod candles;
mod checks;
mod codes;

pub use checks::{Refusal, refusals};

use super::faults::nearest;
use super::reader::{Reader, expected};
use crate::upbit::feed::Feed;
use crate::upbit::subscription::Subscription;
use crate::upbit::types::COUNTS;
use figment::value::{Dict, Value};
use serde_json::{Map, Number, Value as Json};
use std::collections::BTreeSet;

/// Every key that an entry can have.
const KEYS: [&str; 7] = ["type", "codes", "count", "level", "only_snapshot", "only_realtime", "options"];

/// Reads a whole list and validates it against the exchange's rules.
pub(super) fn read(reader: &mut Reader<'_>, connection: Feed, enabled: bool) -> Vec<Subscription> {
    let list = format!("{connection}.subscribe");
    let entries = reader.leaf(&list, |value| match value.as_array() {
        Some(entries) => Ok(entries.to_vec()),
        None => Err(expected("a list such as [{type=\"trade\",codes=[\"KRW-BTC\"]}]", value)),
    });
    let mut subscriptions = Vec::new();
    let mut unread = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let mut problems = Vec::new();
        subscriptions.push(read_entry(entry, &mut problems));
        for (key, problem) in problems {
            unread.insert(index);
            reader.refuse(&entry_key(&list, index, &key), problem);
        }
    }
    for refusal in refusals(connection, &subscriptions) {
        let key = match refusal.entry {
            // A connection that is off needs no list.
            None if enabled => list.clone(),
            // The parts of an entry that could not be read are missing from it, which would be refused again.
            Some(index) if !unread.contains(&index) => entry_key(&list, index, refusal.key),
            _ => continue,
        };
        reader.refuse(&key, refusal.problem);
    }
    subscriptions
}

/// `public.subscribe[2].codes`; the index counts from 0.
fn entry_key(list: &str, index: usize, key: &str) -> String {
    let dot = if key.is_empty() { "" } else { "." };
    format!("{list}[{index}]{dot}{key}")
}

type Problems = Vec<(String, String)>;

fn read_entry(entry: &Value, problems: &mut Problems) -> Subscription {
    let Some(entry) = entry.as_dict() else {
        problems.push((String::new(), expected("a table such as {type=\"trade\",codes=[\"KRW-BTC\"]}", entry)));
        return Subscription::default();
    };
    for key in entry.keys().filter(|key| !KEYS.contains(&key.as_str())) {
        problems.push((key.clone(), unknown(key)));
    }
    let mut fields = Fields { entry, problems };
    let options = fields.read_options();
    let kind = fields.read("type", read_text);
    if kind.is_none() && !entry.contains_key("type") {
        fields.problems.push(("type".into(), "is missing: say what to record, such as \"trade\"".into()));
    }
    Subscription {
        kind: kind.unwrap_or_default(),
        codes: fields.read("codes", read_codes).unwrap_or_default(),
        count: fields.read("count", read_count),
        level: fields.read("level", read_level),
        only_snapshot: fields.read("only_snapshot", read_flag).unwrap_or_default(),
        only_realtime: fields.read("only_realtime", read_flag).unwrap_or_default(),
        options,
    }
}

fn unknown(key: &str) -> String {
    match nearest(key, KEYS) {
        Some(near) => format!("unknown key; did you mean `{near}`?"),
        None => format!("unknown key; known here: {}", KEYS.join(", ")),
    }
}

struct Fields<'a> {
    entry: &'a Dict,
    problems: &'a mut Problems,
}

impl Fields<'_> {
    fn read<T>(&mut self, key: &str, parse: impl Fn(&Value) -> Result<T, String>) -> Option<T> {
        let parsed = parse(self.entry.get(key)?);
        parsed.map_err(|problem| self.problems.push((key.to_owned(), problem))).ok()
    }

    /// The options that are handed to the exchange verbatim, without the refused ones.
    fn read_options(&mut self) -> Map<String, Json> {
        let Some(value) = self.entry.get("options") else { return Map::new() };
        let Some(options) = value.as_dict() else {
            self.problems.push(("options".into(), expected("a table such as {include_body=true}", value)));
            return Map::new();
        };
        let mut read = Map::new();
        for (key, value) in options {
            let json = own_key(key).map_or_else(|| to_json(value), Err);
            match json {
                Ok(json) => _ = read.insert(key.clone(), json),
                Err(problem) => self.problems.push((format!("options.{key}"), problem)),
            }
        }
        read
    }
}

/// Why a key cannot be one of the options, where the recorder sends it by itself, in whichever spelling.
fn own_key(key: &str) -> Option<String> {
    let letters: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    let beside = match letters.to_ascii_lowercase().as_str() {
        "type" | "ty" => "type",
        "code" | "codes" => "codes",
        "count" => "count",
        "level" => "level",
        "isonlysnapshot" | "onlysnapshot" => "only_snapshot",
        "isonlyrealtime" | "onlyrealtime" => "only_realtime",
        "format" => return Some("is a key of the connection: write it in its section, above the list".to_owned()),
        "ticket" | "method" => return Some("is sent by the recorder itself".to_owned()),
        _ => return None,
    };
    Some(format!("is no option: write {beside} = … beside options, which the recorder sends by itself"))
}

/// A value of TOML as JSON.
fn to_json(value: &Value) -> Result<Json, String> {
    let wanted = "text, a number, true, false, a list or a table (a date as text in quotes)";
    match value {
        Value::String(_, text) => Ok(Json::String(text.clone())),
        Value::Char(_, char) => Ok(Json::String(char.to_string())),
        Value::Bool(_, flag) => Ok(Json::Bool(*flag)),
        // JSON has no infinity and no NaN.
        Value::Num(..) => match serde_json::to_value(value) {
            Ok(number @ Json::Number(_)) => Ok(number),
            _ => Err(expected("a number that JSON can spell", value)),
        },
        Value::Array(_, values) => values.iter().map(to_json).collect(),
        Value::Dict(_, fields) if !fields.keys().any(|key| key.starts_with('$')) => {
            fields.iter().map(|(key, value)| Ok((key.clone(), to_json(value)?))).collect()
        }
        Value::Dict(..) | Value::Empty(..) => Err(expected(wanted, value)),
    }
}

fn read_text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| expected("text in quotes", value))
}

fn read_codes(value: &Value) -> Result<Vec<String>, String> {
    let wanted = "a list of codes such as [\"KRW-BTC\"]";
    let codes = value.as_array().ok_or_else(|| expected(wanted, value))?;
    codes.iter().map(|code| code.as_str().map(str::to_owned).ok_or_else(|| expected(wanted, code))).collect()
}

fn read_count(value: &Value) -> Result<u8, String> {
    let count: Option<u8> = value.deserialize().ok();
    count.filter(|count| COUNTS.contains(count)).ok_or_else(|| expected("1, 5, 15 or 30", value))
}

fn read_level(value: &Value) -> Result<Number, String> {
    let whole = value.deserialize::<u64>().ok().map(Number::from);
    let level = whole.or_else(|| value.to_f64().filter(|level| *level >= 0.0).and_then(Number::from_f64));
    level.ok_or_else(|| expected("a number that is not negative", value))
}

fn read_flag(value: &Value) -> Result<bool, String> {
    value.to_bool().ok_or_else(|| expected("true or false", value))
}

#[cfg(test)]
mod tests {
    use crate::config::{Sources, load};

    fn faults(list: &str) -> Vec<String> {
        let assignments = vec![format!("public.subscribe={list}")];
        let faults = load(&Sources { assignments, ..Sources::default() }).unwrap_err();
        faults.0.iter().map(|fault| format!("{} {}", fault.key, fault.problem)).collect()
    }

    #[test]
    fn every_option_is_read() {
        let entry = "{type=\"orderbook\",codes=[\"KRW-BTC\"],count=15,level=0.1,only_realtime=true}";
        let assignments = vec![format!("public.subscribe=[{entry}]")];
        let loaded = load(&Sources { assignments, ..Sources::default() }).unwrap();
        let wire = loaded.config.public.subscribe[0].to_json();
        assert_eq!(wire, r#"{"type":"orderbook","codes":["KRW-BTC.15"],"level":0.1,"is_only_realtime":true}"#);
    }

    #[test]
    fn options_are_json_as_they_were_written() {
        let options = "{include_body=false,categories=[\"general\",\"a\"],n=[1,-2,0.5],deep={x={y=true}}}";
        let entry = format!("{{type=\"trade\",codes=[\"KRW-BTC\"],options={options}}}");
        let assignments = vec![format!("public.subscribe=[{entry}]")];
        let by_file = tempfile::tempdir().unwrap();
        let file = by_file.path().join("recorder.toml");
        std::fs::write(&file, format!("[public]\nsubscribe = [{entry}]\n")).unwrap();
        for sources in
            [Sources { assignments, ..Sources::default() }, Sources { file: Some(file), ..Sources::default() }]
        {
            assert_eq!(
                load(&sources).unwrap().config.public.subscribe[0].to_json(),
                r#"{"type":"trade","codes":["KRW-BTC"],"categories":["general","a"],"deep":{"x":{"y":true}},"include_body":false,"n":[1,-2,0.5]}"#
            );
        }
    }

    #[test]
    fn what_the_recorder_sends_by_itself_is_no_option() {
        for (key, hint) in [
            ("type", "write type = … beside options"),
            ("codes", "write codes"),
            ("level", "write level"),
            ("count", "write count"),
            ("is_only_snapshot", "write only_snapshot"),
            ("isOnlyRealtime", "write only_realtime"),
            ("format", "in its section"),
            ("ticket", "by the recorder itself"),
        ] {
            let found = faults(&format!("[{{type=\"trade\",codes=[\"KRW-BTC\"],options={{{key}=1,x=1}}}}]"));
            let [fault] = &found[..] else { panic!("{found:?}") };
            assert!(
                fault.starts_with(&format!("public.subscribe[0].options.{key} is ")) && fault.contains(hint),
                "{fault}"
            );
        }
        let found = faults("[{type=\"trade\",codes=[\"KRW-BTC\"],options=5}]");
        assert_eq!(
            found,
            ["public.subscribe[0].options expected a table such as {include_body=true}, found the number 5"]
        );
    }

    #[test]
    fn what_json_cannot_spell_is_no_option() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("recorder.toml");
        for value in ["2026-01-01", "inf", "nan", "[1, 2026-01-01T00:00:00Z]"] {
            let entry = format!("{{ type = \"trade\", codes = [\"KRW-BTC\"], options = {{ x = {value} }} }}");
            std::fs::write(&file, format!("[public]\nsubscribe = [{entry}]\n")).unwrap();
            let faults = load(&Sources { file: Some(file.clone()), ..Sources::default() }).unwrap_err().to_string();
            assert!(faults.contains("public.subscribe[0].options.x: expected"), "{value}: {faults}");
        }
    }

    #[test]
    fn every_wrong_part_of_every_entry_is_named() {
        assert_eq!(
            faults(
                "[{tpye=\"trade\"},{type=5,codes=\"KRW-BTC\"},7,{type=\"orderbook\",codes=[1],count=10,level=-1,only_snapshot=1}]"
            ),
            [
                "public.subscribe[0].tpye unknown key; did you mean `type`?",
                "public.subscribe[0].type is missing: say what to record, such as \"trade\"",
                "public.subscribe[1].type expected text in quotes, found the number 5",
                "public.subscribe[1].codes expected a list of codes such as [\"KRW-BTC\"], found the text `KRW-BTC`",
                "public.subscribe[2] expected a table such as {type=\"trade\",codes=[\"KRW-BTC\"]}, found the number 7",
                "public.subscribe[3].codes expected a list of codes such as [\"KRW-BTC\"], found the number 1",
                "public.subscribe[3].count expected 1, 5, 15 or 30, found the number 10",
                "public.subscribe[3].level expected a number that is not negative, found the number -1",
                "public.subscribe[3].only_snapshot expected true or false, found the number 1",
            ]
        );
    }

    #[test]
    fn readable_entries_are_checked_beside_unreadable_ones() {
        assert_eq!(
            faults("[{type=\"trade\",codes=5},{type=\"ticker\",codes=[\"krw-btc\"]}]"),
            [
                "public.subscribe[0].codes expected a list of codes such as [\"KRW-BTC\"], found the number 5",
                "public.subscribe[1].codes `krw-btc` is not upper case, and the exchange answers that with silence: write `KRW-BTC`",
            ]
        );
    }

    #[test]
    fn a_disabled_connection_may_have_an_empty_but_no_wrong_list() {
        let with = |list: &str| {
            load(&Sources { assignments: vec![format!("private.subscribe={list}")], ..Sources::default() })
        };
        assert!(with("[]").is_ok());
        assert!(with("[{type=\"myorder\"}]").unwrap_err().to_string().contains("did you mean `myOrder`"));
    }

    #[test]
    fn something_else_than_a_list_is_shown_what_a_list_is() {
        assert!(faults("[{type=\"trade\"")[0].contains("expected a list such as [{type="));
        assert!(faults("{type=\"trade\"}")[0].contains("found a table"));
    }
}
