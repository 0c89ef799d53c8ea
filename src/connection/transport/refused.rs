//! An upgrade that was answered with another status than 101: status, headers, and the body as far as it comes.

use super::wire::Return;
use crate::clock::{self, Clock};
use crate::net::DialError;
use crate::tape::words::Stage;
use crate::upbit::excerpt::excerpt;
use crate::upbit::limits::Answer;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::header::{CONTENT_LENGTH, DATE, HeaderName, LOCATION, RETRY_AFTER};

/// Bytes of a body that are read; a reason is a sentence.
const BODY_BYTES: usize = 16 * 1024;

/// Characters of an answer that are shown: where it points, or its text.
const SHOWN_CHARS: usize = 100;

/// How long the rest of a body may take: it follows the headers at once or is not worth the wait.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// The failure that an answer of `host` means; `rest` holds the stream on which the rest of its body may be.
/// `shows_answer`: no token was sent, which the answer may repeat.
pub(super) async fn dial_error<S: AsyncRead + Unpin>(
    response: Response,
    rest: Return<S>,
    host: &str,
    shows_answer: bool,
    clock: Clock,
) -> DialError {
    let text = |name: HeaderName| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let (status, retry_after, date) = (response.status(), text(RETRY_AFTER), text(DATE));
    let location = response.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse().ok()).unwrap_or(BODY_BYTES).min(BODY_BYTES);
    let mut body = response.into_body().unwrap_or_default();
    if let Some(mut stream) = rest.take() {
        tokio::select! {
            biased;
            () = read_to(&mut body, length, &mut stream) => {}
            () = clock::sleep_until(Some(clock.now() + BODY_TIMEOUT)) => {}
        }
    }
    let answer = Answer { status: status.as_u16(), retry_after, date, location, body };
    let shown = if shows_answer { excerpt_of(&answer) } else { String::new() };
    DialError {
        stage: Stage::Upgrade,
        cause: format!("{host} answered the upgrade with HTTP {status}{shown}"),
        answer: Some(Box::new(answer)),
    }
}

/// `, which points to https://upbit.com/`, or `: 403 Forbidden CloudFront`.
fn excerpt_of(answer: &Answer) -> String {
    match &answer.location {
        Some(location) => format!(", which points to {}", excerpt(location.as_bytes(), SHOWN_CHARS)),
        None => Some(excerpt(&answer.body, SHOWN_CHARS))
            .filter(|text| !text.is_empty())
            .map(|text| format!(": {text}"))
            .unwrap_or_default(),
    }
}

/// Reads until the body has its length or nothing more comes; bytes read stay in `body` when the future is dropped.
async fn read_to<S: AsyncRead + Unpin>(body: &mut Vec<u8>, length: usize, stream: &mut S) {
    while body.len() < length {
        let read = stream.read_buf(body).await;
        if matches!(read, Ok(0) | Err(_)) {
            return;
        }
    }
}
