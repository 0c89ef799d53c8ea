//! The store of a configuration. Credentials come from the provider's own variables, from files that systemd hands over,
//! or from the cloud that the machine runs in; they go to the client alone. Where the store is, the configuration says alone:
//! a variable that names another place is refused, since what is there by `uploaded.jsonl` may be deleted here.

use super::http::{Connector, Line, Movement, Ways};
use super::local::{Directory, DirectoryError, Intent};
use super::pace::Pace;
use super::store::Store;
use super::trouble::{LastTrouble, StoreError};
use crate::clock::Clock;
use crate::config::proxy::ProxyConfig;
use crate::config::{Config, Destination, Provider, UploadConfig};
use crate::net::network::Network;
use crate::net::tls::{self, TlsSetupError};
use crate::upbit::url::Url;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, RetryConfig};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio_util::sync::CancellationToken;

/// The files of credentials that systemd may hand over, by the names of the variables they stand for.
const S3: [&str; 3] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];
const GCS: [&str; 1] = ["google_service_account_key"];
const AZURE: [&str; 3] = ["azure_storage_account_name", "azure_storage_account_key", "azure_storage_sas_key"];

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration names none.
    #[error("there is no store: upload.url is empty")]
    None,
    /// The certificates of `upload.tls_ca_file`.
    #[error("upload.tls_ca_file: {0}")]
    Tls(#[from] TlsSetupError),
    /// A credential that systemd hands over.
    #[error("a credential of the store cannot be read: {0}")]
    Credential(String),
    /// The client refuses what it was given.
    #[error("{0}: see the variables of the provider, and [upload]")]
    Client(StoreError),
    /// A variable of the provider names another store than the configuration.
    #[error(
        "{variable} names another place than upload.url and upload.endpoint do, and which files are there is known by those alone: {way_out}"
    )]
    Elsewhere {
        /// The variable.
        variable: &'static str,
        /// What to do.
        way_out: &'static str,
    },
    /// The directory of a `file://` address.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// The way out where a variable names another address.
const AS_ENDPOINT: &str = "set upload.endpoint, and not the variable";

/// Google's own address, which a key would replace by another.
const GOOGLE: &str = "https://storage.googleapis.com";

/// Opens the store of `config`; nothing is asked of it yet, but that a directory is looked at.
///
/// # Errors
/// What is configured, or the credentials, cannot be used.
pub fn open(config: &Config, intent: Intent, clock: Clock, cancel: CancellationToken) -> Result<Store, OpenError> {
    let upload = &config.upload;
    let to = upload.to.as_ref().ok_or(OpenError::None)?;
    if let Some(endpoint) = upload.endpoint.as_ref().filter(|endpoint| !endpoint.tls() && !endpoint.is_loopback()) {
        tracing::warn!(%endpoint, "upload.endpoint is another machine over http://: everybody on the way can read what is sent");
    }
    let line = Line {
        clock,
        trouble: LastTrouble::default(),
        movement: Movement::new(clock),
        pace: Arc::new(Pace::new(upload.bandwidth)),
        is_guarded: Arc::new(AtomicBool::new(to.provider == Provider::S3)),
    };
    let connector = || -> Result<Connector, OpenError> {
        let tls = tls::client_config(config.tls_roots, upload.tls_ca_file.as_deref())?;
        let usual = Network::new(clock, tls.clone(), &config.proxies);
        let direct = Network::new(clock, tls, &ProxyConfig::default());
        Ok(Connector::new(Ways { usual, direct }, line.clone(), upload.endpoint.as_ref()))
    };
    let inner = match to.provider {
        Provider::S3 => s3(upload, to, connector()?)?,
        Provider::Gcs => gcs(upload, to, connector()?)?,
        Provider::Azure => azure(upload, to, connector()?)?,
        Provider::Directory => {
            let path = Path::new(&to.prefix);
            let directory = Directory::open(path, intent, upload.private)?;
            // What is there survives a power cut, as in any other store.
            let inner = LocalFileSystem::new_with_prefix(path).map_err(client)?.with_fsync(true);
            return Ok(Store::new(Arc::new(inner), &line, Some(directory), cancel));
        }
    };
    Ok(Store::new(inner, &line, None, cancel))
}

