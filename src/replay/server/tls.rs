//! TLS from two PEM files.

use super::ServerError;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The acceptor for a certificate chain and its key, both PEM files.
pub fn tls_acceptor(certificates: &Path, key: &Path) -> Result<TlsAcceptor, ServerError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| ServerError::Pem { path, source }
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificates).and_then(Iterator::collect);
    let chain = chain.map_err(failed(certificates))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(failed(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(ServerError::Tls)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
