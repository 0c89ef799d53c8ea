//! The two feeds of the exchange, and a value for each of them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Index, IndexMut};

/// One of the exchange's two WebSocket endpoints; each has a connection and a tree of files of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feed {
    /// Market data, no credentials. Files have the mode that the umask leaves.
    Public,
    /// The account's own events. Directory 0700, files 0600.
    Private,
}

impl Feed {
    /// Both feeds.
    pub const ALL: [Self; 2] = [Self::Public, Self::Private];

    /// As in configuration keys and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value for each feed, indexed by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerFeed<T> {
    /// The value for [`Feed::Public`].
    pub public: T,
    /// The value for [`Feed::Private`].
    pub private: T,
}

impl<T> PerFeed<T> {
    /// Makes a value for each feed.
    pub fn from_fn(mut make: impl FnMut(Feed) -> T) -> Self {
        Self { public: make(Feed::Public), private: make(Feed::Private) }
    }

    /// The values, in the order of [`Feed::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        [&self.public, &self.private].into_iter()
    }

    /// As [`PerFeed::iter`], to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.public, &mut self.private].into_iter()
    }

    /// A value made of each.
    pub fn map<U>(self, mut make: impl FnMut(T) -> U) -> PerFeed<U> {
        PerFeed { public: make(self.public), private: make(self.private) }
    }
}

impl<T> Index<Feed> for PerFeed<T> {
    type Output = T;

    fn index(&self, feed: Feed) -> &T {
        match feed {
            Feed::Public => &self.public,
            Feed::Private => &self.private,
        }
    }
}

impl<T> IndexMut<Feed> for PerFeed<T> {
    fn index_mut(&mut self, feed: Feed) -> &mut T {
        match feed {
            Feed::Public => &mut self.public,
            Feed::Private => &mut self.private,
        }
    }
}
