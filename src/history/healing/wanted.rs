//! Whether gaps are healed.

use crate::config::Config;
use crate::upbit::venue::Agreement;

/// Whether gaps are healed. The recorded and the queried venue must be the same: the exchange has others, with the same
/// codes.
pub fn is_wanted(config: &Config) -> bool {
    let (recorded, asked) = (&config.public.url, &config.rest.url);
    if config.rest.heal_max == 0 || !config.public.enabled {
        return false;
    }
    let is_same = Agreement::of(recorded.host(), asked.host()) == Agreement::Same;
    if !is_same {
        let (recorded, asked) = (recorded.host(), asked.host());
        tracing::warn!(recorded, asked, "gaps are not healed: public.url and rest.url are not of one venue");
    }
    is_same
}
