//! Reads `[upload]`: where sealed files go, and what of the ways there is configured. Credentials are no part of it: the
//! provider's own variables hold them, or files of systemd's `$CREDENTIALS_DIRECTORY`.

use super::files::{self, Guard};
use super::layers::Sources;
use super::reader::Reader;
use crate::upbit::auth::Secret;
use crate::upbit::url::Url;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;

/// The longest name of a host in a path, as DNS has it.
const LONGEST_HOST: usize = 253;

/// Where sealed files go.
#[derive(Clone, Debug)]
pub struct UploadConfig {
    /// Whether `record` uploads by itself.
    pub enabled: bool,
    /// The store; `None`: there is none.
    pub to: Option<Destination>,
    /// The store's address where it is not the provider's own.
    pub endpoint: Option<Url>,
    /// The storage account at Azure, of which each has containers of its own; `None`: it is not named.
    pub account: Option<String>,
    /// The region, for stores that have some; `None`: as the environment says, else the provider's default.
    pub region: Option<String>,
    /// This recorder's name in the store; `None`: that of the host.
    pub host: Option<HostName>,
    /// Whether what the account received goes there, too.
    pub private: bool,
    /// The most that is sent in a second, bytes.
    pub bandwidth: u64,
    /// PEM certificates trusted in addition to the built-in roots.
    pub tls_ca_file: Option<PathBuf>,
    /// Where systemd puts credentials.
    pub credentials: Option<PathBuf>,
}

/// Whose store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3, and what speaks its language.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// A directory, such as a mounted one.
    Directory,
}

/// A place in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Whose.
    pub provider: Provider,
    /// The bucket or container; empty for a directory.
    pub bucket: String,
    /// What all names there begin with, without slashes around it; of a directory its path.
    pub prefix: String,
}

/// A host as a part of a path: letters, digits, `.`, `-` and `_`, up to 253 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        match text.bytes().all(is_fit) && (1..=LONGEST_HOST).contains(&text.len()) && !text.starts_with('.') {
            true => Ok(Self(text.to_owned())),
            false => Err("a host is 1 to 253 of the characters A-Z a-z 0-9 . - _ and begins with no dot"),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, bucket, prefix } = self;
        match provider {
            Provider::Directory => write!(f, "file://{prefix}"),
            other => {
                let scheme = SCHEMES.iter().find(|(_, known)| known == other).map_or("", |(scheme, _)| scheme);
                write!(f, "{scheme}{bucket}{}{prefix}", if prefix.is_empty() { "" } else { "/" })
            }
        }
    }
}

