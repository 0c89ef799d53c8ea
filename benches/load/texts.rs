//! What the exchange sends: trades and books, the same in every run.

use std::fmt::Write;

/// A sequence that is the same in every run: SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A volume with eight decimals.
    pub(crate) fn volume(&mut self) -> f64 {
        (self.below(2_000_000_000) + 1) as f64 / 1e8
    }
}

/// Trades of one stream, SIMPLE, about 210 bytes each.
pub(crate) fn trades(count: usize, mut each: impl FnMut(&str)) {
    let (mut random, mut text) = (Random(1), String::new());
    let (mut price, mut time) = (116_539, 1_790_134_742_106_u64);
    for number in 0..count {
        price = 100_000 + (price + random.below(9) - 4) % 100_000;
        time += random.below(3);
        let (second, volume, side) = (time / 1000 % 60, random.volume(), ["ASK", "BID"][random.below(2) as usize]);
        text.clear();
        write!(
            text,
            r#"{{"ty":"trade","cd":"KRW-BTC","tms":{time},"td":"2026-09-23","ttm":"02:19:{second:02}","ttms":{},"#,
            time - 26
        )
        .unwrap();
        write!(text, r#""tp":{price}000.0,"tv":{volume:.8},"ab":"{side}","pcp":116000000.00000000,"c":"RISE","#)
            .unwrap();
        write!(text, r#""cp":539000.00000000,"sid":{time}{:04},"st":"REALTIME"}}"#, number % 10_000).unwrap();
        each(&text);
    }
}

/// The book of a pair, of which every frame changes some levels.
pub(crate) struct Book {
    code: usize,
    price: u64,
    sizes: [f64; 60],
}

impl Book {
    pub(crate) fn new(code: usize, random: &mut Random) -> Self {
        Self { code, price: 1_000 + random.below(200_000), sizes: std::array::from_fn(|_| random.volume()) }
    }

    /// The whole book after a change, DEFAULT, about 2.9 KB, up to its last key.
    pub(crate) fn write(&mut self, text: &mut String, random: &mut Random, time: u64) {
        for _ in 0..6 {
            self.sizes[random.below(60) as usize] = random.volume();
        }
        if random.below(8) == 0 {
            self.price += 1;
            self.sizes.rotate_right(2);
        }
        let total = |side: usize| self.sizes.iter().skip(side).step_by(2).sum::<f64>();
        let (asks, bids) = (total(0), total(1));
        write!(
            text,
            r#"{{"type":"orderbook","code":"KRW-C{}","timestamp":{time},"total_ask_size":{asks:.8},"#,
            self.code
        )
        .unwrap();
        write!(text, r#""total_bid_size":{bids:.8},"orderbook_units":["#).unwrap();
        for (level, sizes) in self.sizes.chunks_exact(2).enumerate() {
            let (ask, bid) = ((self.price + level as u64) * 1000, (self.price - level as u64 - 1) * 1000);
            let separator = if level == 0 { "" } else { "," };
            write!(text, r#"{separator}{{"ask_price":{ask}.0,"bid_price":{bid}.0,"#).unwrap();
            write!(text, r#""ask_size":{:.8},"bid_size":{:.8}}}"#, sizes[0], sizes[1]).unwrap();
        }
        text.push_str(r#"],"stream_type":"REALTIME","level":0"#);
    }
}

/// Books of `codes` pairs in turns.
pub(crate) fn books(count: usize, codes: usize, mut each: impl FnMut(&str)) {
    let (mut random, mut text) = (Random(2), String::new());
    let mut books: Vec<Book> = (0..codes).map(|code| Book::new(code, &mut random)).collect();
    for number in 0..count {
        text.clear();
        books[number % codes].write(&mut text, &mut random, 1_790_134_742_106 + number as u64);
        text.push('}');
        each(&text);
    }
}
