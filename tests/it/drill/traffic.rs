//! Faults of traffic.

use super::faults::{ask, flood, models, quiet};
use super::{Drill, To};

pub(super) const TRAFFIC: &[Drill] = &[
    Drill {
        fault: "one request in eight fails",
        setup: models,
        inject: |stack| ask(stack, 20, &[("flaky", 2), ("good", 6)]),
        repair: flood,
        told: &[(To::Critical, "HighErrorRate")],
        inhibited: &["ErrorBudgetBurnSlow"],
        remembered: &["ErrorBudgetBurnSlow"],
    },
    Drill {
        fault: "half of very few requests fail",
        setup: models,
        inject: |stack| ask(stack, 1200, &[("flaky", 1)]),
        repair: flood,
        told: &[(To::Critical, "ErrorBudgetBurnFast")],
        inhibited: &["ErrorBudgetBurnSlow"],
        remembered: &["ErrorBudgetBurnSlow"],
    },
    Drill {
        fault: "one request in twelve fails",
        setup: models,
        inject: |stack| ask(stack, 20, &[("flaky", 2), ("good", 10)]),
        repair: flood,
        told: &[(To::Warning, "ErrorBudgetBurnSlow")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "answers take twelve seconds",
        setup: models,
        inject: |stack| [0, 900, 1800, 2700].iter().flat_map(|&pause| ask(stack, pause, &[("slow", 1)])).collect(),
        repair: quiet,
        told: &[(To::Warning, "SlowResponses")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "a few answers cost much",
        setup: models,
        inject: |stack| {
            let load = ask(stack, 500, &[("dear", 1)]);
            load[0].wait_answered(4);
            Vec::new()
        },
        repair: quiet,
        told: &[(To::Warning, "HighAPICosts")],
        inhibited: &[],
        remembered: &[],
    },
    Drill {
        fault: "all goes to the cloud",
        setup: models,
        inject: |stack| ask(stack, 100, &[("cloudy", 1)]),
        repair: flood,
        told: &[(To::Warning, "ExcessiveCloudUsage")],
        inhibited: &["LowLocalRouting"],
        remembered: &["LowLocalRouting"],
    },
];
