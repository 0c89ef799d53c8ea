//! Text of the exchange's, or of whatever answered in its place, as it may be shown to people: one line, cut, without
//! what a terminal would obey.
//!
//! ```text
//! <html><title>403 Forbidden</title>…   ──▶ 403 Forbidden …     tags, styles and scripts of a page are left out
//! "a\u{1b}[2Jb\nc\u{202e}d"             ──▶ a [2Jb cd           controls are spaces, marks that turn text are gone
//! ```

/// Bytes of a text that are looked at: a page says what it is in its head.
const READ_BYTES: usize = 4096;

/// At most `chars` characters of a text, ready to be shown.
pub fn excerpt(text: &[u8], chars: usize) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(READ_BYTES)]);
    let text = text.trim_start();
    let text = if text.starts_with('<') { without_tags(text) } else { text.to_owned() };
    let mut shown = String::new();
    for word in text.split(|char: char| char.is_whitespace() || char.is_control()).filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.extend(word.chars().filter(|char| !is_mark(*char)));
    }
    shown.trim().chars().take(chars).collect()
}

/// What a page shows to its reader.
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

/// Characters without a width of their own that turn, join or hide the text around them.
fn is_mark(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_shown_as_its_reader_sees_it() {
        let page =
            "\n<html><HEAD><style>b{color:red}</style><title>403 Forbidden</title></HEAD>\r\n<h1>CloudFront</h1>";
        assert_eq!(excerpt(page.as_bytes(), 100), "403 Forbidden CloudFront");
        assert_eq!(excerpt("<html><body>서버 점검 중입니다</body>".as_bytes(), 5), "서버 점검");
        assert_eq!(excerpt(b"<script>x</b", 100), "");
        assert_eq!(excerpt(b"a < b > c", 100), "a < b > c");
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(excerpt("a\u{1b}[2Jb\n\n c\u{202e}d\u{9b}\0\u{2028}e\u{feff}".as_bytes(), 100), "a [2Jb cd e");
        assert_eq!(excerpt(&[b'x'; 100_000], 7), "xxxxxxx");
        assert_eq!(excerpt(b"\xff\xfe", 9), "\u{fffd}\u{fffd}");
    }
}
