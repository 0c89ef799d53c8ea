//! The store of a configuration. Credentials come from the provider's own variables, from files that systemd hands over,
//! or from the cloud that the machine runs in; they go to the client alone.

use super::http::{Connector, Line, Movement, Ways};
use super::pace::Pace;
use super::store::Store;
use super::trouble::{LastTrouble, StoreError};
use crate::clock::Clock;
use crate::config::proxy::ProxyConfig;
use crate::config::{Config, Destination, Provider, UploadConfig};
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::net::network::Network;
use crate::net::tls::{self, TlsSetupError};
use object_store::aws::{AmazonS3Builder, Checksum, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
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
    /// The directory of a `file://` address.
    #[error(transparent)]
    Directory(#[from] IoError),
}

/// Opens the store of `config`; nothing is asked of it yet.
///
/// # Errors
/// What is configured, or the credentials, cannot be used.
pub fn open(config: &Config, clock: Clock, cancel: CancellationToken) -> Result<Store, OpenError> {
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
            let disk = Disk::open(path).map_err(IoError::at("open the directory of upload.url", path))?;
            // What is there survives a power cut, as in any other store.
            let inner = LocalFileSystem::new_with_prefix(path).map_err(client)?.with_fsync(true);
            return Ok(Store::new(Arc::new(inner), &line, Some(disk), cancel));
        }
    };
    Ok(Store::new(inner, &line, None, cancel))
}

fn s3(upload: &UploadConfig, to: &Destination, connector: Connector) -> Result<Arc<dyn ObjectStore>, OpenError> {
    let mut builder = AmazonS3Builder::from_env();
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
    for (name, secret) in credentials(upload, &GCS)? {
        builder = builder.with_config(name.parse().map_err(client)?, secret);
    }
    if let Some(endpoint) = &upload.endpoint {
        builder = builder.with_base_url(endpoint.as_str().trim_end_matches('/'));
    }
    let built = builder.with_bucket_name(&to.bucket).with_retry(once()).with_http_connector(connector).build();
    Ok(Arc::new(built.map_err(client)?))
}

fn azure(upload: &UploadConfig, to: &Destination, connector: Connector) -> Result<Arc<dyn ObjectStore>, OpenError> {
    let mut builder = MicrosoftAzureBuilder::from_env();
    for (name, secret) in credentials(upload, &AZURE)? {
        builder = builder.with_config(name.parse().map_err(client)?, secret);
    }
    if let Some(endpoint) = &upload.endpoint {
        let address = endpoint.as_str().trim_end_matches('/').to_owned();
        builder = builder.with_endpoint(address).with_allow_http(!endpoint.tls());
    }
    let built = builder.with_container_name(&to.bucket).with_retry(once()).with_http_connector(connector).build();
    Ok(Arc::new(built.map_err(client)?))
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
