//! The store, as far as uploading needs it: lists, sizes, checksums, and a put that never replaces anything.

use super::http::Line;
use super::layout::{part_name, part_number};
use super::local::{Directory, DirectoryError};
use super::patience::Patience;
use super::plan::RemoteDay;
use super::trouble::{LastTrouble, StoreError};
use crate::printable::hex;
use crate::tape::manifest::ManifestEntry;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetResult, MultipartUpload, ObjectStore, PutMode, PutMultipartOptions,
    PutOptions, PutPayload,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Files up to here go in one request, and are in memory once; the issue of a second request costs more than they do.
pub const ONE_PUT: u64 = 16 << 20;

/// Bytes of a part of a larger one: above the 5 MiB that S3 demands, and little enough to be in memory.
const PART: u64 = 8 << 20;

/// Parts of an object: S3 has 10,000 at the most.
const MOST_PARTS: u64 = 9_000;

/// Bytes of a part: S3 has no longer ones.
const MOST_PART: u64 = 5 << 30;

/// Objects of a directory: 100,000 streams, the configurable maximum, with ten files each. More are somebody else's.
const MOST_OBJECTS: usize = 1_000_000;

/// Bytes of a part of a manifest that are read: those of as many lines as one is made of take a hundredth.
pub const MOST_PART_OF_MANIFEST: usize = 64 << 20;

/// The metadata that an object bears its checksum in.
const SHA256: &str = "sha256";

/// See the module.
#[derive(Debug)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    patience: Patience,
    trouble: LastTrouble,
    /// What is set to complete a large object only where nothing has its name.
    is_guarded: Arc<AtomicBool>,
    /// Whether the store knows a put on condition that nothing has the name.
    is_conditional: AtomicBool,
    has_attributes: bool,
    /// The directory that it is, where it is one.
    directory: Option<Directory>,
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there.
    New,
    /// Something had the name.
    Taken,
    /// The file cannot be read, or is not what its manifest says; nothing was put.
    Damaged,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its length, as the store says.
    pub bytes: u64,
    /// The checksum that it bears; `None`: none, as in a directory.
    pub sha256: Option<String>,
}

