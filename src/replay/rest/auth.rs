//! Whether a request is signed with the account's keys.
//!
//! ```text
//!  Authorization: Bearer <JWT>     HS512 or HS256 over {access_key, nonce, query_hash?, query_hash_alg?}
//! ```
//!
//! Source: docs.upbit.com, "Authentication". The key is the secret's raw bytes; `query_hash` is the lower-case hex SHA-512
//! of the query as it was before URL encoding; a nonce is good for one request.

use super::answer::Answer;
use crate::clock::Stamp;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Nonces remembered: a day of a connect every second would be no more.
const MAX_NONCES: usize = 100_000;

/// How long the keys are good for.
const LEFT: Duration = Duration::from_secs(300 * 86_400);

/// The account's keys.
#[derive(Clone)]
pub struct Keys {
    /// The public part.
    pub access: String,
    /// The secret part.
    pub secret: String,
}

/// Neither key is shown.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// Why authentication fails; the names are the exchange's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthError {
    /// No token, or an invalid JWT.
    JwtVerification,
    /// The access key is not the account's.
    InvalidAccessKey,
    /// The nonce was used before.
    NonceUsed,
    /// The hash is not that of the query.
    InvalidQueryPayload,
}

impl AuthError {
    /// The name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::JwtVerification => "jwt_verification",
            Self::InvalidAccessKey => "invalid_access_key",
            Self::NonceUsed => "nonce_used",
            Self::InvalidQueryPayload => "invalid_query_payload",
        }
    }

    /// The answer of the REST API, and of a refused upgrade.
    pub(crate) fn answer(self) -> Answer {
        Answer::error(401, self.name(), "인증에 실패했습니다.")
    }
}

/// The claims of a token.
#[derive(Deserialize)]
struct Claims {
    access_key: String,
    nonce: String,
    query_hash: Option<String>,
    query_hash_alg: Option<String>,
}

/// The account's keys, and the nonces that were used.
pub(crate) struct Auth {
    keys: Option<Keys>,
    nonces: VecDeque<String>,
}

impl Auth {
    /// Without keys every signed request is refused.
    pub(crate) fn new(keys: Option<Keys>) -> Self {
        Self { keys, nonces: VecDeque::new() }
    }

    /// Verifies the `Authorization` header of a request with this query, URL-decoded and in the order sent.
    pub(crate) fn check(&mut self, authorization: Option<&str>, query: &str) -> Result<(), AuthError> {
        let claims = self.claims(authorization).ok_or(AuthError::JwtVerification)?;
        if self.keys.as_ref().is_none_or(|keys| keys.access != claims.access_key) {
            return Err(AuthError::InvalidAccessKey);
        }
        if claims.nonce.is_empty() || self.nonces.contains(&claims.nonce) {
            return Err(AuthError::NonceUsed);
        }
        if self.nonces.len() == MAX_NONCES {
            self.nonces.pop_front();
        }
        self.nonces.push_back(claims.nonce);
        let is_sha512 = claims.query_hash_alg.is_none_or(|name| name == "SHA512");
        match claims.query_hash {
            None if query.is_empty() => Ok(()),
            Some(hash) if is_sha512 && hash == hash_of(query) => Ok(()),
            _ => Err(AuthError::InvalidQueryPayload),
        }
    }

    /// The list of the account's keys, as it is at `now`: each lives for a year, and this one has most of it left.
    pub(crate) fn list(&self, now: Stamp) -> String {
        let micros = i64::try_from(now.after(LEFT).as_micros()).unwrap_or_default();
        let expires = Timestamp::from_microsecond(micros).unwrap_or_default();
        let entry = |keys: &Keys| {
            let access_key = keys.access.as_str();
            json!({"access_key": access_key, "expire_at": format!("{expires:.0}")})
        };
        Value::from_iter(self.keys.iter().map(entry)).to_string()
    }

    fn claims(&self, authorization: Option<&str>) -> Option<Claims> {
        let token = authorization?.strip_prefix("Bearer ")?;
        let mut validation = Validation::new(Algorithm::HS512);
        validation.algorithms = vec![Algorithm::HS512, Algorithm::HS256];
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let key = DecodingKey::from_secret(self.keys.as_ref()?.secret.as_bytes());
        decode::<Claims>(token, &key, &validation).ok().map(|token| token.claims)
    }
}

fn hash_of(query: &str) -> String {
    Sha512::digest(query.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    const QUERY: &str = "market=KRW-BTC&to=2026-01-01T00:00:00Z&count=200";

    fn auth() -> Auth {
        Auth::new(Some(Keys { access: "access".into(), secret: "secret".into() }))
    }

    fn bearer(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        let token = encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes()));
        format!("Bearer {}", token.unwrap())
    }

    #[test]
    fn both_algorithms_are_accepted_once_a_nonce() {
        let mut auth = auth();
        for (algorithm, nonce) in [(Algorithm::HS512, "a"), (Algorithm::HS256, "b")] {
            let header = bearer(algorithm, "secret", &json!({"access_key": "access", "nonce": nonce}));
            assert_eq!(auth.check(Some(&header), ""), Ok(()));
            assert_eq!(auth.check(Some(&header), ""), Err(AuthError::NonceUsed));
        }
    }

    #[test]
    fn what_is_not_the_owners_is_refused() {
        let mut auth = auth();
        let claims = json!({"access_key": "access", "nonce": "n"});
        let wrong_secret = bearer(Algorithm::HS512, "other", &claims);
        let weak = bearer(Algorithm::HS384, "secret", &claims);
        for header in [None, Some("Bearer x"), Some("x"), Some(wrong_secret.as_str()), Some(weak.as_str())] {
            assert_eq!(auth.check(header, ""), Err(AuthError::JwtVerification));
        }
        let other = bearer(Algorithm::HS512, "secret", &json!({"access_key": "other", "nonce": "n"}));
        assert_eq!(auth.check(Some(&other), ""), Err(AuthError::InvalidAccessKey));
        let mut nobody = Auth::new(None);
        let right = bearer(Algorithm::HS512, "secret", &claims);
        assert_eq!(nobody.check(Some(&right), ""), Err(AuthError::JwtVerification));
    }

    #[test]
    fn the_hash_is_that_of_the_query() {
        let mut auth = auth();
        let mut check = |nonce: &str, hash: Option<String>| {
            let claims =
                json!({"access_key": "access", "nonce": nonce, "query_hash": hash, "query_hash_alg": "SHA512"});
            auth.check(Some(&bearer(Algorithm::HS512, "secret", &claims)), QUERY)
        };
        assert_eq!(check("a", Some(hash_of(QUERY))), Ok(()));
        assert_eq!(check("b", Some(hash_of("count=200"))), Err(AuthError::InvalidQueryPayload));
        assert_eq!(check("c", None), Err(AuthError::InvalidQueryPayload));
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", Keys { access: "a".into(), secret: "b".into() }), "Keys");
    }
}