const SCHEMES: [(&str, Provider); 3] = [("s3://", Provider::S3), ("gs://", Provider::Gcs), ("az://", Provider::Azure)];

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("file://") {
            let path = path.trim_end_matches('/');
            let is_whole =
                path.starts_with('/') && path.split('/').skip(1).all(|part| !["", ".", ".."].contains(&part));
            let prefix = path.to_owned();
            let of_directory = Self { provider: Provider::Directory, bucket: String::new(), prefix };
            return is_whole
                .then_some(of_directory)
                .ok_or_else(|| format!("`{text}` names no directory: write its whole path, as in file:///mnt/tape"));
        }
        let found = SCHEMES.iter().find_map(|(scheme, provider)| Some((provider, text.strip_prefix(scheme)?)));
        let Some((provider, rest)) = found else {
            let shown = if text.contains('@') { "a text with an @".to_owned() } else { format!("`{text}`") };
            return Err(format!(
                "{shown} is no store: write s3://bucket/prefix, gs://…, az://container/… or file:///path"
            ));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b".-_=".contains(&byte);
        let is_part = |part: &str| !["", ".", ".."].contains(&part) && part.bytes().all(is_fit);
        if !is_part(bucket) || !(prefix.is_empty() || prefix.split('/').all(is_part)) {
            // What stands there may be a key in the place of a name.
            return Err(
                "bucket and prefix have the characters A-Z a-z 0-9 . - _ = alone, and no part of them is empty"
                    .to_owned(),
            );
        }
        Ok(Self { provider: *provider, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl UploadConfig {
    /// The store as `uploaded.jsonl` names it: two endpoints may have buckets of one name, and two accounts containers.
    pub fn identity(&self) -> Option<String> {
        let to = self.to.as_ref()?;
        let endpoint = self.endpoint.as_ref().map(|endpoint| format!("endpoint={endpoint}"));
        // Where it is not named, nothing is there, and nothing known to be.
        let account = || format!("account={}", self.account.as_deref().unwrap_or_default());
        let account = (to.provider == Provider::Azure).then(account);
        let told: Vec<String> = endpoint.into_iter().chain(account).collect();
        Some(if told.is_empty() { to.to_string() } else { format!("{to}?{}", told.join("&")) })
    }

    /// Whether an address is that of `upload.endpoint`.
    pub fn is_endpoint(&self, address: &str) -> bool {
        let plain = |address: &str| address.trim_end_matches('/').to_owned();
        self.endpoint.as_ref().is_some_and(|endpoint| plain(endpoint.as_str()) == plain(address))
    }

    /// A credential that systemd hands over in a file; `None`: there is none of this name.
    ///
    /// # Errors
    /// It cannot be used, as a sentence without its content.
    pub fn credential(&self, name: &str) -> Result<Option<Secret>, String> {
        let Some(directory) = &self.credentials else { return Ok(None) };
        let path = directory.join(name);
        // systemd protects this directory by other means than a file's mode.
        let text = files::read(&path, files::MOST_SECRET, Guard::Owner);
        match text.map_err(|problem| format!("{}: {problem}", path.display()))? {
            Some(text) if text.trim().is_empty() => Err(format!("{} is empty", path.display())),
            text => Ok(text.map(|text| Secret::new(&text))),
        }
    }
}

/// Reads the section.
pub(super) fn read(reader: &mut Reader<'_>, sources: &Sources) -> UploadConfig {
    let mut upload = UploadConfig {
        account: None,
        enabled: reader.flag("upload.enabled"),
        to: reader.optional("upload.url", str::parse::<Destination>),
        endpoint: reader.optional("upload.endpoint", Url::http),
        region: reader.optional("upload.region", |text| {
            let is_fit = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            is_fit.then(|| text.to_owned()).ok_or("a region has the characters A-Z a-z 0-9 - _ alone")
        }),
        host: reader.optional("upload.host", str::parse::<HostName>),
        private: reader.flag("upload.private"),
        bandwidth: reader.size("upload.bandwidth", 16 * KIB..=10 * GIB),
        tls_ca_file: reader.optional("upload.tls_ca_file", |text| {
            let path = PathBuf::from(text);
            files::check_certificates(&path).map(|()| path).map_err(|problem| format!("`{text}`: {problem}"))
        }),
        credentials: sources.variable("CREDENTIALS_DIRECTORY").map(PathBuf::from),
    };
    // What cannot be read is told by whoever opens the store.
    let handed = upload.credential("azure_storage_account_name").ok().flatten();
    let handed = handed.map(|account| account.expose().to_owned());
    upload.account = handed.or_else(|| sources.variable("AZURE_STORAGE_ACCOUNT_NAME").map(str::to_owned));
    upload
}

/// Values that are each valid and contradict each other.
pub(super) fn refuse_contradictions(reader: &mut Reader<'_>, upload: &UploadConfig, data_dir: &Path) {
    match &upload.to {
        None if upload.enabled => {
            reader.refuse_together(["upload.enabled", "upload.url"], "there is no upload.url to upload to");
        }
        Some(Destination { provider: Provider::Directory, prefix, .. }) if Path::new(prefix).starts_with(data_dir) => {
            reader.refuse("upload.url", "it is below data_dir: nothing is safer there");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_and_shown_alike() {
        for (text, bucket, prefix) in [
            ("s3://tape", "tape", ""),
            ("s3://tape/a/b=c", "tape", "a/b=c"),
            ("gs://tape/x", "tape", "x"),
            ("az://container/x", "container", "x"),
            ("file:///mnt/tape x", "", "/mnt/tape x"),
        ] {
            let read: Destination = text.parse().unwrap();
            assert_eq!((&*read.bucket, &*read.prefix, read.to_string()), (bucket, prefix, text.to_owned()));
            assert_eq!(format!("{text}/").parse(), Ok(read));
        }
    }

    #[test]
    fn anything_else_is_refused_without_what_may_be_a_key() {
        for (wrong, told) in [
            ("tape", "no store"),
            ("http://tape", "no store"),
            ("s3://", "bucket and prefix"),
            ("s3://a/b//c", "bucket and prefix"),
            ("s3://a/../b", "bucket and prefix"),
            ("s3://a/b?x=y", "bucket and prefix"),
            ("file://tape", "whole path"),
            ("file:///a/../b", "whole path"),
        ] {
            let problem = wrong.parse::<Destination>().unwrap_err();
            assert!(problem.contains(told), "{wrong}: {problem}");
        }
        for hidden in ["s3://AKIA:hunter2@tape/x", "https://AKIA:hunter2@tape/x"] {
            assert!(!hidden.parse::<Destination>().unwrap_err().contains("hunter2"), "{hidden}");
        }
        for host in ["", ".x", "a/b", "a b", "ü"] {
            assert!(host.parse::<HostName>().is_err(), "{host}");
        }
        assert_eq!("tape-1.example".parse::<HostName>().unwrap().as_str(), "tape-1.example");
    }

    #[test]
    fn a_store_is_known_by_all_that_says_where_it_is() {
        let identity = |assignments: &[&str], account: &str| {
            let assignments = assignments.iter().map(|&text| text.to_owned()).collect();
            let environment = vec![("AZURE_STORAGE_ACCOUNT_NAME".to_owned(), account.to_owned())];
            let sources = crate::config::Sources { assignments, environment, ..Default::default() };
            crate::config::load(&sources).unwrap().config.upload.identity().unwrap()
        };
        let endpoint = "upload.endpoint=https://store.example:9000";
        assert_eq!(identity(&["upload.url=s3://tape/x"], "one"), "s3://tape/x");
        assert_eq!(identity(&["upload.url=s3://tape", endpoint], ""), "s3://tape?endpoint=https://store.example:9000/");
        assert_eq!(identity(&["upload.url=az://tape"], "one"), "az://tape?account=one");
        assert_eq!(identity(&["upload.url=az://tape"], ""), "az://tape?account=");
        let both = identity(&["upload.url=az://tape", endpoint], "one");
        assert_eq!(both, "az://tape?endpoint=https://store.example:9000/&account=one");
    }

    #[test]
    fn credentials_are_files_that_systemd_hands_over() {
        let directory = tempfile::tempdir().unwrap();
        let sources = crate::config::Sources {
            environment: vec![("CREDENTIALS_DIRECTORY".to_owned(), directory.path().to_str().unwrap().to_owned())],
            ..Default::default()
        };
        let upload = crate::config::load(&sources).unwrap().config.upload;
        assert!(upload.credential("aws_access_key_id").unwrap().is_none());
        std::fs::write(directory.path().join("aws_access_key_id"), "AKIA\n").unwrap();
        assert_eq!(upload.credential("aws_access_key_id").unwrap().unwrap().expose(), "AKIA");
        std::fs::write(directory.path().join("aws_access_key_id"), " \n").unwrap();
        assert!(upload.credential("aws_access_key_id").unwrap_err().ends_with("is empty"));
    }
}
