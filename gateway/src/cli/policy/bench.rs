//! `wasmgate policy bench`: measures a policy's cost, and optionally compares it with another policy's.

use std::fmt::Write;
use std::path::Path;

use serde_json::json;
use wasmgate_policy_host::Policy;
use wasmgate_policy_host::bench;
use wasmgate_policy_host::bench::{Bench, BenchError, Rounds, Spread};

use super::run::Asked;
use super::target::Subject;
use super::{Failed, format, progress};

/// See the module.
pub(super) async fn bench(
    subject: &Subject,
    asked: &Asked,
    against: Option<&Path>,
    calls: usize,
    json: bool,
) -> Result<String, Failed> {
    let mut columns = vec![measure(subject, asked, calls).await?];
    if let Some(policy) = against {
        columns.push(measure(&subject.sibling(policy), asked, calls).await?);
    }
    Ok(if json { as_json(&columns) } else { in_words(&columns) })
}

/// The measurements of one policy, by hook.
struct Column {
    name: String,
    bytes: usize,
    hooks: Vec<(&'static str, Bench)>,
}

async fn measure(subject: &Subject, asked: &Asked, calls: usize) -> Result<Column, Failed> {
    let (loaded, question) = (subject.read()?, asked.question()?);
    let rounds = Rounds { fresh: (calls / 10).max(1), warm: calls };
    let mut hooks = Vec::new();
    // Loaded first, so that notes on missing hooks precede the measurements.
    let policies = loaded.policies().await?;
    for hook in policies.iter().map(Policy::hook) {
        let what = format!("measuring {}, {}", loaded.name, hook.as_str());
        let work = bench::bench(&loaded.source, hook, &loaded.settings, &loaded.limits, &question, rounds);
        let measured = super::quietly(progress::shown(&what, work)).await.map_err(|error| match error {
            BenchError::Engine(error) => Failed::Machine(error.to_string()),
            error => Failed::Refused(format!("{}: {error}", loaded.name)),
        })?;
        hooks.push((hook.as_str(), measured));
    }
    Ok(Column { name: loaded.name, bytes: loaded.source.bytes.len(), hooks })
}

/// Reads one figure from the measurements.
type Figure<T> = fn(&Bench) -> T;

fn in_words(columns: &[Column]) -> String {
    let mut text = String::new();
    let hooks: Vec<&str> = columns[0].hooks.iter().map(|(hook, _)| *hook).collect();
    for hook in hooks {
        let of_hook =
            |column: &Column| column.hooks.iter().find(|(name, _)| *name == hook).map(|(_, bench)| bench.clone());
        let benches: Vec<Option<Bench>> = columns.iter().map(of_hook).collect();
        // Writing to a String cannot fail.
        let _ = write!(text, "{hook:<28}");
        for column in columns {
            let _ = write!(text, "{:>24}", end(&column.name));
        }
        text.push('\n');
        let sizes = columns.iter().map(|column| format::bytes(column.bytes)).collect();
        row(&mut text, "component", sizes, None);
        let times: [(&str, Figure<Spread>); 3] = [
            ("instance", |bench| bench.instantiate),
            ("first call", |bench| bench.first_call),
            ("warm call", |bench| bench.warm_call),
        ];
        let load = |bench: &Bench| format::time(bench.load);
        row(&mut text, "compiled and admitted in", told(&benches, load), None);
        for (name, of) in times {
            let shown = |bench: &Bench| format!("{} / {}", format::time(of(bench).p50), format::time(of(bench).p99));
            let ratio = ratio(&benches, |bench| of(bench).p50.as_secs_f64());
            row(&mut text, &format!("{name}, p50 / p99"), told(&benches, shown), ratio);
        }
        let memory = |bench: &Bench| {
            format!("{} / {}", format::bytes(bench.first_memory_bytes), format::bytes(bench.memory_bytes))
        };
        row(&mut text, "memory, first / last call", told(&benches, memory), None);
        let counts: [(&str, Figure<u64>); 3] = [
            ("instructions, instance", |bench| bench.instructions.instantiate),
            ("instructions, first call", |bench| bench.instructions.first_call),
            ("instructions, warm call", |bench| bench.instructions.warm_call),
        ];
        for (name, of) in counts {
            let ratio = ratio(&benches, |bench| of(bench) as f64);
            row(&mut text, name, told(&benches, |bench| format::count(of(bench))), ratio);
        }
        text.push('\n');
    }
    text
}

/// The end of a path that fits a column.
fn end(name: &str) -> String {
    const ROOM: usize = 22;
    let length = name.chars().count();
    if length <= ROOM {
        name.to_owned()
    } else {
        format!("…{}", name.chars().skip(length + 1 - ROOM).collect::<String>())
    }
}

fn told(benches: &[Option<Bench>], of: impl Fn(&Bench) -> String) -> Vec<String> {
    benches.iter().map(|bench| bench.as_ref().map_or("-".to_owned(), &of)).collect()
}

/// The first policy's figure divided by the second's.
fn ratio(benches: &[Option<Bench>], of: impl Fn(&Bench) -> f64) -> Option<f64> {
    match benches {
        [Some(one), Some(other)] if of(other) > 0.0 => Some(of(one) / of(other)),
        _ => None,
    }
}

fn row(text: &mut String, name: &str, cells: Vec<String>, ratio: Option<f64>) {
    let _ = write!(text, "  {name:<26}");
    for cell in cells {
        let _ = write!(text, "{cell:>24}");
    }
    if let Some(ratio) = ratio {
        let _ = write!(text, "   {ratio:.2} ×");
    }
    text.push('\n');
}

fn as_json(columns: &[Column]) -> String {
    let spread = |spread: Spread| json!({"p50": spread.p50.as_secs_f64(), "p99": spread.p99.as_secs_f64()});
    let hook = |bench: &Bench| {
        json!({
            "load_seconds": bench.load.as_secs_f64(),
            "instance_seconds": spread(bench.instantiate),
            "first_call_seconds": spread(bench.first_call),
            "warm_call_seconds": spread(bench.warm_call),
            "first_memory_bytes": bench.first_memory_bytes,
            "memory_bytes": bench.memory_bytes,
            "instructions": {
                "instance": bench.instructions.instantiate,
                "first_call": bench.instructions.first_call,
                "warm_call": bench.instructions.warm_call,
            },
        })
    };
    let columns: Vec<_> = columns
        .iter()
        .map(|column| {
            let hooks = column.hooks.iter().map(|(name, bench)| ((*name).to_owned(), hook(bench)));
            json!({"policy": column.name, "bytes": column.bytes, "hooks": hooks.collect::<serde_json::Map<_, _>>()})
        })
        .collect();
    format!("{:#}\n", json!(columns))
}
