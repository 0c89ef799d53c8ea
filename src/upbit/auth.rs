//! Authentication: the two keys, and the token signed with them for one connect or one request.
//!
//! Source: docs.upbit.com, "Authentication". A token carries the access key, a nonce and, where a request has a query,
//! the lower-case hex SHA-512 of that query as it is before it is encoded; the private stream's token has none. A nonce
//! cannot be used twice, so every attempt has a token of its own. Nothing in here can be printed: the keys and the
//! token have no `Display`, no `Serialize`, and a `Debug` that shows stars.

use crate::printable;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sha2::{Digest, Sha512};
use std::fmt;
use uuid::Uuid;

/// How tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-512, which the exchange recommends.
    #[default]
    Hs512,
    /// HMAC with SHA-256, which it still accepts.
    Hs256,
}

impl JwtAlgorithm {
    /// The name in the token and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hs512 => "HS512",
            Self::Hs256 => "HS256",
        }
    }
}

/// Text that must not be seen: a key or a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`, without the white space around it (key files end with a line break).
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text itself, to send or sign with.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The two keys of an account.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Identifies the account.
    pub access_key: Secret,
    /// Signs; its raw bytes are the key, they are not base64.
    pub secret_key: Secret,
    /// How tokens are signed.
    pub algorithm: JwtAlgorithm,
}

impl Credentials {
    /// The value of the `Authorization` header for one connect; `nonce` must never have been used before.
    ///
    /// # Errors
    /// The signature cannot be made.
    pub fn authorization(&self, nonce: Uuid) -> Result<Secret, SigningError> {
        self.authorization_for(nonce, "")
    }

    /// The value of the `Authorization` header for one request with this query, not encoded, in the order sent; empty:
    /// there is none.
    ///
    /// # Errors
    /// The signature cannot be made.
    pub fn authorization_for(&self, nonce: Uuid, query: &str) -> Result<Secret, SigningError> {
        let query_hash = (!query.is_empty()).then(|| hash_of(query));
        let query_hash_alg = query_hash.is_some().then_some("SHA512");
        let access_key = self.access_key.expose();
        let claims = Claims { access_key, nonce: nonce.to_string(), query_hash, query_hash_alg };
        let algorithm = match self.algorithm {
            JwtAlgorithm::Hs512 => Algorithm::HS512,
            JwtAlgorithm::Hs256 => Algorithm::HS256,
        };
        let key = EncodingKey::from_secret(self.secret_key.expose().as_bytes());
        let token = jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).map_err(|_| SigningError)?;
        Ok(Secret(format!("Bearer {token}")))
    }
}

/// A token could not be signed; the signer's message is left out, because it may hold the key.
#[derive(Debug, thiserror::Error)]
#[error("the token for the exchange cannot be signed with this secret key")]
pub struct SigningError;

#[derive(Serialize)]
struct Claims<'a> {
    access_key: &'a str,
    nonce: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_hash_alg: Option<&'static str>,
}

fn hash_of(query: &str) -> String {
    printable::hex(&Sha512::digest(query.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};
    use std::collections::BTreeMap;

    fn credentials(algorithm: JwtAlgorithm) -> Credentials {
        Credentials {
            access_key: Secret::new("visible-access\n"),
            secret_key: Secret::new("visible-secret"),
            algorithm,
        }
    }

    #[test]
    fn a_token_carries_the_access_key_and_a_nonce_and_nothing_else() {
        for (algorithm, name) in [(JwtAlgorithm::Hs512, Algorithm::HS512), (JwtAlgorithm::Hs256, Algorithm::HS256)] {
            let header = credentials(algorithm).authorization(Uuid::from_u128(7)).unwrap();
            let token = header.expose().strip_prefix("Bearer ").unwrap();
            let mut validation = Validation::new(name);
            validation.required_spec_claims.clear();
            let key = DecodingKey::from_secret(b"visible-secret");
            let claims = jsonwebtoken::decode::<BTreeMap<String, String>>(token, &key, &validation).unwrap().claims;
            let expected = [("access_key", "visible-access".to_owned()), ("nonce", Uuid::from_u128(7).to_string())];
            assert_eq!(claims, expected.map(|(key, value)| (key.to_owned(), value)).into());
        }
    }

    #[test]
    fn keys_and_tokens_print_as_stars() {
        let credentials = credentials(JwtAlgorithm::Hs512);
        let token = credentials.authorization(Uuid::nil()).unwrap();
        let printed = format!("{credentials:?} {credentials:#?} {token:?}");
        assert!(printed.contains("***") && !printed.contains("visible") && !printed.contains("Bearer"), "{printed}");
    }
}
