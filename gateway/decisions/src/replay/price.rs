//! What a choice costs and takes: as measured if the log has it, else as the log's other requests let expect.

use super::learned::{LEAST, Learned};
use super::sums::Amount;
use crate::models::ModelTable;
use crate::record::{CostBasis, Decision};

/// A second, in millionths.
const SECOND: u64 = 1_000_000;

/// Why there is no cost of a choice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NoCost {
    /// No call was billed, so that the tokens of the request are not known.
    NoTokens,
    /// The answer is not whole: what was billed of it does not compare with a whole answer of another model.
    NotWhole,
    /// The model has no price.
    NoPrice(String),
    /// The model has too few records to say how long its answers are.
    TooFew(String),
}

/// What a choice costs, in millionths of nano-dollars.
pub(super) fn cost(
    decision: &Decision,
    table: &ModelTable,
    choice: Option<&str>,
    outputs: &Learned,
) -> Result<Amount, NoCost> {
    let Some(model) = choice else { return Ok(Amount::known(0)) };
    let (outcome, million) = (&decision.outcome, 1_000_000);
    let Some(last) = outcome.calls.last() else { return Err(NoCost::NoTokens) };
    // What was chosen has cost all that was billed: also what failed, and fallbacks.
    if Some(model) == decision.chosen.as_deref() {
        let unpriced = outcome.calls.iter().find(|call| call.cost.is_none());
        return match (unpriced, outcome.cost) {
            (None, Some(cost)) if outcome.cost_basis != Some(CostBasis::Unpriced) => {
                Ok(Amount::known(u128::from(cost) * million))
            }
            (unpriced, _) => Err(NoCost::NoPrice(unpriced.unwrap_or(last).model.clone())),
        };
    }
    if let Some(call) = outcome.calls.iter().find(|call| call.answered && call.model == model) {
        let cost = call.cost.ok_or_else(|| NoCost::NoPrice(model.to_owned()))?;
        return Ok(Amount::known(u128::from(cost) * million));
    }
    if !outcome.is_finished() {
        return Err(NoCost::NotWhole);
    }
    let price = table.position(model).and_then(|position| table.rows()[position].price);
    let price = price.ok_or_else(|| NoCost::NoPrice(model.to_owned()))?;
    // Another model's prompt cache does not hold what this one's held.
    let input = last.input_tokens.saturating_add(last.cache_read_tokens).saturating_add(last.cache_write_tokens);
    let cell = outputs.cell(model, decision.request.prompt_tokens).ok_or_else(|| NoCost::TooFew(model.to_owned()))?;
    Ok(Amount { known: u128::from(input) * u128::from(price.input), expected: Some((cell, price.output)) })
}

/// How long a choice takes to answer, in millionths of seconds; `None` if the log does not say.
pub(super) fn seconds(decision: &Decision, choice: Option<&str>, seconds: &Learned) -> Option<Amount> {
    let (model, outcome) = (choice?, &decision.outcome);
    let answered = outcome.calls.iter().find(|call| call.answered).filter(|_| outcome.is_finished())?;
    let measured = |seconds: f64| Amount::known((seconds * SECOND as f64).round() as u128);
    // What was chosen has taken all that was tried: also what failed before a fallback answered.
    if Some(model) == decision.chosen.as_deref() && !outcome.attempts.is_empty() {
        return Some(measured(outcome.seconds));
    }
    if Some(model) == decision.chosen.as_deref() || model == answered.model {
        return outcome.model_seconds.map(measured);
    }
    let cell = seconds.cell(model, decision.request.prompt_tokens)?;
    Some(Amount { known: 0, expected: Some((cell, SECOND)) })
}

