//! Objects of the REST interface that are recorded as they are: lines of `market.rest` and `instrument.rest`. Pure.
//!
//! ```text
//! {"ts_recv":1795324512113204,"market":"KRW-BTC","korean_name":"비트코인",…}
//! ```

use super::stream_key::StreamKey;

/// Objects of one answer, on the way to their stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestObjects {
    /// The stream.
    pub stream: StreamKey,
    /// The objects, verbatim: each with at least one key and without a line break.
    pub objects: Vec<String>,
}
