//! The one TLS configuration: the trusted authorities and the crypto provider.
//!
//! Built once at the start and shared by every TLS client. The provider is explicit: the process-wide default panics at
//! first use unless exactly one is compiled in, which a library cannot ensure.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The TLS configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The file with additional authorities cannot be read as PEM.
    #[error("the certificates in {file} cannot be read: {cause}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error, for people.
        cause: String,
    },
    /// The file holds no certificate.
    #[error("{file} holds no certificate")]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// The cryptography refuses the protocol versions; cannot happen with the provider built in.
    #[error("TLS cannot be set up")]
    Provider(#[from] rustls::Error),
}

/// Trusts the built-in authorities and those in `ca_file` (PEM), if one is named.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(file) = ca_file {
        add_authorities(&mut roots, file)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn add_authorities(roots: &mut RootCertStore, file: &Path) -> Result<(), TlsSetupError> {
    let unreadable =
        |cause: &dyn std::fmt::Display| TlsSetupError::Unreadable { file: file.to_owned(), cause: cause.to_string() };
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.len() == before {
        return Err(TlsSetupError::Empty { file: file.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_authorities_suffice() {
        assert!(client_config(None).is_ok());
    }

    #[test]
    fn a_file_without_certificates_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let error = client_config(Some(&file)).unwrap_err().to_string();
        assert!(error.contains("ca.pem") && error.contains("cannot be read"), "{error}");
        std::fs::write(&file, "no certificate").unwrap();
        let error = client_config(Some(&file)).unwrap_err().to_string();
        assert!(error.ends_with("ca.pem holds no certificate"), "{error}");
    }
}
