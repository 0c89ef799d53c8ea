//! Filters of the log: levels, alone or behind a module and `=`.

use super::faults::nearest;
use tracing_subscriber::EnvFilter;

/// The levels, by growing verbosity.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks that a text is a filter.
///
/// # Errors
///
/// A sentence about the mistake. A lone word that is no level is one, although the filter's grammar takes it for a
/// module: it is most likely a misspelt level.
pub(super) fn check_filter(filter: &str) -> Result<(), String> {
    for directive in filter.split(',') {
        let level = directive.to_ascii_lowercase();
        if !directive.contains(['=', '[', ']']) && !LEVELS.contains(&level.as_str()) {
            let guess = nearest(&level, LEVELS).map(|level| format!("; did you mean `{level}`?"));
            let levels = LEVELS.join(", ");
            return Err(format!("`{directive}` is no level ({levels}){}", guess.unwrap_or_default()));
        }
    }
    EnvFilter::try_new(filter).map(drop).map_err(|error| format!("`{filter}` is no filter: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_alone_or_by_module() {
        for good in ["info", "WARN", "off,upbit_recorder::connection=trace", "warn,hyper=off"] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        assert!(check_filter("inof").unwrap_err().contains("did you mean `info`?"));
        assert!(check_filter("").unwrap_err().contains("is no level"));
        assert!(check_filter("info,a=loud").unwrap_err().contains("is no filter"));
    }
}
