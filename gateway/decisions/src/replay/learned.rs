//! What a log measured of models: the output tokens of their answers and the seconds that their calls took, for inputs of about
//! the same length.

use std::collections::BTreeMap;
use std::ops::Range;

use super::bootstrap::mean;
use crate::record::Decision;

/// With fewer records than this, nothing is said of a model.
pub const LEAST: usize = 30;

/// The input lengths, in tokens, at which buckets end: two for each doubling. Answers grow with their input, and which requests a
/// model gets depends on their length, too, so that wide buckets would compare what differs.
const ENDS: [u32; 29] = [
    16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 4096, 5793, 8192, 11_585, 16_384,
    23_170, 32_768, 46_341, 65_536, 92_682, 131_072, 185_364, 262_144,
];
const BUCKETS: usize = ENDS.len() + 1;

/// The class of an input's length.
pub(super) fn bucket(tokens: u32) -> usize {
    ENDS.partition_point(|end| *end <= tokens)
}

/// What is gathered of a log, in any order.
#[derive(Debug, Default)]
pub struct Gathered {
    outputs: Samples,
    seconds: Samples,
}

type Samples = BTreeMap<String, [Vec<f64>; BUCKETS]>;

impl Gathered {
    /// Notes what a request measured of the model that answered it. An answer that is not whole says nothing of its length.
    pub fn note(&mut self, decision: &Decision) {
        let outcome = &decision.outcome;
        let Some(call) = outcome.calls.iter().find(|call| call.answered && outcome.is_finished()) else { return };
        let bucket = bucket(decision.request.prompt_tokens);
        let add = |samples: &mut Samples, value: f64| match samples.get_mut(&call.model) {
            Some(of_model) => of_model[bucket].push(value),
            None => samples.entry(call.model.clone()).or_default()[bucket].push(value),
        };
        add(&mut self.outputs, call.output_tokens as f64);
        if let Some(seconds) = outcome.model_seconds {
            add(&mut self.seconds, seconds);
        }
    }

    /// Adds what was gathered elsewhere.
    pub fn add(&mut self, other: Self) {
        for (samples, others) in [(&mut self.outputs, other.outputs), (&mut self.seconds, other.seconds)] {
            for (model, buckets) in others {
                let of_model = samples.entry(model).or_default();
                for (bucket, values) in of_model.iter_mut().zip(buckets) {
                    bucket.extend(values);
                }
            }
        }
    }

    /// All that was gathered in parts.
    #[must_use]
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        parts.into_iter().for_each(|part| all.add(part));
        all
    }

    /// What can be learned of it.
    #[must_use]
    pub fn learned(self) -> Evidence {
        Evidence { outputs: Learned::of(self.outputs), seconds: Learned::of(self.seconds) }
    }
}

/// What a log says of its models.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Output tokens of answers.
    pub outputs: Learned,
    /// What calls took, in seconds.
    pub seconds: Learned,
}

/// One measured quantity, by model and length of the input.
#[derive(Debug, Default)]
pub struct Learned {
    models: BTreeMap<String, Model>,
    cells: Vec<Cell>,
}

#[derive(Debug)]
struct Model {
    /// All values of the model, as a cell; `None` if there are too few.
    all: Option<usize>,
    /// The cell of each bucket, which it may share with its neighbours; `None` if there are too few in all.
    buckets: [Option<usize>; BUCKETS],
    records: usize,
}

/// Values that stand for each other.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) samples: Vec<f64>,
    pub(super) mean: f64,
}

impl Cell {
    /// The variance of the values.
    pub(super) fn variance(&self) -> f64 {
        let squares: f64 = self.samples.iter().map(|value| (value - self.mean).powi(2)).sum();
        squares / self.samples.len().saturating_sub(1).max(1) as f64
    }
}

