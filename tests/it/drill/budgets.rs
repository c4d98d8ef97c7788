//! Groups that spend their budgets, and what is to expire.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmgate_accounts::{KeyHash, time};
use wasmgate_tests::gateway::Setup;
use wasmgate_tests::monitoring::load::{Load, prompt_with_key};
use wasmgate_tests::monitoring::stack::{Ollama, Stack};
use wasmgate_tests::tls::Authority;

use super::faults::{models, quiet};
use super::{Drill, To};

pub(super) const BUDGETS: &[Drill] = &[
    Drill {
        fault: "a group has spent nine tenths of its budget",
        setup: with_budget,
        inject: |stack| {
            spend(stack, 9);
            Vec::new()
        },
        repair: raise,
        told: &[(To::Warning, "BudgetNearlyExhausted")],
        inhibited: &[],
        says: &["Group team has 10% of its budget a month left (0.02 US dollars), and the month ends in "],
    },
    Drill {
        fault: "a group has spent its budget",
        setup: with_budget,
        inject: |stack| {
            spend(stack, 10);
            let refused = stack.gateway.send(prompt_with_key("billed", "hello", KEY)).expect(429);
            assert!(refused.text().contains("insufficient_quota"), "{}", refused.text());
            Vec::new()
        },
        repair: raise,
        told: &[(To::Warning, "BudgetExhausted")],
        inhibited: &[],
        says: &["Group team has 0% of its budget a month left (0.00 US dollars); ", "The month ends in "],
    },
    Drill {
        fault: "a file of prices would lose a price in use",
        setup: |ollama| {
            let listed =
                "[backends.listed]\nkind = \"sim\"\nlocation = \"cloud\"\n[models.listed]\nbackend = \"listed\"\n";
            models(ollama)
                .top("[prices]\nfile = \"prices.toml\"")
                .models(listed)
                .file("prices.toml", prices(&today(), "listed").as_bytes())
        },
        inject: |stack| {
            stack.gateway.put("prices.toml", prices(&today(), "other").as_bytes());
            Vec::new()
        },
        repair: |stack| {
            stack.gateway.put("prices.toml", prices(&today(), "listed").as_bytes());
            Vec::new()
        },
        told: &[(To::Warning, "PriceReloadRejected")],
        inhibited: &[],
        says: &["refused its current file of prices; the last good one stays in force"],
    },
    Drill {
        fault: "the catalogue of prices is of last year",
        setup: |ollama| {
            let listed =
                "[backends.listed]\nkind = \"sim\"\nlocation = \"cloud\"\n[models.listed]\nbackend = \"listed\"\n";
            models(ollama)
                .top("[prices]\nfile = \"prices.toml\"")
                .models(listed)
                .file("prices.toml", prices(&today(), "listed").as_bytes())
        },
        inject: |stack| {
            stack.gateway.put("prices.toml", prices("2025-01-01", "listed").as_bytes());
            Vec::new()
        },
        repair: |stack| {
            stack.gateway.put("prices.toml", prices(&today(), "listed").as_bytes());
            Vec::new()
        },
        told: &[(To::Info, "PriceCatalogueOld")],
        inhibited: &[],
        says: &["The prices of the catalogue drill (file) are "],
    },
    Drill {
        fault: "root certificates of a backend expire tomorrow",
        setup: |ollama| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let tomorrow = time::format(now + 86_400).replace(['-', ':', 'T'], "");
            let authority = Authority::new("test");
            let soon = authority.issue_until("soon", &tomorrow[2..]);
            models(ollama)
                .models(
                    "[backends.secure]\nkind = \"openai\"\nurl = \"https://localhost:1\"\nca_file = \"good.pem\"\n\
                     probe_interval_seconds = 0\n",
                )
                .file("good.pem", authority.pem().as_bytes())
                .file("soon.pem", soon.pem().as_bytes())
        },
        inject: |stack| {
            stack.gateway.edit_config("good.pem", "soon.pem");
            Vec::new()
        },
        repair: |stack| {
            stack.gateway.edit_config("soon.pem", "good.pem");
            quiet(stack)
        },
        told: &[(To::Warning, "CertificateExpiring")],
        inhibited: &[],
        says: &["The last of the root certificates from a file for backend secure of the gateway at "],
    },
];

/// A catalogue of a day with the price of one model.
fn prices(date: &str, model: &str) -> String {
    format!(
        "format = 1\nversion = \"drill\"\ndate = {date}\n[models.{model}]\nusd_per_million_tokens = {{ input = 1, output = 1 }}\n"
    )
}

fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    time::format(now)[..10].to_owned()
}

const KEY: &str = "wg-team-0123456789";

/// Ten answers of `billed`, 24 tokens each, are what the group may spend. More is reserved for none.
fn with_budget(ollama: &Ollama) -> Setup {
    let hash = KeyHash::of(KEY.as_bytes());
    models(ollama)
        .server("auth = \"optional\"")
        .top(&format!(
            "[groups.team]\nlimits.usd_per_month = 0.24\n[budgets]\nreserve_max_usd = 0.024\n[keys.team]\n\
             group = \"team\"\nsha256 = \"{hash}\""
        ))
        .models(
            "[models.billed]\nbackend = \"quick\"\n\
             price = { input_usd_per_million_tokens = 0, output_usd_per_million_tokens = 1000 }\n",
        )
}

fn spend(stack: &Stack, answers: usize) {
    for _ in 0..answers {
        let _ = stack.gateway.send(prompt_with_key("billed", "hello", KEY)).expect(200);
    }
}

fn raise(stack: &mut Stack) -> Vec<Load> {
    stack.gateway.edit_config("usd_per_month = 0.24", "usd_per_month = 24");
    Vec::new()
}
