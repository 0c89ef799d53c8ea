//! The query of a request: read once, in the order it was sent.

/// Names and values, URL-decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses the part after the `?`.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decode(k), decode(v))).collect(),
        )
    }

    /// The first value of a name; an empty one counts as none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The query before URL encoding: the input of the client's hash.
    pub(crate) fn decoded(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join("&")
    }
}

/// `%3A` is a colon and `+` a space; an invalid escape is kept verbatim.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let escape = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (byte, escape.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &behind[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(other),
        }
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_keeps_its_order() {
        let query =
            Query::parse("to=2026-01-01T00%3A00%3A00%2B09%3A00&market=KRW-BTC&x=a+b&y=100%&states[]=w&states[]=t");
        assert_eq!(query.get("to"), Some("2026-01-01T00:00:00+09:00"));
        assert_eq!(query.get("x"), Some("a b"));
        assert_eq!(query.get("y"), Some("100%"));
        assert_eq!(query.get("nope"), None);
        let decoded = "to=2026-01-01T00:00:00+09:00&market=KRW-BTC&x=a b&y=100%&states[]=w&states[]=t";
        assert_eq!(query.decoded(), decoded);
    }
}
