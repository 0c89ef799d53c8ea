//! The durable mark, `.durable`: up to which stamp everything is certain to be on disk. Pure.
//!
//! ```text
//! {"durable":1795324324113204,"epoch":0}␣␣␣␣\n      64 bytes, always, so that it is replaced in place
//! ```

use crate::clock::Stamp;
use serde::{Deserialize, Serialize};

/// The length of the file, in bytes.
pub const LENGTH: usize = 64;

/// The durable stamp and its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurableMark {
    /// Every line stamped up to here survives a crash of the process or the machine.
    pub durable: Stamp,
    /// The epoch: how often stamps had gone back.
    pub epoch: u64,
}

impl DurableMark {
    /// Reads the content of the file; `None`: it is no mark.
    pub fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The content of the file, [`LENGTH`] bytes.
    pub fn to_text(self) -> String {
        let text = serde_json::to_string(&self).expect("numbers always serialise");
        format!("{text:<width$}\n", width = LENGTH - 1)
    }
}
