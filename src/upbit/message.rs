//! A frame taken apart: its objects, each with the name of its stream.
//!
//! ```text
//! {"type":"trade","code":"KRW-BTC",…}      ──▶ Data
//! [{"ty":"ticker","cd":"KRW-BTC",…}, …]    ──▶ Data, Data, …
//! {"status":"UP"}  {"error":…}  {"method":…} ──▶ Status, Error, Reply
//! {"type":5}  {"code":"KRW-BTC"}           ──▶ Nameless
//! anything else                            ──▶ Unreadable, whole
//! ```
//!
//! Only names are read. The objects themselves stay the bytes that arrived: the exchange spells one number in several
//! ways (`1.16539E8`, `100473000.00000000`), and printing it again would destroy the record. An object and a list of
//! any length are parsed whatever format was requested.

use memchr::memchr2;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

/// One part of a frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// An object with a type: market data or an account event.
    Data {
        /// The object as received, without the white space around it.
        object: &'a str,
        /// `type` or `ty`, unescaped and otherwise unchecked.
        kind: Cow<'a, str>,
        /// `code` or `cd`, where there is one.
        code: Option<Cow<'a, str>>,
    },
    /// `{"status":"UP"}`.
    Status {
        /// The object as received.
        object: &'a str,
    },
    /// The exchange's refusal of a request; it closes the connection next.
    Error {
        /// The object as received.
        object: &'a str,
    },
    /// The answer to a method such as `LIST_SUBSCRIPTIONS`.
    Reply {
        /// The object as received.
        object: &'a str,
    },
    /// An object without one unambiguous type: none, one that is no string, or two that differ.
    Nameless {
        /// The object as received.
        object: &'a str,
    },
    /// Bytes that cannot stand in a line of their own: no JSON object or list of objects, an empty one, text behind
    /// the value, a line break inside it, or a `ts_recv` of its own. A whole frame, or one element of a list.
    Unreadable {
        /// The bytes as received.
        bytes: &'a [u8],
    },
}

/// Reads a frame and hands each of its parts to `each`, in order: every byte of every object, once.
pub fn parse<'a>(frame: &'a [u8], each: &mut impl FnMut(Part<'a>)) {
    parse_from(frame, 0, &mut |part| {
        each(part);
        ControlFlow::Continue(())
    });
}

/// As [`parse`], from the offset `from` (0, or returned by an earlier call) until `each` breaks. Returns the offset to
/// continue at, so that a list of a million small objects is parsed in portions; `None`: the frame is at its end.
pub fn parse_from<'a>(
    frame: &'a [u8],
    from: usize,
    each: &mut impl FnMut(Part<'a>) -> ControlFlow<()>,
) -> Option<usize> {
    if from > 0 {
        return parse_elements(frame, from, each);
    }
    let unreadable = Part::Unreadable { bytes: frame };
    let text = std::str::from_utf8(frame).map(trim).unwrap_or_default();
    let part = match text.as_bytes().first() {
        Some(b'{') => parse_object(text).unwrap_or(unreadable),
        Some(b'[') if serde_json::from_str::<Objects>(text).is_ok() => {
            let begin = frame.iter().position(|byte| *byte == b'[').expect("the text begins with it") + 1;
            return parse_elements(frame, begin, each);
        }
        _ => unreadable,
    };
    // It is the frame's last part, whether `each` breaks or not.
    let _ = each(part);
    None
}

/// JSON's white space, which is less than Unicode's.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// The elements of a list of objects, from the one that begins at `at` or behind white space there.
fn parse_elements<'a>(
    frame: &'a [u8],
    mut at: usize,
    each: &mut impl FnMut(Part<'a>) -> ControlFlow<()>,
) -> Option<usize> {
    loop {
        let mut rest = serde_json::Deserializer::from_slice(&frame[at..]).into_iter::<&RawValue>();
        // The list was read once before the first of its elements was handed out.
        let element = trim(rest.next()?.ok()?.get());
        at += rest.byte_offset();
        let enough = each(parse_object(element).unwrap_or(Part::Unreadable { bytes: element.as_bytes() })).is_break();
        at += frame[at..].iter().position(|byte| *byte == b',' || *byte == b']')? + 1;
        if frame[at - 1] == b']' {
            return None;
        }
        if enough {
            return Some(at);
        }
    }
}