impl Learned {
    fn of(samples: Samples) -> Self {
        let mut learned = Self::default();
        for (name, buckets) in samples {
            let all = buckets.concat();
            let (records, mut cells) = (all.len(), [None; BUCKETS]);
            for range in joined(&buckets) {
                cells[range.clone()].fill(learned.cell_of(buckets[range].concat()));
            }
            let all = learned.cell_of(all);
            learned.models.insert(name, Model { all, buckets: cells, records });
        }
        learned
    }

    fn cell_of(&mut self, mut samples: Vec<f64>) -> Option<usize> {
        if samples.len() < LEAST {
            return None;
        }
        // The order in which threads read the log must not change an interval.
        samples.sort_unstable_by(f64::total_cmp);
        self.cells.push(Cell { mean: mean(&samples), samples });
        Some(self.cells.len() - 1)
    }

    /// The values to expect of a model for an input of so many tokens: those of inputs of about that length; `None` if there are
    /// too few in all.
    pub(super) fn cell(&self, model: &str, tokens: u32) -> Option<usize> {
        self.models.get(model)?.buckets[bucket(tokens)]
    }

    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Each model with the number of its records and all of its values; no values if there are too few.
    pub fn models(&self) -> impl Iterator<Item = (&str, usize, Option<&[f64]>)> {
        self.models.iter().map(|(name, model)| {
            let samples = model.all.and_then(|cell| self.cells.get(cell)).map(|cell| &*cell.samples);
            (name.as_str(), model.records, samples)
        })
    }

    /// How many records there are of a model.
    #[must_use]
    pub fn records(&self, model: &str) -> usize {
        self.models.get(model).map_or(0, |model| model.records)
    }
}

/// Buckets joined with their neighbours, from the shortest inputs on, until all have enough. What is left at the end joins the last.
fn joined(buckets: &[Vec<f64>; BUCKETS]) -> Vec<Range<usize>> {
    let (mut ranges, mut from, mut count) = (Vec::<Range<usize>>::new(), 0, 0);
    for (at, bucket) in buckets.iter().enumerate() {
        count += bucket.len();
        if count >= LEAST {
            ranges.push(from..at + 1);
            (from, count) = (at + 1, 0);
        }
    }
    if let Some(last) = ranges.last_mut() {
        last.end = BUCKETS;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(counts: &[(&str, u32, usize, f64)]) -> Learned {
        let mut samples = Samples::new();
        for &(model, tokens, count, value) in counts {
            samples.entry(model.to_owned()).or_default()[bucket(tokens)].extend(vec![value; count]);
        }
        Learned::of(samples)
    }

    #[test]
    fn values_come_from_inputs_of_about_the_same_length() {
        let learned = learned(&[
            ("a", 10, 30, 100.0),
            ("a", 300, 29, 400.0),
            ("a", 500, 31, 800.0),
            ("a", 9000, 2, 3000.0),
            ("b", 10, 29, 1.0),
        ]);
        let mean = |model: &str, tokens| learned.cell(model, tokens).map(|cell| learned.cells()[cell].mean);
        assert_eq!(mean("a", 15), Some(100.0));
        // Too few of about 300 tokens: with those of the next length. Far too few of 9000: with what is nearest.
        let next = (29.0 * 400.0 + 31.0 * 800.0 + 2.0 * 3000.0) / 62.0;
        assert_eq!([20, 300, 500, 9000, 1_000_000].map(|tokens| mean("a", tokens)), [Some(next); 5]);
        assert_eq!((mean("b", 10), mean("c", 10)), (None, None));
        assert_eq!((learned.records("b"), learned.records("c")), (29, 0));
    }

    #[test]
    fn buckets_with_enough_values_stand_alone() {
        let learned = learned(&[("a", 10, 30, 1.0), ("a", 20, 30, 2.0), ("a", 100, 40, 3.0), ("a", 200, 5, 4.0)]);
        let mean = |tokens| learned.cell("a", tokens).map(|cell| learned.cells()[cell].mean);
        let last = (40.0 * 3.0 + 5.0 * 4.0) / 45.0;
        assert_eq!([10, 20, 100, 200].map(mean), [Some(1.0), Some(2.0), Some(last), Some(last)]);
    }
}
