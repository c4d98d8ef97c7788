//! Which settings name models, and the tiers that the gateway makes.

use super::*;

const NAMES: [&str; 3] = ["low-models", "medium-models", "high-models"];

fn manifest(settings: &[(&str, Value)]) -> Manifest {
    let setting = |(name, default): &(&str, Value)| Setting {
        name: (*name).into(),
        summary: String::new(),
        default: default.clone(),
        // By their names, as in version 1.
        meaning: crate::contract::imports_v1::meaning(name, default),
    };
    let settings = settings.iter().map(setting).collect();
    Manifest { settings, ..crate::testing::manifest("p") }
}

fn list(names: &[&str]) -> Value {
    Value::Texts(names.iter().map(|&name| name.into()).collect())
}

fn tiers() -> Manifest {
    manifest(&NAMES.map(|tier| (tier, list(&["of-the-author"]))))
}

/// Models with their price, in dollars a million tokens; `None`: unpriced.
fn models(models: &[(&str, Option<u64>)]) -> Vec<KnownModel> {
    let model = |(name, price): &(&str, Option<u64>)| KnownModel {
        name: (*name).into(),
        price: *price,
        embeds: name.contains("embed"),
    };
    models.iter().map(model).collect()
}

fn made(given: &[(&str, &[&str])], of: &[(&str, Option<u64>)]) -> String {
    let given = given.iter().map(|(setting, names)| ((*setting).to_owned(), list(names))).collect();
    let made = Naming::of(&tiers(), &given, Some(&models(of))).made.expect("tiers");
    format!("{} {}", in_words(&made.models), made.order.in_words())
}

#[test]
fn tiers_are_made_by_price_else_by_the_files_order() {
    type Models<'a> = &'a [(&'a str, Option<u64>)];
    let table: [(Models<'_>, &str); 8] = [
        (&[("a", None)], r#"low-models = ["a"], medium-models = [], high-models = [] in the configuration's order"#),
        (&[("b", Some(9)), ("a", Some(1))], r#"low-models = ["a"], medium-models = [], high-models = ["b"] by price"#),
        (
            &[("b", Some(9)), ("a", None)],
            r#"low-models = ["b"], medium-models = [], high-models = ["a"] in the configuration's order"#,
        ),
        (
            &[("c", Some(3)), ("a", Some(0)), ("b", Some(0))],
            r#"low-models = ["a"], medium-models = ["b"], high-models = ["c"] by price"#,
        ),
        (
            &[("c", Some(0)), ("a", Some(0)), ("b", Some(0))],
            r#"low-models = ["c"], medium-models = ["a"], high-models = ["b"] in the configuration's order"#,
        ),
        (
            &[("d", Some(4)), ("c", Some(3)), ("b", Some(2)), ("a", Some(1))],
            r#"low-models = ["a"], medium-models = ["b", "c"], high-models = ["d"] by price"#,
        ),
        (
            &[("nomic-embed-text", Some(0)), ("a", Some(1)), ("b", Some(2))],
            r#"low-models = ["a"], medium-models = [], high-models = ["b"] by price"#,
        ),
        (
            &[("nomic-embed-text", Some(0))],
            r#"low-models = ["nomic-embed-text"], medium-models = [], high-models = [] in the configuration's order"#,
        ),
    ];
    for (of, expected) in table {
        assert_eq!(made(&[], of), expected);
    }
}

#[test]
fn what_the_operator_sets_is_left_alone() {
    let of = [("a", Some(1)), ("b", Some(2)), ("c", Some(3)), ("d", Some(4))];
    assert_eq!(
        made(&[("high-models", &["b"])], &of),
        r#"low-models = ["a", "c"], medium-models = ["d"] by price"#,
        "the models that no set tier names"
    );
    assert_eq!(
        made(&[("medium-models", &[]), ("low-models", &["a", "b"])], &of),
        r#"high-models = ["c", "d"] by price"#
    );
    let all = NAMES.map(|tier| (tier.to_owned(), list(&["a"]))).into_iter().collect();
    assert_eq!(Naming::of(&tiers(), &all, Some(&models(&of))).made, None);
    assert_eq!(Naming::of(&tiers(), &Settings::new(), None).made, None, "tools do not know the configured models");
    let none = manifest(&[("models", list(&[])), ("low-models", Value::Text(String::new()))]);
    assert_eq!(Naming::of(&none, &Settings::new(), Some(&models(&of))).made, None, "no tier is a list");
}

#[test]
fn settings_that_name_models_are_known_by_their_names() {
    let text = || Value::Text("x".into());
    for (name, default, names) in [
        ("model", text(), true),
        ("models", list(&["x"]), true),
        ("small-model", text(), true),
        ("fallback_models", list(&["x"]), true),
        ("low-models", list(&["x"]), true),
        ("remodel", text(), false),
        ("models-file", text(), false),
        ("max-models", Value::Integer(3), false),
        ("keywords", list(&["x"]), false),
    ] {
        let given = Settings::from([(name.to_owned(), default.clone())]);
        let naming = Naming::of(&manifest(&[(name, default)]), &given, None);
        assert_eq!(!naming.unknown(|_| false).is_empty(), names, "{name}");
    }
}

#[test]
fn unknown_names_are_found_and_refused_if_all_are() {
    let manifest = manifest(&[("models", list(&[])), ("fast-model", Value::Text("of-the-author".into()))]);
    let known = models(&[("a", None), ("b", None)]);
    let naming = |names: &[&str]| Naming::of(&manifest, &Settings::from([("models".to_owned(), list(names))]), None);
    let is_known = |name: &str| known.iter().any(|model| model.name == name);
    assert_eq!(in_words(&naming(&["a", "x"]).unknown(is_known)), r#"fast-model = ["of-the-author"], models = ["x"]"#);
    assert_eq!(naming(&["a", "x"]).refusal(&known), None);
    assert_eq!(naming(&[]).refusal(&known), None, "the operator named none");
    assert_eq!(
        naming(&["x", "y"]).refusal(&known).as_deref(),
        Some(
            "no model that its settings name is configured: models = [\"x\", \"y\"]; expected names of configured models: a, b"
        )
    );
}

#[test]
fn each_model_is_in_one_tier() {
    for count in 1..8 {
        for set in 0..8_u8 {
            let known: Vec<KnownModel> = (0..count)
                .map(|at: u64| KnownModel { name: format!("m{at}"), price: Some(at * 7 % 5), embeds: false })
                .collect();
            let is_set = |tier: &usize| set >> *tier & 1 == 1;
            let given: Settings = (0..3).filter(is_set).map(|tier| (NAMES[tier].to_owned(), list(&["m0"]))).collect();
            let naming = Naming::of(&tiers(), &given, Some(&known));
            let tiers_made = naming.made.as_ref().map_or(0, |made| made.models.len());
            assert_eq!(tiers_made + given.len(), 3);
            if let Some(made) = &naming.made {
                let mut names: Vec<&String> = made.models.values().flatten().collect();
                names.sort();
                let expected: Vec<&String> =
                    known.iter().map(|model| &model.name).filter(|name| given.is_empty() || *name != "m0").collect();
                assert_eq!(names, expected, "{count} models, tiers {set:03b} set");
            }
            assert!(naming.fits(&known));
        }
    }
}
