//! Entries as they are in the wild.

use super::*;
use proptest::prelude::*;

fn options() -> Options {
    Options { version: "v1".into(), date: Date::of(0), source: None, providers: Vec::new() }
}

fn imported(format: Format, text: &str) -> Imported {
    import(format, text, options()).expect("imported")
}

/// Verdict and reasons of an entry, as one text.
fn said(imported: &Imported, name: &str) -> String {
    let finding = imported.findings.iter().find(|finding| finding.name == name).expect("a finding");
    format!("{}: {}", finding.verdict, finding.reasons.join("; "))
}

const LITELLM: &str = r#"{
    "sample_spec": {"input_cost_per_token": 0.0, "mode": "one of"},
    "gpt-4o": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": "1e-05", "cache_read_input_token_cost": 1.25e-06,
        "input_cost_per_token_batches": 1.25e-06, "litellm_provider": "openai", "max_tokens": "LEGACY", "mode": "chat"},
    "gemini/gemini-pro": {"input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 3.1e-07,
        "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_above_200k_tokens": 1.5e-05,
        "cache_read_input_token_cost_above_200k_tokens": 6.25e-07, "output_cost_per_reasoning_token": null,
        "litellm_provider": "gemini", "mode": "chat"},
    "dashscope/qwen": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
        {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 4e-06},
        {"range": [32000.0, 128000.0], "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06}]},
    "claude": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05, "cache_creation_input_token_cost": 3.75e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06, "search_context_cost_per_query": {"high": 0.01},
        "input_cost_per_image": 0, "litellm_provider": "anthropic", "mode": "chat"},
    "deepseek": {"input_cost_per_token": 2.8e-07, "input_cost_per_token_cache_hit": 2.8e-08, "output_cost_per_token": 4.2e-07,
        "input_cost_per_token_priority": 0.0, "litellm_provider": "deepseek"},
    "fast": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "input_cost_per_token_above_272k_tokens_priority": 4e-06},
    "tiny": {"input_cost_per_token": 1.5e-16, "output_cost_per_token": 1e-06, "litellm_provider": "x"},
    "embed": {"input_cost_per_token": 2e-08, "litellm_provider": "openai", "mode": "embedding"},
    "dall-e": {"output_cost_per_image": 0.04, "mode": "image_generation"},
    "free": {"input_cost_per_token": 0.0, "output_cost_per_token": 0, "litellm_provider": "ollama"},
    "half": {"input_cost_per_token": 1e-06, "mode": "chat"},
    "words": {"input_cost_per_token": "cheap", "output_cost_per_token": 1e-06},
    "minus": {"input_cost_per_token": -1e-06, "output_cost_per_token": 1e-06},
    "nothing": null,
    "azure/gpt-4o": {"input_cost_per_token": 2.75e-06, "output_cost_per_token": 1.1e-05, "litellm_provider": "azure"}
}"#;

#[test]
fn each_entry_of_litellm_is_exact_approximate_or_left_out_with_the_reason() {
    let imported = imported(Format::LiteLlm, LITELLM);
    for (name, expected) in [
        ("gpt-4o", "exact: "),
        ("gemini/gemini-pro", "exact: "),
        ("dashscope/qwen", "exact: "),
        ("claude", "approximate: not kept: cache_creation_input_token_cost_above_1hr, search_context_cost_per_query"),
        ("deepseek", "exact: "),
        ("fast", "approximate: not kept: input_cost_per_token_above_272k_tokens_priority"),
        ("tiny", "approximate: input_cost_per_token is rounded to a nano-dollar for a million tokens"),
        ("embed", "exact: "),
        ("dall-e", "left out: it is not priced by tokens of input: output_cost_per_image"),
        ("free", "left out: all its prices are 0, which can mean free as well as unknown"),
        ("half", "left out: it has no price of output tokens"),
        ("words", "left out: input_cost_per_token is \"cheap\": not a decimal number"),
        ("minus", "left out: input_cost_per_token is -1e-06: below 0"),
        ("nothing", "left out: it is null, not an object"),
        ("azure/gpt-4o", "exact: "),
    ] {
        assert_eq!(said(&imported, name), expected, "{name}");
    }
    assert_eq!(imported.findings.len(), 15, "each entry has one, the sample none");
    let catalogue = &imported.catalogue;
    let price = |name: &str, tokens: u64| {
        let (entry, how) = catalogue.find(name, "openai").expect(name);
        let rates = *entry.price(0).rates(tokens);
        (
            how,
            [rates.input, rates.output, rates.cache_read, rates.cache_write, rates.reasoning]
                .map(|rate| rate.0 / 1_000_000),
        )
    };
    use crate::Match::{Alias, Exact};
    assert_eq!(price("gpt-4o", 0), (Exact, [2500, 10_000, 1250, 2500, 10_000]));
    // The provider in front is not in the name that its clients send.
    assert_eq!(price("gemini-pro", 200_000), (Alias, [1250, 10_000, 310, 1250, 10_000]));
    assert_eq!(price("gemini-pro", 200_001), (Alias, [2500, 15_000, 625, 2500, 15_000]));
    assert_eq!(price("deepseek", 0).1[2], 28);
    assert_eq!(price("qwen", 32_000).1[0], 1000);
    assert_eq!(price("qwen", 32_001).1[0], 2000);
    assert_eq!(price("embed", 0).1[1], 0);
    assert!(catalogue.find("dall-e", "openai").is_none());
}

