//! Names, from the wire and from directories: none leads out of its directory, and each is read as it was written.

#![no_main]

use upbit_recorder::tape::paths;
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::tape::segment_name::{self, Archived};
use upbit_recorder::tape::stream_key::{StreamKey, WireName};

fuzz_target!(|input: &str| {
    let (kind, code) = match input.split_once('|') {
        Some((kind, code)) => (kind, Some(code)),
        None => (input, None),
    };
    if let Some(name) = WireName::parse(kind, code) {
        let key = StreamKey::from(name);
        let stem = key.as_str();
        assert!(stem.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) && stem.len() <= 129);
        assert!(!stem.starts_with('.') && !["recorder", "misc", "manifest", "day"].contains(&stem));
        assert_eq!((key.kind(), key.code()), (kind, code));
        assert_eq!(StreamKey::from_stem(stem), Some(key.clone()));
    }
    if let Some(key) = StreamKey::from_stem(input) {
        assert_eq!(key.as_str(), input);
    }
    if let Some((directory, name)) = input.split_once('/')
        && let Some(archived) = segment_name::parse_archived(Feed::Public, directory, name)
    {
        let path = match archived {
            Archived::Plain(segment) => segment.plain(),
            Archived::Sealed(segment) => segment.sealed(),
            Archived::Unfinished(segment) => segment.unfinished(),
        };
        assert!(paths::is_date_directory(directory));
        assert_eq!(path, Path::new("archive").join(directory).join(name), "a name is written as it was read");
    }
});
