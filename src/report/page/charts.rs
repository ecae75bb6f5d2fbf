//! Places and lengths of what a page draws, in units of its charts. Only numbers.

use crate::reason::Verdict;

/// How wide a chart is.
pub(super) const CHART_WIDTH: u64 = 1_000;
/// How high the bars of a time line are.
const TIME_LINE_HEIGHT: u64 = 100;
/// How many bars a time line has.
const TIME_LINE_BARS: u64 = 40;

/// A part of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BarSegment {
    /// The word of its verdict, which gives it its color.
    pub(super) class: &'static str,
    /// Where it begins.
    pub(super) x: u64,
    /// How long it is; at least 2.
    pub(super) width: u64,
}

/// One bar for rows by verdict, as long as `rows` to `most`. Every verdict that occurs can be seen.
pub(super) fn verdict_bar(rows: [u64; 4], most: u64) -> Vec<BarSegment> {
    let all: u64 = rows.iter().sum();
    let length = (all * CHART_WIDTH).checked_div(most).unwrap_or_default().max(8);
    let mut x = 0;
    let mut segments = Vec::new();
    for (verdict, rows) in Verdict::ALL.into_iter().zip(rows).filter(|(_, rows)| *rows > 0) {
        let width = ((rows * length).checked_div(all).unwrap_or_default()).max(2);
        segments.push(BarSegment { class: verdict.word(), x: 0, width });
    }
    // What the shortest ones got more is the longest one's less.
    let sum: u64 = segments.iter().map(|segment| segment.width).sum();
    if let Some(longest) = segments.iter_mut().max_by_key(|segment| segment.width) {
        longest.width = (longest.width + length).saturating_sub(sum).max(2);
    }
    for segment in &mut segments {
        segment.x = x;
        x += segment.width;
    }
    segments
}

/// The length of a bar for `rows` of `most`.
pub(super) fn length(rows: u64, most: u64) -> u64 {
    (rows * CHART_WIDTH).checked_div(most).unwrap_or_default().max(2)
}

/// A bar of a time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeBar {
    /// Where it begins.
    pub(super) x: u64,
    /// Where its top is, from above.
    pub(super) y: u64,
    /// How wide it is.
    pub(super) width: u64,
    /// How high it is.
    pub(super) height: u64,
}

/// A time line of rows by minute, from the first minute to the last.
pub(super) fn time_line(rows: &[(u64, u64)], first: u64, last: u64) -> Vec<TimeBar> {
    let minutes = (last.saturating_sub(first) + 1).max(1);
    let count = minutes.min(TIME_LINE_BARS);
    let mut bars = vec![0u64; usize::try_from(count).unwrap_or_default()];
    for (minute, rows) in rows.iter().filter(|(minute, _)| (first..=last).contains(minute)) {
        let bar = (minute - first) * count / minutes;
        if let Some(sum) = usize::try_from(bar).ok().and_then(|bar| bars.get_mut(bar)) {
            *sum += rows;
        }
    }
    let most = bars.iter().copied().max().unwrap_or_default();
    let width = CHART_WIDTH / count;
    let bar = |(n, rows): (u64, u64)| {
        let height = (rows * TIME_LINE_HEIGHT).checked_div(most).unwrap_or_default();
        let height = if rows > 0 { height.max(1) } else { 0 };
        TimeBar { x: n * width, y: TIME_LINE_HEIGHT - height, width: width.saturating_sub(2).max(1), height }
    };
    (0..).zip(bars).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_that_occurs_can_be_seen() {
        let bar = verdict_bar([1_000_000, 1, 0, 3], 1_000_004);
        assert_eq!(bar.len(), 3);
        assert!(bar.iter().all(|segment| segment.width >= 2));
        assert_eq!(bar[1].x, bar[0].width);
        assert_eq!(bar[2].x + bar[2].width, CHART_WIDTH);
        assert_eq!(verdict_bar([0; 4], 0), []);
    }

    #[test]
    fn a_time_line_has_all_rows_between_its_ends() {
        let bars = time_line(&[(10, 5), (11, 10), (99, 1)], 10, 11);
        assert_eq!(bars.iter().map(|bar| bar.height).collect::<Vec<_>>(), [50, 100]);
        assert_eq!(time_line(&[], 5, 5).len(), 1);
        assert_eq!(time_line(&[(0, 1)], 0, 100_000).len(), 40);
    }
}