fn s3(upload: &UploadConfig, to: &Destination, connector: Connector) -> Result<Arc<dyn ObjectStore>, OpenError> {
    let mut builder = AmazonS3Builder::from_env();
    let is_elsewhere = |key| builder.get_config_value(&key).is_some_and(|address| !upload.is_endpoint(&address));
    for (key, variable) in [
        (AmazonS3ConfigKey::Endpoint, "AWS_ENDPOINT_URL (or AWS_ENDPOINT)"),
        (AmazonS3ConfigKey::S3Endpoint, "AWS_ENDPOINT_URL_S3"),
    ] {
        refuse(is_elsewhere(key), variable, AS_ENDPOINT)?;
    }
    // The name of the bucket would be in no address.
    let is_virtual = builder.get_config_value(&AmazonS3ConfigKey::VirtualHostedStyleRequest).is_some_and(is_true);
    let is_in_host = |endpoint: &Url| endpoint.host().starts_with(&format!("{}.", to.bucket));
    let is_nowhere = is_virtual && upload.endpoint.as_ref().is_some_and(|endpoint| !is_in_host(endpoint));
    let in_host = "begin the host of upload.endpoint with the bucket's name, or unset the variable";
    refuse(is_nowhere, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST", in_host)?;
    for (name, secret) in credentials(upload, &S3)? {
        builder = builder.with_config(name.parse().map_err(client)?, secret);
    }
    if let Some(endpoint) = &upload.endpoint {
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/')).with_allow_http(!endpoint.tls());
    }
    if let Some(region) = &upload.region {
        builder = builder.with_region(region);
    }
    let built = builder
        .with_bucket_name(&to.bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_retry(once())
        .with_http_connector(connector)
        .build();
    Ok(Arc::new(built.map_err(client)?))
}

fn gcs(upload: &UploadConfig, to: &Destination, connector: Connector) -> Result<Arc<dyn ObjectStore>, OpenError> {
    let mut builder = GoogleCloudStorageBuilder::from_env();
    let address = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    refuse(address.is_some_and(|address| !upload.is_endpoint(&address)), "GOOGLE_BASE_URL", AS_ENDPOINT)?;
    for (name, secret) in credentials(upload, &GCS)? {
        builder = builder.with_config(name.parse().map_err(client)?, secret);
    }
    let address = upload.endpoint.as_ref().map_or(GOOGLE, |endpoint| endpoint.as_str().trim_end_matches('/'));
    builder = builder.with_base_url(address);
    let built = builder.with_bucket_name(&to.bucket).with_retry(once()).with_http_connector(connector).build();
    Ok(Arc::new(built.map_err(client)?))
}

fn azure(upload: &UploadConfig, to: &Destination, connector: Connector) -> Result<Arc<dyn ObjectStore>, OpenError> {
    let mut builder = MicrosoftAzureBuilder::from_env();
    let address = builder.get_config_value(&AzureConfigKey::Endpoint);
    refuse(address.is_some_and(|address| !upload.is_endpoint(&address)), "AZURE_STORAGE_ENDPOINT", AS_ENDPOINT)?;
    for (key, variable) in [
        (AzureConfigKey::UseEmulator, "AZURE_STORAGE_USE_EMULATOR"),
        (AzureConfigKey::UseFabricEndpoint, "AZURE_USE_FABRIC_ENDPOINT"),
    ] {
        refuse(builder.get_config_value(&key).is_some_and(is_true), variable, AS_ENDPOINT)?;
    }
    for (name, secret) in credentials(upload, &AZURE)? {
        builder = builder.with_config(name.parse().map_err(client)?, secret);
    }
    let account = builder.get_config_value(&AzureConfigKey::AccountName);
    let in_account = "set AZURE_STORAGE_ACCOUNT_NAME, or the credential azure_storage_account_name, alone";
    refuse(account != upload.account, "a variable with the name of the storage account", in_account)?;
    if let Some(endpoint) = &upload.endpoint {
        let address = endpoint.as_str().trim_end_matches('/').to_owned();
        builder = builder.with_endpoint(address).with_allow_http(!endpoint.tls());
    }
    let built = builder.with_container_name(&to.bucket).with_retry(once()).with_http_connector(connector).build();
    Ok(Arc::new(built.map_err(client)?))
}

fn refuse(is_elsewhere: bool, variable: &'static str, way_out: &'static str) -> Result<(), OpenError> {
    if is_elsewhere { Err(OpenError::Elsewhere { variable, way_out }) } else { Ok(()) }
}

/// As the client reads it.
fn is_true(value: String) -> bool {
    ["1", "true", "on", "yes", "y"].contains(&value.to_ascii_lowercase().as_str())
}

/// Each with its name.
fn credentials(
    upload: &UploadConfig,
    names: &'static [&'static str],
) -> Result<Vec<(&'static str, String)>, OpenError> {
    let read = |name: &&'static str| match upload.credential(name) {
        Ok(secret) => secret.map(|secret| Ok((*name, secret.expose().to_owned()))),
        Err(problem) => Some(Err(OpenError::Credential(problem))),
    };
    names.iter().filter_map(read).collect()
}

/// The store above tries again, and tells of it.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn client(error: object_store::Error) -> OpenError {
    let text = match &error {
        object_store::Error::Generic { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    OpenError::Client(StoreError::of_client(&text))
}
