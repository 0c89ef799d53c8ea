//! Writes families: a name with its unit, a help text, and a sample for each set of labels.

use crate::clock::Stamp;
use crate::counters::durations::{BOUNDS, Durations};
use crate::ops::shown::seconds;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;
use std::time::Duration;

/// The labels of a sample.
pub(super) type Labels = Vec<(&'static str, String)>;

/// A label whose values are counted apart.
pub(super) fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

/// A family.
pub(super) struct Family {
    /// Without prefix, unit and ending.
    pub(super) name: &'static str,
    /// For people, without a full stop, which the encoder adds to none.
    pub(super) help: &'static str,
    /// Stands behind the name.
    pub(super) unit: Option<Unit>,
}

impl Family {
    /// A family of plain numbers.
    pub(super) const fn of(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: None }
    }

    /// One of seconds.
    pub(super) const fn seconds(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: Some(Unit::Seconds) }
    }

    /// One of bytes.
    pub(super) const fn bytes(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: Some(Unit::Bytes) }
    }
}

/// Takes families.
pub(super) struct Sink<'a>(DescriptorEncoder<'a>);

impl<'a> Sink<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// One value that names things by its labels.
    pub(super) fn info(&mut self, family: &Family, labels: &Labels) -> fmt::Result {
        self.family(family, MetricType::Info)?.encode_info(labels)
    }

    /// A counter for each set of labels.
    pub(super) fn counters<V: EncodeCounterValue>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = (Labels, V)>,
    ) -> fmt::Result {
        let mut encoder = self.family(family, MetricType::Counter)?;
        samples.into_iter().try_for_each(|(labels, value)| {
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// One counter.
    pub(super) fn counter(&mut self, family: &Family, value: u64) -> fmt::Result {
        self.counters(family, [(Labels::new(), value)])
    }

    /// A gauge for each set of labels.
    pub(super) fn gauges(&mut self, family: &Family, samples: impl IntoIterator<Item = (Labels, f64)>) -> fmt::Result {
        let mut encoder = self.family(family, MetricType::Gauge)?;
        samples.into_iter().try_for_each(|(labels, value)| encoder.encode_family(&labels)?.encode_gauge(&value))
    }

    /// One gauge; without a value the family is there, and has no sample.
    pub(super) fn gauge(&mut self, family: &Family, value: impl Into<Option<f64>>) -> fmt::Result {
        self.gauges(family, value.into().map(|value| (Labels::new(), value)))
    }

    /// A histogram of seconds.
    pub(super) fn histogram(&mut self, family: &Family, durations: &Durations) -> fmt::Result {
        let bounds = BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(durations.buckets).collect();
        let sum = seconds(i64::try_from(durations.micros).unwrap_or(i64::MAX));
        let mut encoder = self.family(family, MetricType::Histogram)?;
        encoder.encode_histogram::<NoLabelSet>(sum, durations.count(), &buckets, None)
    }

    fn family<'s>(&'s mut self, family: &'s Family, kind: MetricType) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(family.name, family.help, family.unit.as_ref(), kind)
    }
}

/// A count as a gauge has it.
#[expect(clippy::cast_precision_loss, reason = "a double is exact up to 9 PB, and a gauge is for people beyond it")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

/// A count of things in memory.
pub(super) fn size(count: usize) -> f64 {
    number(count as u64)
}

/// 1 for what is so.
pub(super) fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// Seconds since the Unix epoch.
pub(super) fn time(stamp: Stamp) -> f64 {
    seconds(i64::try_from(stamp.as_micros()).unwrap_or(i64::MAX))
}
