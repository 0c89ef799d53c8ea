//! An excerpt of a text of the exchange's, or of a gateway before it: the words of a page, in one line, escaped by
//! [`printable`].
//!
//! ```text
//! <html><title>403 Forbidden</title>…   ──▶ 403 Forbidden …     tags, styles and scripts of a page are left out
//! "a\r\n\n  b"                          ──▶ a b
//! ```

use crate::printable;

/// Bytes of a text that are read: a page has its title at its beginning.
const READ_BYTES: usize = 4096;

/// At most `chars` characters of a text, ready to be shown.
pub fn excerpt(text: &[u8], chars: usize) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(READ_BYTES)]);
    let text = text.trim_start();
    let text = if text.starts_with('<') { without_tags(text) } else { text.to_owned() };
    let mut shown = String::new();
    for word in text.split_whitespace() {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    printable::line(&shown, chars)
}

/// The visible text of a page.
fn without_tags(page: &str) -> String {
    let mut shown = String::new();
    let mut rest = page;
    while let Some((before, behind)) = rest.split_once('<') {
        shown.push_str(before);
        shown.push(' ');
        let (tag, behind) = behind.split_once('>').unwrap_or((behind, ""));
        let hidden = ["style", "script"].into_iter().find(|name| starts_with(tag, name));
        rest = match hidden {
            Some(name) => behind.find(&format!("</{name}")).map_or("", |end| &behind[end..]),
            None => behind,
        };
    }
    shown + rest
}

fn starts_with(tag: &str, name: &str) -> bool {
    tag.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_shown_as_its_reader_sees_it() {
        let page =
            "\n<html><HEAD><style>b{color:red}</style><title>403 Forbidden</title></HEAD>\r\n<h1>CloudFront</h1>";
        assert_eq!(excerpt(page.as_bytes(), 100), "403 Forbidden CloudFront");
        assert_eq!(excerpt("<html><body>서버 점검 중입니다</body>".as_bytes(), 5), "서버 점…");
        assert_eq!(excerpt(b"<script>x</b", 100), "");
        assert_eq!(excerpt(b"a < b > c", 100), "a < b > c");
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(
            excerpt("a\u{1b}[2Jb\n\n c\u{202e}d\u{9b}\0\u{2028}e\u{feff}".as_bytes(), 100),
            r"a\u001b[2Jb c\u202ed\u009b\u0000 e\ufeff"
        );
        assert_eq!(excerpt(&[b'x'; 100_000], 7), "xxxxxx…");
        assert_eq!(excerpt(b"\xff\xfe", 9), "\u{fffd}\u{fffd}");
    }
}
