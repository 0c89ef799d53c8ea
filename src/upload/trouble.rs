//! What goes wrong between here and a store, in one line each. Nothing of a request is repeated: addresses may hold
//! signatures, and what a store sends back is its own text.

use crate::printable;
use std::sync::{Arc, Mutex, PoisonError};

/// Characters of a cause.
const LONGEST: usize = 200;

/// Why something did not come to be in the store, or could not be asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no way to it, or it fails by itself.
    #[error("the store is down: {0}")]
    Down(String),
    /// Nothing was sent or answered for a while.
    #[error("the store is too slow: nothing came or went for {0} s")]
    Slow(u64),
    /// Something came, and no end of it.
    #[error("the store is too slow: an answer was not whole after {0} s")]
    Unending(u64),
    /// It has no room.
    #[error("the store is full: {0}")]
    Full(String),
    /// The credentials are missing, or do not suffice.
    #[error("the store forbids it: {0}")]
    Forbidden(String),
    /// The bucket or container is not there.
    #[error("the store has no such place: {0}")]
    Nowhere(String),
    /// It answers in another way than stores do.
    #[error("the store cannot be used: {0}")]
    Other(String),
    /// The program stops.
    #[error("stopped")]
    Stopped,
}

impl StoreError {
    /// Whether the same may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Down(_))
    }

    /// One by the status of an answer, and by the code in it.
    pub fn of_answer(status: u16, code: Option<&str>) -> Self {
        let text = code.map_or_else(|| format!("{status}"), |code| format!("{status} {code}"));
        let is_about = |words: &[&str]| code.is_some_and(|code| words.iter().any(|word| code.contains(word)));
        match status {
            507 => Self::Full(text),
            _ if is_about(&["Full", "Quota", "InsufficientCapacity", "InsufficientStorage"]) => Self::Full(text),
            401 | 403 => Self::Forbidden(text),
            _ if is_about(&["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AuthenticationFailed"]) => {
                Self::Forbidden(text)
            }
            404 => Self::Nowhere(text),
            408 | 425 | 429 | 500..=599 => Self::Down(text),
            _ => Self::Other(text),
        }
    }

    /// One of the operating system, where that is the cause of an error.
    pub fn of_system(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        use std::io::ErrorKind::{NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let mut causes = std::iter::successors(Some(error), |cause| cause.source());
        let error = causes.find_map(|cause| cause.downcast_ref::<std::io::Error>())?;
        let text = shown(&error.to_string());
        Some(match error.kind() {
            StorageFull | QuotaExceeded => Self::Full(text),
            PermissionDenied | ReadOnlyFilesystem => Self::Forbidden(text),
            NotFound => Self::Nowhere(text),
            _ => Self::Other(text),
        })
    }

    /// One of the client itself, whose own texts may hold addresses: what stands behind the first colon is left out.
    pub fn of_client(text: &str) -> Self {
        Self::Other(shown(text.split(": ").next().unwrap_or_default()))
    }
}

/// A cause as it is shown.
pub fn shown(text: &str) -> String {
    printable::line(text, LONGEST)
}

/// What was wrong with the last request, as the connection saw it. The client above keeps less, or too much.
#[derive(Clone, Debug, Default)]
pub struct LastTrouble(Arc<Mutex<Option<StoreError>>>);

impl LastTrouble {
    /// Another request begins.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It failed.
    pub fn note(&self, error: StoreError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// What was noted.
    pub fn read(&self) -> Option<StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The code in the body of an answer that refuses: `<Code>AccessDenied</Code>`.
pub fn code_of(body: &[u8]) -> Option<String> {
    /// The longest code that is known has half as many letters.
    const LONGEST_CODE: usize = 64;
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_code = (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_what_a_person_has_to_do() {
        for (status, code, told) in [
            (403, Some("AccessDenied"), "the store forbids it: 403 AccessDenied"),
            (400, Some("InvalidAccessKeyId"), "the store forbids it: 400 InvalidAccessKeyId"),
            (403, Some("QuotaExceeded"), "the store is full: 403 QuotaExceeded"),
            (507, None, "the store is full: 507"),
            (507, Some("XMinioStorageFull"), "the store is full: 507 XMinioStorageFull"),
            (404, Some("NoSuchBucket"), "the store has no such place: 404 NoSuchBucket"),
            (503, Some("SlowDown"), "the store is down: 503 SlowDown"),
            (302, None, "the store cannot be used: 302"),
        ] {
            assert_eq!(StoreError::of_answer(status, code).to_string(), told);
        }
        let told = StoreError::of_client("Error performing PUT: https://x/?sig=hunter2").to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn only_a_code_is_taken_from_a_body() {
        assert_eq!(code_of(b"<Error><Code>NoSuchKey</Code></Error>").as_deref(), Some("NoSuchKey"));
        for body in ["", "<Code></Code>", "<Code>a b</Code>", "<Code>\x1b[2J</Code>", "<Code>x"] {
            assert_eq!(code_of(body.as_bytes()), None, "{body}");
        }
        assert_eq!(code_of(format!("<Code>{}</Code>", "A".repeat(65)).as_bytes()), None);
    }
}