#[test]
fn each_entry_of_models_dev_is_exact_approximate_or_left_out_with_the_reason() {
    let text = r#"{
        "openai": {"id": "openai", "models": {
            "gpt": {"id": "gpt", "cost": {"input": 2.5, "output": 10, "cache_read": 0.25, "cache_write": 3.125,
                "tiers": [{"tier": {"size": 272000}, "input": 5, "output": "15", "cache_read": 0.5, "cache_write": 6.25}]}},
            "both": {"cost": {"input": 1, "output": 2, "tiers": [{"input": 2, "output": 3, "tier": {"type": "context", "size": 200000}},
                {"input": 9, "output": 9, "tier": {"type": "night", "size": 8}}], "context_over_200k": {"input": 2, "output": 3}}},
            "audio": {"cost": {"input": 1, "output": 2, "input_audio": 40}},
            "unknown": {"id": "unknown"},
            "fast": {"cost": {"input": 1, "output": 2}, "experimental": {"modes": {"fast": {"cost": {"input": 2}}, "pro": {}}}}
        }},
        "google": {"models": {"gemini": {"cost": {"input": 1.25, "output": 10, "cache_read": 0.31,
            "context_over_200k": {"input": 2.5, "output": 15}}}}},
        "reseller": {"models": {"gpt": {"cost": {"input": 9, "output": 9}}, "own": {"cost": {"input": 1, "output": 1}}}},
        "broken": []
    }"#;
    let imported = imported(Format::ModelsDev, text);
    for (name, expected) in [
        ("openai/gpt", "exact: "),
        ("openai/audio", "approximate: not kept: input_audio"),
        ("openai/both", "approximate: not kept: the prices by night"),
        ("openai/unknown", "left out: it has no price"),
        ("openai/fast", "approximate: not kept: the prices of the modes fast"),
        (
            "google/gemini",
            "approximate: above 200000 input tokens it states no price of cached input; the ordinary one is kept",
        ),
        ("reseller/own", "exact: "),
        ("broken", "left out: it has no object `models`"),
    ] {
        assert_eq!(said(&imported, name), expected, "{name}");
    }
    let input = |name: &str, tokens: u64| {
        let (entry, _) = imported.catalogue.find(name, "openai").expect(name);
        entry.price(0).rates(tokens).input.0 / 1_000_000
    };
    // The maker's price beats that of who resells it.
    assert_eq!(input("gpt", 272_000), 2500);
    assert_eq!(input("gpt", 272_001), 5000);
    assert_eq!(input("reseller/gpt", 0), 9000);
    assert_eq!(input("own", 0), 1000);
}

#[test]
fn only_the_providers_that_are_asked_for_are_kept() {
    let only = Options { providers: vec!["azure".into()], ..options() };
    let imported = import(Format::LiteLlm, LITELLM, only).expect("imported");
    assert_eq!(imported.catalogue.entries().len(), 1);
    assert_eq!(said(&imported, "gpt-4o"), "left out: its provider, openai, was not asked for");
}

#[test]
fn what_is_not_of_the_format_is_refused() {
    for text in ["", "[]", "3", "{}", r#"{"a": {"input_cost_per_token": 0}}"#] {
        assert!(import(Format::LiteLlm, text, options()).is_err(), "{text}");
        assert!(import(Format::ModelsDev, text, options()).is_err(), "{text}");
    }
    let wrong = Options { version: "a b".into(), ..options() };
    assert!(import(Format::LiteLlm, LITELLM, wrong).unwrap_err().contains("is no version"));
}

#[test]
fn what_is_imported_is_a_catalogue_of_our_own() {
    let imported = imported(Format::LiteLlm, LITELLM);
    let text = crate::write(&imported.catalogue);
    assert_eq!(crate::read("prices.json", &text), Ok(imported.catalogue));
}

proptest! {
    #[test]
    fn a_price_per_token_is_imported_exactly(digits in 1..10_000u64, exponent in 6..12i32) {
        let text = format!(r#"{{"m": {{"input_cost_per_token": {digits}e-{exponent}, "output_cost_per_token": 1e-6}}}}"#);
        let imported = import(Format::LiteLlm, &text, options());
        let nano = u128::from(digits) * 10u128.pow(u32::try_from(15 - exponent).unwrap_or(0));
        if nano <= 1_000_000_000_000_000 {
            let imported = imported.expect("imported");
            let (entry, _) = imported.catalogue.find("m", "").expect("found");
            prop_assert_eq!(u128::from(entry.price(0).rates.input.0), nano);
            prop_assert_eq!(imported.findings[0].verdict, Verdict::Exact);
        }
    }

    #[test]
    fn no_json_panics(member in r#"(null|true|-?[0-9]{1,3}(\.[0-9]{1,3})?(e-?[0-9]{1,3})?|"[a-z0-9.e-]{0,8}"|\[\]|\{\})"#, key in 0..4usize) {
        let keys = ["input_cost_per_token", "tiered_pricing", "input_cost_per_token_above_200k_tokens", "mode"];
        let text = format!(r#"{{"m": {{"output_cost_per_token": 1e-6, "{}": {member}}}}}"#, keys[key]);
        let _ = import(Format::LiteLlm, &text, options());
        let _ = import(Format::ModelsDev, &format!(r#"{{"p": {{"models": {{"m": {{"cost": {{"output": 1, "tiers": {member}, "input": {member}}}}}}}}}}}"#), options());
    }
}
