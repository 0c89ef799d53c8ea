//! An audit as text: totals, then the minutes that are not exact, as many as a screen holds, and how sharp it was.

use crate::history::audit::{Day, Totals};
use crate::tape::certificate::{Difference, Finding, Row, StreamAudit, Unaudited};
use crate::tape::decimal::shown;
use std::io::{self, Write};
use std::path::Path;

/// Streams that are not exact and are listed, and minutes of each. The certificate has them all.
const STREAMS: usize = 20;
const MINUTES: usize = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct AuditReport {
    day: Day,
    exact: usize,
    others: usize,
    unaudited: usize,
    lines: Vec<String>,
    /// Streams whose candles are too coarse to reveal every missing trade, a line each.
    blind: Vec<String>,
}

impl AuditReport {
    /// A report of a day.
    pub(super) fn new(day: Day) -> Self {
        Self { day, exact: 0, others: 0, unaudited: 0, lines: Vec::new(), blind: Vec::new() }
    }

    /// Adds a stream.
    pub(super) fn add(&mut self, audit: &StreamAudit) {
        if !audit.blind_minutes.is_empty() && self.blind.len() < STREAMS {
            let (minutes, most) = (audit.blind_minutes.len(), shown(&audit.blind_below));
            self.blind.push(format!("{}: {minutes} minutes could hide a trade of up to {most}", audit.stream));
        }
        if audit.rows.is_empty() {
            self.exact += 1;
            return;
        }
        self.others += 1;
        if self.others > STREAMS {
            return;
        }
        let StreamAudit { stream, exact, differs, no_data, trades, healed, .. } = audit;
        self.lines.push(format!(
            "{stream}: {exact} minutes exact, {differs} differ, {no_data} without data · {trades} trades, {healed} of them healed"
        ));
        self.lines.extend(audit.rows.iter().take(MINUTES).map(line));
        if let Some(more @ 1..) = audit.rows.len().checked_sub(MINUTES) {
            self.lines.push(format!("  and {more} more minutes"));
        }
    }

    /// Names a stream that could not be audited.
    pub(super) fn leave_out(&mut self, Unaudited { stream, reason }: &Unaudited) {
        self.unaudited += 1;
        if self.unaudited <= STREAMS {
            self.lines.push(format!("{stream} could not be audited: {reason}"));
        }
    }

    /// Prints it all.
    pub(super) fn write(&self, out: &mut dyn Write, totals: &Totals, certificate: &Path) -> io::Result<()> {
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        if let Some(more @ 1..) = self.others.checked_sub(STREAMS) {
            writeln!(out, "and {more} more streams that are not exact")?;
        }
        for line in &self.blind {
            writeln!(out, "{line}")?;
        }
        if let Some(more @ 1..) = totals.blind_streams.checked_sub(STREAMS) {
            writeln!(out, "and {more} more streams that could hide a trade")?;
        }
        if let Some(more @ 1..) = self.unaudited.checked_sub(STREAMS) {
            writeln!(out, "and {more} more streams that could not be audited")?;
        }
        if !self.day.is_whole() {
            writeln!(out, "the day is not over: looked at until {}", Day::shown(self.day.until))?;
        }
        let verdict = totals.verdict();
        let Totals { streams, exact, differs, no_data, residue, .. } = totals;
        writeln!(
            out,
            "{}: {verdict} · {} of {streams} streams exact · {exact} minutes exact, {differs} differ, {no_data} without data",
            self.day.date, self.exact
        )?;
        let [volume, value] = [&residue.volume, &residue.value].map(shown);
        let sharp = if totals.blind_streams == 0 { " · none of them could hide a trade" } else { "" };
        writeln!(out, "rounded in exact minutes: volume by up to {volume}, value by up to {value}{sharp}")?;
        writeln!(out, "{}", certificate.display())
    }
}

/// `  2026-11-22T05:12:00Z differs: value 3 of 4 (-1), volume 1.5 of 2 (-0.5) · gap 1795324503000002`
fn line(row: &Row) -> String {
    let finding = match row.finding {
        Finding::Exact => "exact",
        Finding::Differs => "differs",
        Finding::NoData => "no data",
    };
    // With no trade recorded, missing prices are implied.
    let told = row.differences.iter().filter(|(_, found)| found.difference.is_some());
    let told: Vec<String> = told.map(|(name, found)| format!("{name} {}", numbers(found))).collect();
    let gaps: String = row.gaps.iter().map(|gap| format!(" · gap {gap}")).collect();
    format!("  {} {finding}: {}{gaps}", row.minute, told.join(", "))
}

fn numbers(found: &Difference) -> String {
    let text = |number: &Option<String>| number.clone().unwrap_or_else(|| "nothing".to_owned());
    format!("{} of {} ({})", text(&found.tape), text(&found.exchange), text(&found.difference))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::certificate::{Blind, Residue};
    use bigdecimal::BigDecimal;
    use std::collections::BTreeMap;

    fn audit(minutes: usize) -> StreamAudit {
        let number = |text: &str| Some(text.to_owned());
        let difference = Difference { tape: number("1.5"), exchange: number("2"), difference: number("-0.5") };
        let row = Row {
            minute: "2026-11-22T05:12:00Z".into(),
            finding: Finding::Differs,
            trades: 3,
            differences: BTreeMap::from([("volume".into(), difference)]),
            gaps: vec![17],
        };
        let (faults, rows) = (Vec::new(), vec![row; minutes]);
        let stream = "KRW-BTC_trade".to_owned();
        StreamAudit {
            stream,
            trades: 9,
            healed: 0,
            exact: 4,
            differs: minutes,
            no_data: 0,
            residue: Residue::default(),
            blind_below: BigDecimal::default(),
            blind_minutes: Vec::new(),
            unreadable: 0,
            faults,
            rows,
        }
    }

    #[test]
    fn a_report_fits_a_screen_whatever_was_found() {
        let mut report = AuditReport::new(Day::settled("2026-11-22".parse().unwrap(), i64::MAX / 2).unwrap());
        let blind = Blind { minute: String::new(), blind_below: 2.into() };
        (0..100).for_each(|_| {
            let blind_minutes = vec![blind.clone(); 7];
            report.add(&StreamAudit { blind_below: 2.into(), blind_minutes, ..audit(1_000) });
        });
        report.add(&audit(0));
        let unaudited = Unaudited { stream: "KRW-GONE_trade".into(), reason: "404 Code not found".into() };
        (0..100).for_each(|_| report.leave_out(&unaudited));
        let write = |totals: &Totals| {
            let mut text = Vec::new();
            report.write(&mut text, totals, Path::new("audit.json")).unwrap();
            String::from_utf8(text).unwrap()
        };
        let text = write(&Totals { blind_streams: 100, ..Totals::default() });
        assert_eq!(text.lines().count(), STREAMS * (MINUTES + 4) + 6);
        assert!(text.contains("\nKRW-BTC_trade: 7 minutes could hide a trade of up to 2\n"), "{text}");
        assert!(text.contains("\nand 80 more streams that could hide a trade\n"), "{text}");
        assert!(!text.contains("none of them") && write(&Totals::default()).contains(" · none of them could hide"));
        assert!(text.contains("\nKRW-GONE_trade could not be audited: 404 Code not found\n"), "{text}");
        assert!(text.contains("  2026-11-22T05:12:00Z differs: volume 1.5 of 2 (-0.5) · gap 17\n"), "{text}");
        assert!(
            text.contains("\nand 80 more streams that are not exact\n") && text.contains("  and 990 more minutes\n")
        );
    }
}
