//! The frames of the private stream.
//!
//! Source: docs.upbit.com, the pages "MyOrder", "MyAsset" and "Announcement" of the WebSocket reference.

use super::number::Spelling;
use super::object::Object;
use super::time::Time;
use crate::replay::market::{Holding, Order, OrderState};

/// The fields common to every frame of the account.
#[derive(Clone, Copy)]
pub(crate) struct AccountHead {
    /// When it is sent, in milliseconds since the epoch.
    pub(crate) now: u64,
    /// Short keys.
    pub(crate) short: bool,
}

/// An order of a pair.
pub(crate) fn my_order(head: AccountHead, code: &str, order: &Order) -> String {
    let AccountHead { now, short } = head;
    let mut out = String::with_capacity(800);
    let trade = &order.trade;
    let is_filled = order.state != OrderState::Wait;
    let (left, done) = if is_filled { (0, trade.volume) } else { (trade.volume, 0) };
    let spelling = Spelling::Decimal;
    let mut object = Object::open(&mut out, short);
    object
        .name(("type", "ty"), "myOrder")
        .name(("code", "cd"), code)
        .formatted(("uuid", "uid"), format_args!("{}", uuid(order.id)))
        .name(("ask_bid", "ab"), trade.side.as_str())
        .name(("order_type", "ot"), "limit")
        .name(("state", "s"), state(order.state));
    if is_filled {
        object.formatted(("trade_uuid", "tuid"), format_args!("{}", uuid(!order.id)));
    }
    object
        .number(("price", "p"), trade.price, spelling)
        .number(("avg_price", "ap"), if is_filled { trade.price } else { 0 }, spelling)
        .number(("volume", "v"), trade.volume, spelling)
        .number(("remaining_volume", "rv"), left, spelling)
        .number(("executed_volume", "ev"), done, spelling)
        .integer(("trades_count", "tc"), u64::from(is_filled))
        .raw(("reserved_fee", "rsf"), |out| out.push('0'))
        .raw(("is_maker", "im"), |out| out.push_str("true"));
    if is_filled {
        object.integer(("trade_timestamp", "ttms"), order.placed + 300);
    }
    object
        .integer(("order_timestamp", "otms"), order.placed)
        .integer(("timestamp", "tms"), now)
        .name(("stream_type", "st"), "REALTIME");
    object.close();
    out
}

/// A currency of the account.
pub(crate) fn my_asset(head: AccountHead, holding: &Holding) -> String {
    let AccountHead { now, short } = head;
    let mut out = String::with_capacity(320);
    let mut object = Object::open(&mut out, short);
    object
        .name(("type", "ty"), "myAsset")
        .formatted(("asset_uuid", "astuid"), format_args!("{}", uuid(holding.id)))
        .raw(("assets", "ast"), |out| {
            out.push('[');
            let mut asset = Object::open(out, short);
            asset
                .name(("currency", "cu"), &holding.currency)
                .decimal(("balance", "b"), holding.balance, 20, Spelling::Plain)
                .decimal(("locked", "l"), holding.locked, 18, Spelling::Plain);
            asset.close();
            out.push(']');
        })
        .integer(("asset_timestamp", "asttms"), now - 8)
        .integer(("timestamp", "tms"), now)
        .name(("stream_type", "st"), "REALTIME");
    object.close();
    out
}

/// The announcement with this number.
pub(crate) fn announcement(head: AccountHead, number: u64) -> String {
    let AccountHead { now, short } = head;
    let mut out = String::with_capacity(320);
    let time = Time::kst(now);
    let mut object = Object::open(&mut out, short);
    object
        .name(("type", "ty"), "announcement")
        .name(("event_type", "et"), "CREATED")
        .formatted(("uuid", "uid"), format_args!("{number}"))
        .formatted(("title", "tt"), format_args!("[거래] 신규 거래 지원 안내 {number}"))
        .name(("category", "ct"), "trade")
        .formatted(("url", "url"), format_args!("https://www.upbit.com/service_center/notice?id={number}&view=share"))
        .formatted(("first_listed_at", "fla"), format_args!("{time}+09:00"))
        .formatted(("listed_at", "la"), format_args!("{time}+09:00"))
        .integer(("timestamp", "tms"), now)
        .name(("stream_type", "st"), "REALTIME");
    object.close();
    out
}

fn state(state: OrderState) -> &'static str {
    match state {
        OrderState::Wait => "wait",
        OrderState::Trade => "trade",
        OrderState::Done => "done",
    }
}

fn uuid(bits: u128) -> uuid::Uuid {
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}
