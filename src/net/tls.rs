//! The one TLS configuration: the trusted authorities and the crypto provider.
//!
//! Built once at the start and shared by every TLS client. The provider is explicit: the process-wide default panics at
//! first use unless exactly one is compiled in, which a library cannot ensure.

use crate::config::TlsRoots;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::CertificateResult;
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
    /// The machine has no authorities where they are looked for.
    #[error(
        "tls_roots = \"system\", and this machine has no certificates of authorities ({cause}): install them (the package \
         ca-certificates), name them in SSL_CERT_FILE, or write tls_roots = \"bundled\""
    )]
    NoSystemRoots {
        /// What was found instead, for people.
        cause: String,
    },
    /// The cryptography refuses the protocol versions; cannot happen with the provider built in.
    #[error("TLS cannot be set up")]
    Provider(#[from] rustls::Error),
}

/// Trusts the authorities of `roots` and those in `ca_file` (PEM), if one is named.
///
/// # Errors
/// The file cannot be read, or holds no certificate, or the machine has none.
pub fn client_config(roots: TlsRoots, ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut roots = authorities(roots)?;
    if let Some(file) = ca_file {
        add_authorities(&mut roots, file)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// The authorities that are built in, or those of this machine.
///
/// # Errors
/// The machine has none.
pub fn authorities(roots: TlsRoots) -> Result<RootCertStore, TlsSetupError> {
    match roots {
        TlsRoots::Bundled => Ok(RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())),
        TlsRoots::System => of_system(rustls_native_certs::load_native_certs()),
    }
}

/// One certificate that cannot be used must not cost the others: a machine has more than a hundred.
fn of_system(found: CertificateResult) -> Result<RootCertStore, TlsSetupError> {
    let mut store = RootCertStore::empty();
    let (_, unusable) = store.add_parsable_certificates(found.certs);
    let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    if store.is_empty() {
        let cause = errors.into_iter().next().unwrap_or_else(|| "none was found".to_owned());
        return Err(TlsSetupError::NoSystemRoots { cause });
    }
    if unusable > 0 || !errors.is_empty() {
        tracing::warn!(usable = store.len(), unusable, ?errors, "some certificates of this machine cannot be used");
    }
    Ok(store)
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
        assert!(client_config(TlsRoots::Bundled, None).is_ok());
        assert!(authorities(TlsRoots::Bundled).unwrap().len() > 100);
    }

    #[test]
    fn a_machine_without_authorities_is_an_error_with_a_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let (none, authority) = (directory.path().join("none.pem"), directory.path().join("ca.pem"));
        let load = |path: &Path| of_system(rustls_native_certs::load_certs_from_paths(Some(path), None));
        let error = load(&none).unwrap_err().to_string();
        assert!(error.contains("none.pem") && error.contains("ca-certificates"), "{error}");
        let error = of_system(CertificateResult::default()).unwrap_err().to_string();
        assert!(error.contains("none was found") && error.contains("tls_roots = \"bundled\""), "{error}");
        let certified = rcgen::generate_simple_self_signed(vec!["exchange.test".to_owned()]).unwrap();
        std::fs::write(&authority, certified.cert.pem()).unwrap();
        assert_eq!(load(&authority).unwrap().len(), 1);
        let mut found = rustls_native_certs::load_certs_from_paths(Some(&authority), None);
        found.certs.push(CertificateDer::from(vec![1, 2, 3]));
        assert_eq!(of_system(found).unwrap().len(), 1, "one that is none costs no other");
    }

    #[test]
    fn a_file_without_certificates_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let error = client_config(TlsRoots::Bundled, Some(&file)).unwrap_err().to_string();
        assert!(error.contains("ca.pem") && error.contains("cannot be read"), "{error}");
        std::fs::write(&file, "no certificate").unwrap();
        let error = client_config(TlsRoots::Bundled, Some(&file)).unwrap_err().to_string();
        assert!(error.ends_with("ca.pem holds no certificate"), "{error}");
    }
}