impl NoCost {
    /// The reason and its model.
    pub(super) fn in_words(&self) -> (String, Option<&str>) {
        match self {
            Self::NoTokens => ("no call was billed".to_owned(), None),
            Self::NotWhole => ("the answer is not whole".to_owned(), None),
            Self::NoPrice(model) => ("the model has no price".to_owned(), Some(model)),
            Self::TooFew(model) => (format!("the log has fewer than {LEAST} answers of the model"), Some(model)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{ModelRow, RowPrice};
    use crate::record::Attempt;
    use crate::replay::learned::Gathered;
    use crate::replay::sample::answered;

    fn table(other: Option<RowPrice>) -> ModelTable {
        let row = |name: &str, price| ModelRow {
            name: name.to_owned(),
            backend: name.to_owned(),
            location: "cloud".to_owned(),
            price,
            context_window: None,
            capabilities: Vec::new(),
            labels: Vec::new(),
        };
        ModelTable::new(vec![row("this", other), row("other", other)])
    }

    #[test]
    fn another_choice_costs_the_same_input_and_the_output_to_expect_of_it() {
        let price = RowPrice { input: 7, output: 11, cache_read: None, cache_write: None, reasoning: None };
        let (priced, unpriced) = (table(Some(price)), table(None));
        let mut gathered = Gathered::default();
        (0..30).for_each(|_| gathered.note(&answered("other", 20)));
        let evidence = gathered.learned();
        let none = Learned::default();
        let mut decision = answered("this", 5);
        let of = |decision: &Decision, table, choice, outputs| cost(decision, table, choice, outputs);
        assert_eq!(of(&decision, &priced, Some("this"), &none), Ok(Amount::known(1_000_000_000)));
        assert_eq!(of(&decision, &priced, None, &none), Ok(Amount::known(0)));
        let expected = Amount { known: 100 * 7, expected: evidence.outputs.cell("other", 100).map(|cell| (cell, 11)) };
        assert_eq!(of(&decision, &priced, Some("other"), &evidence.outputs), Ok(expected));
        assert_eq!(expected.mean(&evidence.outputs), (100 * 7 + 20 * 11) as f64 / 1e6);
        let other = || "other".to_owned();
        assert_eq!(of(&decision, &priced, Some("other"), &none), Err(NoCost::TooFew(other())));
        assert_eq!(of(&decision, &unpriced, Some("other"), &none), Err(NoCost::NoPrice(other())));
        // A fallback answered: to choose it at once costs its call.
        decision.chosen = Some("first".to_owned());
        assert_eq!(of(&decision, &unpriced, Some("this"), &none), Ok(Amount::known(1_000_000_000)));
        decision.outcome.calls.clear();
        assert_eq!(of(&decision, &priced, Some("other"), &none), Err(NoCost::NoTokens));

        let decision = answered("this", 5);
        assert_eq!(seconds(&decision, Some("this"), &none), Some(Amount::known(2_000_000)));
        assert_eq!(seconds(&decision, Some("other"), &none), None);
        let expected = seconds(&decision, Some("other"), &evidence.seconds).unwrap();
        assert_eq!(expected.mean(&evidence.seconds), 2.0);

        // What was chosen failed, and a fallback answered.
        let attempt = Attempt { model: "first".to_owned(), failure: "timeout".to_owned(), retried: false };
        let mut decision = Decision { chosen: Some("first".to_owned()), ..decision };
        decision.outcome.attempts.push(attempt);
        assert_eq!(seconds(&decision, Some("first"), &none), Some(Amount::known(2_500_000)));
        assert_eq!(seconds(&decision, Some("this"), &none), Some(Amount::known(2_000_000)));

        // A client went away.
        let mut decision = answered("this", 5);
        "abandoned".clone_into(&mut decision.outcome.ending);
        assert_eq!(of(&decision, &priced, Some("this"), &none), Ok(Amount::known(1_000_000_000)));
        assert_eq!(of(&decision, &priced, Some("other"), &evidence.outputs), Err(NoCost::NotWhole));
        assert_eq!(seconds(&decision, Some("this"), &none), None);
    }
}