impl Store {
    /// Over a client whose connections share `line`. Objects bear metadata, unless it is a `directory`.
    pub fn new(
        inner: Arc<dyn ObjectStore>,
        line: &Line,
        directory: Option<Directory>,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            inner,
            patience: Patience::new(line, cancel),
            trouble: line.trouble.clone(),
            is_guarded: line.is_guarded.clone(),
            is_conditional: AtomicBool::new(true),
            has_attributes: directory.is_none(),
            directory,
        }
    }

    /// What a directory has: its objects, and what its manifest says.
    ///
    /// # Errors
    /// It cannot be listed, or a part of the manifest cannot be read.
    pub async fn day(&self, directory: &Path) -> Result<RemoteDay, StoreError> {
        let mut day = self.patience.again(async || self.list(directory).await).await?;
        let parts: BTreeSet<u32> = day.objects.keys().filter_map(|name| part_number(name)).collect();
        for number in parts {
            let path = directory.clone().join(part_name(number));
            let content = self.patience.again(async || self.read(&path, MOST_PART_OF_MANIFEST).await).await?;
            day.add_part(&content.unwrap_or_default());
        }
        Ok(day)
    }

    /// Removes what a kill has left half done in a directory of ours. Other stores show nothing of it.
    ///
    /// # Errors
    /// The store is not there, the directory cannot be listed, or something cannot be removed.
    pub fn sweep(&self, directory: &Path) -> Result<(), DirectoryError> {
        let Some(local) = &self.directory else { return Ok(()) };
        local.check()?;
        local.sweep(std::path::Path::new(directory.as_ref()))
    }

    /// The names of the directories below one.
    ///
    /// # Errors
    /// It cannot be listed.
    pub async fn directories(&self, directory: &Path) -> Result<BTreeSet<String>, StoreError> {
        let list = async || self.step(self.inner.list_with_delimiter(Some(directory))).await;
        let listed = self.patience.again(list).await?;
        let names = listed.common_prefixes.iter().filter_map(|path| path.filename());
        Ok(names.map(str::to_owned).collect())
    }

    /// An object; `None`: there is none.
    ///
    /// # Errors
    /// The store does not say.
    pub async fn describe(&self, path: &Path) -> Result<Option<Described>, StoreError> {
        self.patience.again(async || self.describe_once(path).await).await
    }

    /// The checksum of an object's content; `None`: there is none. It is read where it does not bear it.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn checksum(&self, path: &Path, is_believed: bool) -> Result<Option<String>, StoreError> {
        let Some(described) = self.describe(path).await? else { return Ok(None) };
        match described.sha256.filter(|_| is_believed) {
            Some(sha256) => Ok(Some(sha256)),
            None => self.patience.again(async || self.digest(path).await).await,
        }
    }

    /// Brings a sealed file there; `open` opens it, for each attempt anew.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn put_file<R: Read>(
        &self,
        path: &Path,
        entry: &ManifestEntry,
        open: impl Fn() -> std::io::Result<R>,
    ) -> Result<Put, StoreError> {
        self.patience
            .again(async || {
                let Ok(file) = open() else { return Ok(Put::Damaged) };
                match entry.zst_bytes <= ONE_PUT {
                    true => self.put_whole(path, entry, file).await,
                    false => self.put_in_parts(path, entry, file).await,
                }
            })
            .await
    }

    /// Brings text there.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn put_text(&self, path: &Path, text: &str) -> Result<Put, StoreError> {
        let sha256 = hex(&Sha256::digest(text.as_bytes()));
        self.patience
            .again(async || self.put(path, text.as_bytes().to_vec(), "application/x-ndjson", &sha256).await)
            .await
    }

    async fn list(&self, directory: &Path) -> Result<RemoteDay, StoreError> {
        let (mut day, mut count, allowance) = (RemoteDay::default(), 0, self.patience.for_list());
        let mut listed = self.inner.list(Some(directory));
        while let Some(object) = self.step(listed.try_next()).await? {
            allowance.check()?;
            let mut parts = object.location.prefix_match(directory).into_iter().flatten();
            if let (Some(name), None) = (parts.next(), parts.next())
                && day.objects.insert(name.as_ref().to_owned(), object.size).is_some()
            {
                // As of a list that begins anew with each answer.
                return Err(StoreError::Other(format!("it lists the same twice in {directory}")));
            }
            count += 1;
            if count > MOST_OBJECTS {
                return Err(StoreError::Other(format!("{directory} has more than {MOST_OBJECTS} objects")));
            }
        }
        Ok(day)
    }

    async fn read(&self, path: &Path, most: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(found) = self.get(path, false).await? else { return Ok(None) };
        let (mut content, mut stream) = (Vec::new(), found.into_stream());
        while let Some(chunk) = self.step(stream.try_next()).await? {
            content.extend_from_slice(&chunk);
            if content.len() > most {
                return Err(StoreError::Other(format!("{path} has more than {most} bytes")));
            }
        }
        Ok(Some(content))
    }

    async fn digest(&self, path: &Path) -> Result<Option<String>, StoreError> {
        let Some(found) = self.get(path, false).await? else { return Ok(None) };
        let (bytes, allowance) = (found.meta.size, self.patience.for_object(found.meta.size));
        let (mut digest, mut read, mut stream) = (Sha256::new(), 0, found.into_stream());
        while let Some(chunk) = self.step(stream.try_next()).await? {
            allowance.check()?;
            read += chunk.len() as u64;
            if read > bytes {
                return Err(StoreError::Other(format!("{path} goes on behind its {bytes} bytes")));
            }
            digest.update(&chunk);
        }
        Ok(Some(hex(&digest.finalize())))
    }

    async fn describe_once(&self, path: &Path) -> Result<Option<Described>, StoreError> {
        let Some(found) = self.get(path, true).await? else { return Ok(None) };
        let sha256 = found.attributes.get(&Attribute::Metadata(SHA256.into())).map(|value| value.to_string());
        Ok(Some(Described { bytes: found.meta.size, sha256 }))
    }

    /// An object, or its head alone; `None`: there is none.
    async fn get(&self, path: &Path, head: bool) -> Result<Option<GetResult>, StoreError> {
        let options = GetOptions { head, ..GetOptions::default() };
        match self.patience.await_step(self.inner.get_opts(path, options)).await? {
            Err(Error::NotFound { .. }) => Ok(None),
            found => found.map(Some).map_err(|error| self.told(&error)),
        }
    }

    async fn put_whole(&self, path: &Path, entry: &ManifestEntry, file: impl Read) -> Result<Put, StoreError> {
        let mut content = Vec::with_capacity(usize::try_from(entry.zst_bytes).unwrap_or_default());
        if is_unreadable(file.take(entry.zst_bytes + 1).read_to_end(&mut content), entry) {
            return Ok(Put::Damaged);
        }
        if content.len() as u64 != entry.zst_bytes || hex(&Sha256::digest(&content)) != entry.sha256 {
            return Ok(Put::Damaged);
        }
        self.put(path, content, "application/zstd", &entry.sha256).await
    }

    async fn put(&self, path: &Path, content: Vec<u8>, kind: &'static str, sha256: &str) -> Result<Put, StoreError> {
        let is_conditional = self.is_conditional.load(Ordering::Relaxed);
        if !is_conditional && self.describe_once(path).await?.is_some() {
            return Ok(Put::Taken);
        }
        let mode = if is_conditional { PutMode::Create } else { PutMode::Overwrite };
        let options = PutOptions { mode, attributes: self.attributes(kind, sha256), ..PutOptions::default() };
        let payload = PutPayload::from(content);
        match self.patience.await_put(self.inner.put_opts(path, payload.clone(), options.clone())).await? {
            Err(error) if is_conditional && self.does_not_know(&error) => {
                self.is_conditional.store(false, Ordering::Relaxed);
                if self.describe_once(path).await?.is_some() {
                    return Ok(Put::Taken);
                }
                let options = PutOptions { mode: PutMode::Overwrite, ..options };
                let put = self.patience.await_put(self.inner.put_opts(path, payload, options)).await?;
                put.map(|_| Put::New).map_err(|error| self.told(&error))
            }
            done => self.outcome(done),
        }
    }

    async fn put_in_parts(&self, path: &Path, entry: &ManifestEntry, file: impl Read) -> Result<Put, StoreError> {
        let attributes = self.attributes("application/zstd", &entry.sha256);
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let mut upload = self.step(self.inner.put_multipart_opts(path, options)).await?;
        let put = self.put_parts(&mut *upload, path, entry, file).await;
        if !matches!(put, Ok(Put::New)) {
            // What was sent costs room where it stays. The first error is told; a store also forgets it by its own rules.
            self.patience.await_briefly(Duration::from_secs(2), upload.abort()).await;
        }
        put
    }

    async fn put_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        path: &Path,
        entry: &ManifestEntry,
        mut file: impl Read,
    ) -> Result<Put, StoreError> {
        let length = part_bytes(entry.zst_bytes);
        let (mut digest, mut sent) = (Sha256::new(), 0);
        while sent < entry.zst_bytes {
            // No room is made for what a damaged manifest promises.
            let mut part = Vec::with_capacity(usize::try_from(length.min(PART)).unwrap_or_default());
            let read = (&mut file).take(length.min(entry.zst_bytes - sent)).read_to_end(&mut part);
            if is_unreadable(read, entry) || part.is_empty() {
                return Ok(Put::Damaged);
            }
            digest.update(&part);
            sent += part.len() as u64;
            let put = self.patience.await_put(upload.put_part(PutPayload::from(part))).await?;
            put.map_err(|error| self.told(&error))?;
        }
        if hex(&digest.finalize()) != entry.sha256 {
            return Ok(Put::Damaged);
        }
        if self.describe_once(path).await?.is_some() {
            return Ok(Put::Taken);
        }
        match self.patience.await_step(upload.complete()).await? {
            Err(error) if self.is_guarded.load(Ordering::Relaxed) && self.does_not_know(&error) => {
                self.is_guarded.store(false, Ordering::Relaxed);
                self.step(upload.complete()).await.map(|_| Put::New)
            }
            done => self.outcome(done),
        }
    }

    /// What a put on condition that nothing has the name came to.
    fn outcome<T>(&self, done: object_store::Result<T>) -> Result<Put, StoreError> {
        match done {
            Ok(_) => Ok(Put::New),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Put::Taken),
            Err(error) => Err(self.told(&error)),
        }
    }

    /// Whether an error is that of a store to which the condition is unknown; it is told once.
    fn does_not_know(&self, error: &Error) -> bool {
        let is_unknown = matches!(error, Error::NotImplemented { .. } | Error::NotSupported { .. })
            || matches!(self.trouble.read(), Some(StoreError::Down(text)) if text.starts_with("501"));
        if is_unknown {
            tracing::warn!("the store does not know If-None-Match: each name is looked up right before it is used");
        }
        is_unknown
    }

    fn attributes(&self, kind: &'static str, sha256: &str) -> Attributes {
        let mut attributes = Attributes::new();
        if self.has_attributes {
            attributes.insert(Attribute::ContentType, kind.into());
            attributes.insert(Attribute::Metadata(SHA256.into()), sha256.to_owned().into());
        }
        attributes
    }

    /// Awaits a step of the client, and says what went wrong in it.
    async fn step<T>(&self, step: impl Future<Output = object_store::Result<T>>) -> Result<T, StoreError> {
        self.patience.await_step(step).await?.map_err(|error| self.told(&error))
    }

    /// What an error of the client comes to.
    fn told(&self, error: &Error) -> StoreError {
        let of_system = || StoreError::of_system(error);
        self.trouble.read().or_else(of_system).unwrap_or_else(|| StoreError::of_client(&error.to_string()))
    }
}

/// The length of parts of a file.
fn part_bytes(length: u64) -> u64 {
    length.div_ceil(MOST_PARTS).clamp(PART, MOST_PART)
}

/// Whether a file here cannot be read to its end, which is told.
fn is_unreadable(read: std::io::Result<usize>, entry: &ManifestEntry) -> bool {
    read.inspect_err(|error| tracing::debug!(file = entry.name, %error, "cannot be read")).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_has_more_parts_than_a_store_takes() {
        assert_eq!(part_bytes(ONE_PUT + 1), PART);
        for length in [ONE_PUT + 1, 70 << 30, 5 << 40] {
            assert!(length.div_ceil(part_bytes(length)) <= MOST_PARTS, "{length}");
        }
        assert_eq!(part_bytes(u64::MAX), MOST_PART, "no room is made for what a damaged manifest says");
    }
}
