//! The names of an object's values in the formats DEFAULT and SIMPLE. Pure.
//!
//! Source: docs.upbit.com, the tables of each type in the WebSocket reference, and frames captured from the live service.

/// Names of all types, each in full and short.
const NAMES: &[(&str, &str)] = &[
    ("type", "ty"),
    ("code", "cd"),
    ("timestamp", "tms"),
    ("stream_type", "st"),
    ("trade_price", "tp"),
    ("trade_volume", "tv"),
    ("trade_time", "ttm"),
    ("trade_timestamp", "ttms"),
    ("ask_bid", "ab"),
    ("opening_price", "op"),
    ("high_price", "hp"),
    ("low_price", "lp"),
    ("prev_closing_price", "pcp"),
    ("change", "c"),
    ("change_price", "cp"),
    ("change_rate", "cr"),
    ("signed_change_price", "scp"),
    ("signed_change_rate", "scr"),
];

const TICKER: &[(&str, &str)] = &[
    ("trade_date", "tdt"),
    ("acc_trade_volume", "atv"),
    ("acc_trade_volume_24h", "atv24h"),
    ("acc_trade_price", "atp"),
    ("acc_trade_price_24h", "atp24h"),
    ("acc_ask_volume", "aav"),
    ("acc_bid_volume", "abv"),
    ("highest_52_week_price", "h52wp"),
    ("highest_52_week_date", "h52wdt"),
    ("lowest_52_week_price", "l52wp"),
    ("lowest_52_week_date", "l52wdt"),
    ("trade_status", "ts"),
    ("market_state", "ms"),
    ("market_state_for_ios", "msfi"),
    ("is_trading_suspended", "its"),
    ("delisting_date", "dd"),
    ("market_warning", "mw"),
];

const TRADE: &[(&str, &str)] = &[
    ("trade_date", "td"),
    ("sequential_id", "sid"),
    ("best_ask_price", "bap"),
    ("best_ask_size", "bas"),
    ("best_bid_price", "bbp"),
    ("best_bid_size", "bbs"),
];

const BOOK: &[(&str, &str)] = &[
    ("total_ask_size", "tas"),
    ("total_bid_size", "tbs"),
    ("orderbook_units", "obu"),
    ("level", "lv"),
    ("ask_price", "ap"),
    ("bid_price", "bp"),
    ("ask_size", "as"),
    ("bid_size", "bs"),
];

const CANDLE: &[(&str, &str)] = &[
    ("candle_date_time_utc", "cdttmu"),
    ("candle_date_time_kst", "cdttmk"),
    ("candle_acc_trade_volume", "catv"),
    ("candle_acc_trade_price", "catp"),
];

const ORDER: &[(&str, &str)] = &[
    ("uuid", "uid"),
    ("order_type", "ot"),
    ("state", "s"),
    ("trade_uuid", "tuid"),
    ("price", "p"),
    ("avg_price", "ap"),
    ("volume", "v"),
    ("remaining_volume", "rv"),
    ("executed_volume", "ev"),
    ("trades_count", "tc"),
    ("reserved_fee", "rsf"),
    ("remaining_fee", "rmf"),
    ("paid_fee", "pf"),
    ("locked", "l"),
    ("executed_funds", "ef"),
    ("time_in_force", "tif"),
    ("trade_fee", "tf"),
    ("is_maker", "im"),
    ("identifier", "id"),
    ("smp_type", "smpt"),
    ("prevented_volume", "pv"),
    ("prevented_locked", "pl"),
    ("order_timestamp", "otms"),
];

const ASSET: &[(&str, &str)] = &[
    ("asset_uuid", "astuid"),
    ("assets", "ast"),
    ("currency", "cu"),
    ("balance", "b"),
    ("locked", "l"),
    ("asset_timestamp", "asttms"),
];

const ANNOUNCEMENT: &[(&str, &str)] = &[
    ("event_type", "et"),
    ("uuid", "uid"),
    ("title", "tt"),
    ("category", "ct"),
    ("first_listed_at", "fla"),
    ("listed_at", "la"),
];

/// The long name of a type's name; itself where there is no other.
pub fn long_of<'a>(kind: &str, name: &'a str) -> &'a str {
    tables(kind).into_iter().flatten().find(|(_, short)| *short == name).map_or(name, |(long, _)| long)
}

/// The short name of a type's name; `None` where it has none.
pub fn short_of(kind: &str, name: &str) -> Option<&'static str> {
    tables(kind).into_iter().flatten().find(|(long, _)| *long == name).map(|(_, short)| *short)
}

/// The type's own names first: `td` is another date than `tdt`.
fn tables(kind: &str) -> [&'static [(&'static str, &'static str)]; 2] {
    let own: &[(&str, &str)] = match kind {
        "ticker" => TICKER,
        "trade" => TRADE,
        "orderbook" => BOOK,
        "myOrder" => ORDER,
        "myAsset" => ASSET,
        "announcement" => ANNOUNCEMENT,
        candle if candle.starts_with("candle") => CANDLE,
        _ => &[],
    };
    [own, NAMES]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_type_stands_for_two() {
        for kind in ["ticker", "trade", "orderbook", "candle.1s", "myOrder", "myAsset", "announcement"] {
            let mut shorts: Vec<&str> = tables(kind).into_iter().flatten().map(|(_, short)| *short).collect();
            let count = shorts.len();
            shorts.sort_unstable();
            shorts.dedup();
            assert_eq!(shorts.len(), count, "{kind}");
        }
    }
}
