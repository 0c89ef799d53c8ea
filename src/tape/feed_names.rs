//! Feeds in a line, by their names. Names unknown to this version are left out. Pure.

use super::words::Word;
use crate::upbit::feed::Feed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// The feeds of a list.
pub(super) fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Feed>, D::Error> {
    let feeds = Vec::<Word<Feed>>::deserialize(deserializer)?;
    Ok(feeds.into_iter().filter_map(Word::known).collect())
}

/// Values by feed, in the order of their names.
pub(super) fn serialize<T: Serialize, S: Serializer>(
    values: &BTreeMap<Feed, T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let by_name: BTreeMap<_, _> = values.iter().map(|(feed, value)| (feed.as_str(), value)).collect();
    by_name.serialize(serializer)
}

/// Values by feed.
pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Feed, T>, D::Error> {
    let by_name = BTreeMap::<Word<Feed>, T>::deserialize(deserializer)?;
    Ok(by_name.into_iter().filter_map(|(feed, value)| Some((feed.known()?, value))).collect())
}
