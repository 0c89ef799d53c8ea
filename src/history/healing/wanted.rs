//! Whether gaps are healed.

use crate::config::Config;

/// Whether gaps are healed. The recorded and the queried venue must be the same: the exchange has others, with the same
/// codes.
pub fn is_wanted(config: &Config) -> bool {
    if config.rest.heal_max == 0 || !config.public.enabled {
        return false;
    }
    let is_one = config.is_one_venue();
    if !is_one {
        let (recorded, asked) = (config.venue(), config.rest_venue());
        tracing::warn!(%recorded, %asked, "gaps are not healed: rest.url should be of the recorded venue; say so with `venue`");
    }
    is_one
}
