//! How many series the configuration explains. An alert compares it with what a scrape has: more are a sign that something
//! makes series that nobody configured.

use super::pairs::DIFFERENT;
use super::policies::InSlot;
use super::register::{Families, Labels};
use super::retired::{MAX_RETIRED, Retired};
use super::shadows::Comparison;
use crate::backend::Catalog;
use crate::error::Reason;

/// Families whose series exist only from their first event on. They are counted as if each had happened.
const FROM_THE_FIRST_EVENT: [&str; 3] =
    ["api_gateway_fallbacks_total", "api_gateway_policy_shadow_choices_total", "api_gateway_retries_total"];

/// The series of what serves, those of the replaced versions that are kept, and those of all events that may come.
pub(super) fn series(families: &Families, serving: &Retired, slots: &[InSlot<'_>], catalog: &Catalog) -> usize {
    let is_serving = serving.keep();
    let (mut all, mut of_versions) = (0, 0);
    for family in families.gather().iter().filter(|family| !FROM_THE_FIRST_EVENT.contains(&family.name())) {
        for metric in family.get_metric() {
            let labels: Labels<'_> = metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
            if !is_serving(&labels) {
                continue;
            }
            // A histogram also has the bucket of all, a sum and a count.
            let samples = match metric.get_histogram().get_bucket().len() {
                0 => 1,
                buckets => buckets + 3,
            };
            all += samples;
            if labels.contains_key("version") && labels.contains_key("policy") {
                of_versions += samples;
            }
        }
    }
    let shadows = slots.iter().filter(|slot| slot.labels.mode == "shadow").count();
    // `none` is a choice as well.
    let choices = shadows * (catalog.models().len() + 1 + DIFFERENT + 1);
    let reasons = Reason::ALL.len();
    all + choices
        + reasons * (DIFFERENT + 1)
        + reasons * catalog.backends().len()
        + MAX_RETIRED * (of_versions + choices + shadows * Comparison::ALL.len())
}