/// Reads as a list of objects, at least one, without keeping any.
struct Objects;

impl<'de> Deserialize<'de> for Objects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ObjectsVisitor)
    }
}

struct ObjectsVisitor;

impl<'de> Visitor<'de> for ObjectsVisitor {
    type Value = Objects;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Objects, A::Error> {
        let mut count = 0;
        while let Some(element) = list.next_element::<&RawValue>()? {
            if !trim(element.get()).starts_with('{') {
                return Err(A::Error::custom("an element is no object"));
            }
            count += 1;
        }
        if count > 0 { Ok(Objects) } else { Err(A::Error::custom("the list is empty")) }
    }
}

/// Classifies an object; `None` where it cannot stand in a line of its own.
fn parse_object(object: &str) -> Option<Part<'_>> {
    let head: Head<'_> = serde_json::from_str(object).ok()?;
    if head.keys == 0 || head.has_own_stamp || memchr2(b'\n', b'\r', object.as_bytes()).is_some() {
        return None;
    }
    Some(match (head.kind, head.code) {
        (Name::One(kind), Name::Absent) => Part::Data { object, kind, code: None },
        (Name::One(kind), Name::One(code)) => Part::Data { object, kind, code: Some(code) },
        (Name::Absent, Name::Absent) if head.has_error => Part::Error { object },
        (Name::Absent, Name::Absent) if head.has_method => Part::Reply { object },
        (Name::Absent, Name::Absent) if head.has_status => Part::Status { object },
        _ => Part::Nameless { object },
    })
}

/// The keys of an object's outermost level; nested objects with the same keys do not count.
#[derive(Default)]
struct Head<'a> {
    keys: usize,
    kind: Name<'a>,
    code: Name<'a>,
    has_own_stamp: bool,
    has_status: bool,
    has_error: bool,
    has_method: bool,
}

/// A key that may occur twice with the same value alone.
#[derive(Default)]
enum Name<'a> {
    #[default]
    Absent,
    One(Cow<'a, str>),
    Unclear,
}

