//! The price at any time: a curve over all time, made of seven waves of random height.
//!
//! ```text
//!  ln(price / base) = Σ  height × noise(time / length)      60 days … 2 seconds
//! ```
//!
//! The noise is a random number at each multiple of the length, joined smoothly, so a price has slow trends and fast
//! jitter and can be computed for any time without the steps before it.

use super::seed::Seed;

/// Length in milliseconds and greatest height of each wave, longest first.
const WAVES: [(u64, f64); 7] = [
    (60 * 86_400_000, 0.25),
    (10 * 86_400_000, 0.10),
    (86_400_000, 0.03),
    (7_200_000, 0.01),
    (600_000, 0.003),
    (30_000, 0.000_8),
    (2_000, 0.000_2),
];

/// One price's curve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    waves: [Seed; WAVES.len()],
    base: f64,
}

impl Path {
    /// A curve that swings around `base`.
    pub(crate) fn new(seed: Seed, base: f64) -> Self {
        Self { waves: std::array::from_fn(|wave| seed.part(wave as u64)), base }
    }

    /// The price at a time, in milliseconds since the epoch.
    pub(crate) fn at(&self, millis: u64) -> f64 {
        let waves = WAVES.iter().zip(&self.waves);
        let swing: f64 = waves.map(|(&(length, height), seed)| height * noise(*seed, millis, length)).sum();
        self.base * swing.exp()
    }

    /// The lower and upper bound of the price.
    pub(crate) fn bounds(&self) -> (f64, f64) {
        let swing: f64 = WAVES.iter().map(|(_, height)| height).sum();
        (self.base * (-swing).exp(), self.base * swing.exp())
    }
}

/// A number between -1 and 1 that changes smoothly with time and is new at each multiple of `length`.
fn noise(seed: Seed, millis: u64, length: u64) -> f64 {
    let knot = millis / length;
    let along = (millis % length) as f64 / length as f64;
    let (from, to) = (seed.unit(knot), seed.unit(knot + 1));
    let eased = along * along * (3.0 - 2.0 * along);
    2.0 * (from + (to - from) * eased) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_moves_a_little_in_a_second_and_more_in_a_month() {
        let path = Path::new(Seed::new(5), 100.0);
        let now = 1_795_317_064_000;
        let step = (path.at(now + 100) / path.at(now)).ln().abs();
        assert!(step < 0.001, "{step}");
        let far = (0..12).map(|month| path.at(now + month * 30 * 86_400_000));
        let spread = far.fold((f64::MAX, f64::MIN), |(low, high), price| (low.min(price), high.max(price)));
        assert!(spread.1 / spread.0 > 1.05, "{spread:?}");
    }

    #[test]
    fn a_price_stays_between_its_bounds() {
        let path = Path::new(Seed::new(6), 0.001);
        let (low, high) = path.bounds();
        assert!((0..1_000).all(|hour| (low..high).contains(&path.at(hour * 3_600_000))));
    }
}
