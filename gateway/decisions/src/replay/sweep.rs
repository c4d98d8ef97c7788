//! Which values of a setting are tried: a grid over its range, then finer steps where the figure crosses the target, or where it
//! comes nearest. Nothing is assumed of how the figure follows the value.

/// Values of the grid.
const GRID: u32 = 21;
/// Values that are tried within an interval.
const WITHIN: u32 = 7;
/// Intervals that are refined in a round.
const INTERVALS: usize = 2;
/// The finest step, as a part of the range.
const STEPS: f64 = 1e5;
/// A range of more than this has a grid of growing steps.
const WIDE: f64 = 1000.0;

/// What a setting may be: a number of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The least value.
    pub low: f64,
    /// The largest value.
    pub high: f64,
    /// Whether only whole numbers are allowed.
    pub whole: bool,
}

impl Range {
    /// The values to begin with, in order, `current` among them. In a wide range of numbers that are not negative, each step is
    /// larger than the one before: where such a setting is useful is a matter of magnitude.
    #[must_use]
    pub fn grid(&self, current: f64) -> Vec<f64> {
        let (width, last) = (self.high - self.low, f64::from(GRID - 1));
        let value = |at: u32| match () {
            () if at == 0 => self.low,
            () if self.low >= 0.0 && width > WIDE => self.low + width.powf(f64::from(at - 1) / (last - 1.0)),
            () => self.low + width * f64::from(at) / last,
        };
        self.clean((0..GRID).map(value).chain([current]))
    }

    /// What to try next; nothing if no finer step is left. `points` are the values that have a figure, with it, ascending.
    #[must_use]
    pub fn next(&self, points: &[(f64, f64)], target: f64) -> Vec<f64> {
        let nearness = |&[one, other]: &[(f64, f64); 2]| (one.1 - target).abs().min((other.1 - target).abs());
        let crosses = |&[one, other]: &[(f64, f64); 2]| (one.1 - target) * (other.1 - target) < 0.0;
        let mut intervals: Vec<[(f64, f64); 2]> = points.windows(2).map(|pair| [pair[0], pair[1]]).collect();
        intervals.sort_by(|one, other| {
            crosses(other).cmp(&crosses(one)).then_with(|| nearness(one).total_cmp(&nearness(other)))
        });
        intervals.truncate(INTERVALS);
        let within = intervals.iter().flat_map(|[(from, _), (to, _)]| {
            (1..=WITHIN).map(move |at| from + (to - from) * f64::from(at) / f64::from(WITHIN + 1))
        });
        let mut values = self.clean(within);
        values.retain(|value| points.iter().all(|(known, _)| known != value));
        values
    }

    /// Values that the setting may have, of few digits, ascending, each once.
    fn clean(&self, values: impl Iterator<Item = f64>) -> Vec<f64> {
        let width = self.high - self.low;
        let round = |value: f64| match self.whole {
            true => value.round(),
            false if width > 0.0 => self.low + (((value - self.low) / width * STEPS).round() * width) / STEPS,
            false => value,
        };
        let mut values: Vec<f64> = values.map(|value| round(value).clamp(self.low, self.high)).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.dedup();
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Range = Range { low: 0.0, high: 1.0, whole: false };

    #[test]
    fn a_grid_covers_the_range_and_holds_the_current_value() {
        let grid = SHARE.grid(0.33);
        assert_eq!((grid.len(), grid[0], grid[1], grid[21]), (22, 0.0, 0.05, 1.0));
        assert!(grid.contains(&0.33) && grid.is_sorted());
        let wide = Range { low: 0.0, high: 10_000_000.0, whole: true }.grid(1000.0);
        assert_eq!((wide[0], wide[1], wide[2], wide.last()), (0.0, 1.0, 2.0, Some(&10_000_000.0)));
        assert!(wide.iter().all(|value| value.fract() == 0.0) && wide.contains(&1000.0));
        assert_eq!(Range { low: 2.0, high: 4.0, whole: true }.grid(3.0), [2.0, 3.0, 4.0]);
        assert_eq!(Range { low: 2.0, high: 2.0, whole: false }.grid(2.0), [2.0]);
    }

    /// The best value that some rounds find.
    fn found(range: Range, target: f64, figure: impl Fn(f64) -> f64) -> f64 {
        let mut points: Vec<(f64, f64)> =
            range.grid(range.low).into_iter().map(|value| (value, figure(value))).collect();
        for _ in 0..3 {
            points.extend(range.next(&points, target).into_iter().map(|value| (value, figure(value))));
            points.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        }
        let by_distance =
            |one: &&(f64, f64), other: &&(f64, f64)| (one.1 - target).abs().total_cmp(&(other.1 - target).abs());
        points.iter().min_by(by_distance).unwrap().0
    }

    #[test]
    fn refining_finds_where_a_figure_crosses_the_target_whatever_its_form() {
        let rising = found(SHARE, 30.0, |value| 100.0 * value * value);
        assert!((rising - 0.3f64.sqrt()).abs() < 1e-3, "{rising}");
        let falling = found(SHARE, 30.0, |value| 100.0 * (1.0 - value).powi(3));
        assert!((100.0 * (1.0 - falling).powi(3) - 30.0).abs() < 0.3, "{falling}");
        // It rises and falls, and the target lies on both sides.
        let hill = |value: f64| 100.0 * (1.0 - (2.0 * value - 1.0).powi(2));
        assert!((hill(found(SHARE, 37.0, hill)) - 37.0).abs() < 0.3);
        // It never reaches the target: the nearest value is the top.
        assert!((found(SHARE, 120.0, hill) - 0.5).abs() < 0.01);
        // Steps: only some figures can be reached.
        let steps = |value: f64| (value * 4.0).floor() * 25.0;
        assert_eq!(steps(found(SHARE, 60.0, steps)), 50.0);
        let tokens = Range { low: 0.0, high: 10_000_000.0, whole: true };
        assert!((found(tokens, 700.0, |value| value) - 700.0).abs() < 3.0);
    }

    #[test]
    fn nothing_is_left_when_all_values_were_tried() {
        let range = Range { low: 0.0, high: 2.0, whole: true };
        assert!(range.next(&[(0.0, 1.0), (1.0, 5.0), (2.0, 9.0)], 4.0).is_empty());
        assert!(range.next(&[(0.0, 1.0)], 4.0).is_empty() && range.next(&[], 4.0).is_empty());
    }
}
