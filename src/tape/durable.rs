//! The durable mark, `.durable`: up to which position everything is certain to be on disk. Pure.
//!
//! ```text
//! {"durable":1795324324113204,"epoch":0,"public":1795324324110000,"private":null,"state":17}␣␣␣\n
//!                                       └ heard: last data, last proof of life     128 bytes, replaced in place
//! ```
//!
//! A loss, a mute stream and a pause are noticed late, so a gap after a crash begins at the earlier of `durable` and what
//! was heard of its feed.

use crate::clock::{Position, Stamp};
use crate::upbit::feed::PerFeed;
use serde::{Deserialize, Serialize};

/// The length of the file, in bytes.
pub const LENGTH: usize = 128;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurableMark {
    /// Every line of the epoch stamped up to here survives a crash of the process or the machine.
    pub durable: Stamp,
    /// The epoch: how often stamps had gone back.
    pub epoch: u64,
    /// The stamp of each feed's last data (private: of its last line or proof of life); `None`: there was none.
    #[serde(default, flatten)]
    pub heard: PerFeed<Option<Stamp>>,
    /// The generation of the state that was durable by then; 0 in a mark of a version without one.
    #[serde(default, rename = "state")]
    pub generation: u64,
}

impl DurableMark {
    /// Reads the content of the file; `None`: it is no mark.
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The content of the file, [`LENGTH`] bytes: all numbers have room, an epoch and a generation of 14 digits each.
    pub fn to_text(self) -> String {
        let text = serde_json::to_string(&self).expect("numbers always serialise");
        format!("{text:<width$}\n", width = LENGTH - 1)
    }

    /// The position up to which everything is durable.
    pub fn position(self) -> Position {
        Position { epoch: self.epoch, stamp: self.durable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mark_fits_and_is_read_back() {
        let most = 99_999_999_999_999;
        let heard = PerFeed { public: Some(Stamp::MAX), private: Some(Stamp::MAX) };
        let mark = DurableMark { durable: Stamp::MAX, epoch: most, heard, generation: most };
        assert_eq!(mark.to_text().len(), LENGTH);
        assert_eq!(DurableMark::parse(mark.to_text().as_bytes()), Some(mark));
        let none = DurableMark { heard: PerFeed::default(), ..mark };
        assert_eq!(DurableMark::parse(none.to_text().as_bytes()), Some(none));
    }

    #[test]
    fn a_mark_of_the_version_before_is_read() {
        let mark = DurableMark::parse(b"{\"durable\":7,\"epoch\":1}                          \n").unwrap();
        assert_eq!((mark.position().stamp.as_micros(), mark.epoch, mark.generation), (7, 1, 0));
        assert_eq!((mark.heard, DurableMark::parse(b"{}")), (PerFeed::default(), None));
    }
}
