//! What is to be reached, row by row.

use std::collections::BTreeMap;

use crate::stats::digits;
use crate::table::Table;

enum Target {
    AtMost(f64),
    AtLeast(f64),
}
use Target::{AtLeast, AtMost};

struct Row(&'static str, &'static str, &'static str, Target);

/// What, its unit, the name of its figure, and the target.
#[rustfmt::skip]
const ROWS: [Row; 30] = [
    Row("a decision of `complexity`, 300 bytes, warm, p50", "µs", "decision.complexity.warm.300.3.p50", AtMost(6.0)),
    Row("a decision of `complexity`, 300 bytes, warm, p99", "µs", "decision.complexity.warm.300.3.p99", AtMost(100.0)),
    Row("a decision of `complexity`, 300 bytes, fresh instance, p50", "µs", "decision.complexity.per-call.300.3.p50", AtMost(30.0)),
    Row("a decision of `complexity`, 300 bytes, fresh instance, p99", "µs", "decision.complexity.per-call.300.3.p99", AtMost(100.0)),
    Row("the same policy in JavaScript, warm, p50", "µs", "decision.javascript.warm.300.3.p50", AtMost(200.0)),
    Row("the same policy in Python, warm, p50", "µs", "decision.python.warm.300.3.p50", AtMost(60.0)),
    Row("what a key, two levels of limits and budgets add, p50", "µs", "accounts.request.p50", AtMost(1.5)),
    Row("answers a second, 64 connections, of the reference's", "×", "saturation.ratio", AtLeast(0.65)),
    Row("the same with a line of the log for each", "×", "saturation.log.ratio", AtLeast(0.6)),
    Row("latency added, one connection, 300 bytes, p50, of the reference's", "×", "latency.p50.ratio", AtMost(1.4)),
    Row("latency added, one connection, 300 bytes, p99, of the reference's", "×", "latency.p99.ratio", AtMost(1.4)),
    Row("latency added, one connection, 4 KB, p50, of the reference's", "×", "latency.4k.p50.ratio", AtMost(1.4)),
    Row("latency added, one connection, 4 KB, p99, of the reference's", "×", "latency.4k.p99.ratio", AtMost(1.4)),
    Row("first event of a stream added, p50, of the reference's", "×", "streams.first.ratio", AtMost(1.25)),
    Row("each event of a stream added, p50, of the reference's", "×", "streams.event.ratio", AtMost(1.25)),
    Row("CPU an event, 64 streams, of the reference's", "×", "streams.cpu.ratio", AtMost(1.5)),
    Row("failed requests in 100 swaps between Rust policies, 10 a second", "", "swaps.paced.failed", AtMost(0.0)),
    Row("p99 in these swaps, of that without", "×", "swaps.paced.p99.ratio", AtMost(2.0)),
    Row("failed requests in 100 swaps, each as soon as the last was seen", "", "swaps.at_once.failed", AtMost(0.0)),
    Row("p99 in these swaps, of that without", "×", "swaps.at_once.p99.ratio", AtMost(2.0)),
    Row("failed requests while 12 MB of JavaScript are compiled", "", "swaps.javascript.failed", AtMost(0.0)),
    Row("p99 meanwhile, of that without", "×", "swaps.javascript.p99.ratio", AtMost(3.0)),
    Row("memory after 1,000 reloads, of that after 50", "×", "reloads.memory.ratio", AtMost(1.1)),
    Row("resident memory, idle", "MiB", "memory.idle", AtMost(30.0)),
    Row("resident memory, after load", "MiB", "memory.loaded", AtMost(45.0)),
    Row("records that the ledger takes a second, synced", "", "ledger.records", AtLeast(20_000.0)),
    Row("100,000 logged decisions, asked again of `complexity`", "s", "replay.complexity.seconds", AtMost(5.0)),
    Row("the same of the example policy in JavaScript", "s", "replay.javascript.seconds", AtMost(60.0)),
    Row("what handing a request to the decision log takes, p50", "µs", "decisions.request.p50", AtMost(1.0)),
    Row("start to first answer", "s", "start.seconds", AtMost(0.15)),
];

/// The table, of the figures that are known.
pub(crate) fn table(figures: &BTreeMap<String, f64>) -> String {
    let mut table = Table::new(["what", "target", "reached", "reached / target", ""]);
    for Row(what, unit, name, target) in &ROWS {
        let (sign, bound) = match target {
            AtMost(bound) => ("≤", *bound),
            AtLeast(bound) => ("≥", *bound),
        };
        let told = match figures.get(*name) {
            None => ["-", "-", "not measured"].map(str::to_owned),
            Some(&reached) => {
                let met = match target {
                    AtMost(bound) => reached <= *bound,
                    AtLeast(bound) => reached >= *bound,
                };
                let ratio = if bound == 0.0 { "-".to_owned() } else { digits(reached / bound) };
                [format!("{} {unit}", digits(reached)), ratio, if met { "met" } else { "**missed**" }.to_owned()]
            }
        };
        let [reached, ratio, met] = told;
        table.row([(*what).to_owned(), format!("{sign} {} {unit}", digits(bound)), reached, ratio, met]);
    }
    table.text()
}
