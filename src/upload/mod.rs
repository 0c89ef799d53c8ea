//! Sealed files in object storage: nothing there is ever replaced, and a line in the manifest there is the commit point.
//!
//! ```text
//! manifest.jsonl less uploaded.jsonl ──▶ plan ◀── list, manifest parts          what of the directory is not there
//!                                         │
//!          read, checksum ──▶ put if absent ──▶ size by HEAD ──▶ manifest part ──▶ uploaded.jsonl
//!                             └ a kill: the object is compared, and only its line is missing
//! ```
//!
//! | part | owns |
//! |---|---|
//! | [`layout`] | PURE: where things are in the store |
//! | [`plan`] | PURE: what is to be done with each file, by what the store has |
//! | [`backlog`] | what of the directory waits |
//! | [`pass`] | a pass over it |
//! | [`check`] | what is there, held against manifests |
//! | [`claim`] | one uploader per directory, and its name in the store |
//! | [`host`] | the thread of a running recorder |
//! | [`trouble`] | PURE: what goes wrong, in one line each |
//! | [`pace`] | the bandwidth bound |
//! | [`patience`] | how long the store is waited for, and how often the same is asked |
//! | [`http`] | HTTP for the client, over our network |
//! | [`local`] | a store that is a directory: whether it is there |
//! | [`open`] | the store of a configuration, with its credentials |
//! | [`store`] | the store: put that never replaces, sizes, checksums |

pub mod backlog;
pub mod check;
pub mod claim;
pub mod host;
pub mod http;
pub mod layout;
pub mod local;
pub mod open;
pub mod pace;
pub mod pass;
pub mod patience;
pub mod plan;
pub mod store;
pub mod trouble;