impl<'a> Name<'a> {
    fn add(&mut self, value: &'a RawValue) {
        let text = serde_json::from_str::<Text<'_>>(value.get());
        *self = match (std::mem::take(self), text) {
            (Name::Absent, Ok(Text(text))) => Name::One(text),
            (Name::One(first), Ok(Text(text))) if first == text => Name::One(first),
            _ => Name::Unclear,
        };
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Head<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head<'de>, A::Error> {
        let mut head = Head::default();
        while let Some(Text(key)) = map.next_key()? {
            head.keys += 1;
            match &*key {
                "type" | "ty" => head.kind.add(map.next_value()?),
                "code" | "cd" => head.code.add(map.next_value()?),
                other => {
                    head.has_own_stamp |= other == "ts_recv";
                    head.has_status |= matches!(other, "status" | "sts");
                    head.has_error |= matches!(other, "error" | "err");
                    head.has_method |= matches!(other, "method" | "mthd");
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(head)
    }
}

/// A string, borrowed where it holds no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(frame: &str) -> Vec<String> {
        let mut parts = Vec::new();
        parse(frame.as_bytes(), &mut |part| {
            parts.push(match part {
                Part::Data { kind, code, .. } => format!("{} {kind}", code.as_deref().unwrap_or("-")),
                Part::Status { .. } => "status".into(),
                Part::Error { .. } => "error".into(),
                Part::Reply { .. } => "reply".into(),
                Part::Nameless { .. } => "nameless".into(),
                Part::Unreadable { bytes } => format!("unreadable {}", bytes.len()),
            });
        });
        parts
    }

    #[test]
    fn names_are_found_in_every_format_and_place() {
        assert_eq!(parts(r#"{"type":"trade","code":"KRW-BTC"}"#), ["KRW-BTC trade"]);
        assert_eq!(parts(r#"{"tms":1,"cd":"KRW-BTC","x":{"ty":"no"},"ty":"trade"}"#), ["KRW-BTC trade"]);
        assert_eq!(parts(r#"{"t\u0079pe":"tr\u0061de","code":"KRW\u002dBTC"}"#), ["KRW-BTC trade"]);
        assert_eq!(parts(r#"{"type":"myAsset","assets":[{"code":"no"}]}"#), ["- myAsset"]);
        assert_eq!(
            parts(r#" [{"ty":"ticker","cd":"A-B"} , {"ty":"ticker","cd":"C-D"}] "#),
            ["A-B ticker", "C-D ticker"]
        );
    }

    #[test]
    fn a_list_can_be_read_in_portions_of_any_size() {
        let frame = br#" [ {"type":"a"} ,{},{"x":"],["}, {"status":"UP"}] "#;
        let mut whole = Vec::new();
        parse(frame, &mut |part| whole.push(part));
        for portion in 1..=5 {
            let (mut parts, mut from, mut calls) = (Vec::new(), Some(0), 0);
            while let Some(at) = from {
                let mut room = portion;
                from = parse_from(frame, at, &mut |part| {
                    parts.push(part);
                    room -= 1;
                    if room == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                calls += 1;
            }
            assert_eq!((&parts, calls), (&whole, whole.len().div_ceil(portion)), "{portion} at a time");
        }
    }

    #[test]
    fn what_is_no_data_says_what_it_is() {
        assert_eq!(parts(r#"{"status":"UP"}"#), ["status"]);
        assert_eq!(parts(r#"{"error":{"name":"NO_CODES","message":"type and code"}}"#), ["error"]);
        assert_eq!(parts(r#"{"method":"LIST_SUBSCRIPTIONS","result":[]}"#), ["reply"]);
        assert_eq!(parts(r#"{"mk":"KRW-BTC","tms":1}"#), ["nameless"]);
    }

    #[test]
    fn a_name_said_twice_in_different_ways_is_no_name() {
        assert_eq!(parts(r#"{"type":"trade","type":"ticker","code":"A-B"}"#), ["nameless"]);
        assert_eq!(parts(r#"{"type":"trade","ty":"trade","code":"A-B"}"#), ["A-B trade"]);
        assert_eq!(parts(r#"{"type":"trade","code":1e999}"#), ["nameless"]);
        assert_eq!(parts(r#"{"type":null,"code":"A-B"}"#), ["nameless"]);
        assert_eq!(parts(r#"{"type":"\ud800"}"#), ["nameless"]);
    }

    #[test]
    fn what_cannot_stand_in_a_line_is_kept_whole() {
        for frame in
            ["", " ", "PONG", "5", "{}", "[]", "[1]", r#"[{"type":"a"},1]"#, r#"{"type":"a"} x"#, "{\"type\":\n\"a\"}"]
        {
            assert_eq!(parts(frame), [format!("unreadable {}", frame.len())], "{frame}");
        }
        assert_eq!(parts(r#"{"type":"trade","ts_recv":1}"#), ["unreadable 28"]);
        assert_eq!(parts(r#"[{"type":"a"},{"ts_recv":1}]"#), ["- a", "unreadable 13"]);
    }

    #[test]
    fn numbers_are_not_read() {
        assert_eq!(parts(r#"{"type":"a","n":1e99999,"m":1386929.37231066771348207123}"#), ["- a"]);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!(r#"{{"type":"a","x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parts(&deep), ["- a"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        let mut kept = Vec::new();
        parse(b"{\"type\":\"\xff\"}", &mut |part| kept.push(format!("{part:?}")));
        assert!(kept[0].starts_with("Unreadable"));
    }
}
