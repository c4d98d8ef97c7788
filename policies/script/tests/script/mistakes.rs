//! What `configure` refuses, and with which words.

use crate::{cost, routing};
use policy_script::{CostScript, RoutingScript};
use proptest::prelude::{Strategy, any, prop_assert, proptest};
use wasmgate_policy::testing::request;
use wasmgate_policy::{Denial, Policy, Routing, Settings};

const ROUTE: &str = "the script should define fn route(request, candidates), but ";

#[test]
fn what_is_not_a_policy() {
    let table = [
        ("", "is empty; write it in Rhai, in the file or the setting"),
        (" \n", "is empty; write it in Rhai, in the file or the setting"),
        ("// nothing", "has no function of that name"),
        ("fn estimate(request, candidates) { [] }", "has no function of that name"),
        ("fn route(request, candidates, x) { pass() }", "its fn route has 3 parameters, not 2"),
        ("fn route(request) { pass() }", "its fn route has 1 parameter, not 2"),
        ("fn Route(request, candidates) { pass() }", "has no function of that name"),
    ];
    for (script, expected) in table {
        assert_eq!(routing(script).err().unwrap(), format!("{ROUTE}{expected}"), "{script}");
    }
    let refused = "the script should define fn estimate(request, candidates), but has no function of that name";
    assert_eq!(cost("fn route(request, candidates) { pass() }").err().unwrap(), refused);
}

#[test]
fn what_is_no_script() {
    let table = [
        ("fn route(request, candidates) {\n  let x = ;\n}", "line 2, column 11: Unexpected ';'"),
        ("fn route(request, candidates) {\n  pass()", "line 2, column 9: Expecting ';' to terminate this statement"),
        ("fn route(request, candidates) { if limit > 3 { pass() } }", "line 1, column 36: Undefined variable: limit"),
        ("const A = 1;\nconst B = A + nothing;", "line 2, column 15: Variable not found: nothing"),
        ("throw \"not today\"", "line 1, column 1: not today"),
        ("import \"x\" as y;", "line 1, column 1: 'import' is a reserved keyword"),
        ("let a = eval(\"1\");", "line 1, column 9: reserved keyword 'eval' is disabled"),
        ("route_to([], \"\")", "line 1, column 1: route_to is for fn route, not for the script's top level"),
        ("loop { 1; }", "line 1, column 8: more than 50000 operations: a loop without end?"),
        ("let f = Fn(\"route\");", "line 1, column 9: reserved keyword 'Fn' is disabled"),
    ];
    for (script, expected) in table {
        assert_eq!(routing(script).err().unwrap(), format!("script: {expected}"), "{script}");
    }
}

#[test]
fn the_manifest_needs_no_script() {
    assert_eq!(RoutingScript::manifest(), CostScript::manifest());
    assert_eq!(RoutingScript::manifest().name, "script");
    assert!(RoutingScript::configure(&Settings::of([])).is_err());
}

#[test]
fn functions_see_what_the_top_level_defined() {
    let script = "const LIMIT = 3; let names = [\"a\", `b${LIMIT}`];\n\
                  fn shadow(LIMIT) { LIMIT }\n\
                  fn route(request, candidates) { deny(\"x\", `${LIMIT} ${names[1]} ${shadow(1)}`) }";
    let policy = routing(script).unwrap();
    let verdict = policy.route(&request(""), &[]);
    assert_eq!(verdict, Ok(Denial::new("x", "3 b3 1").into()));
    let refused = routing("const A = 1; fn route(request, candidates) { A = 2; pass() }");
    assert!(refused.is_ok_and(|policy| {
        let failed = policy.route(&request(""), &[]);
        failed == Err("line 1, column 46: Cannot modify constant A".into())
    }));
}

#[test]
fn closures_see_what_the_top_level_defined() {
    let script = "const SMALL = [\"a\", \"b\"]; const MIN = 2;\n\
                  fn count(texts) { let own = 1; texts.filter(|t| SMALL.contains(t) && t.len() >= MIN - own).len() }\n\
                  fn nested(MIN) { [1, 2, 3].filter(|n| [n].some(|m| m > MIN)).len() }\n\
                  fn route(request, candidates) { deny(\"x\", `${count([\"a\", \"c\", \"\"])} ${nested(1)}`) }";
    let verdict = routing(script).unwrap().route(&request(""), &[]);
    assert_eq!(verdict, Ok(Denial::new("x", "1 2").into()));
}

#[test]
fn a_mistake_inside_functions_keeps_its_line() {
    for (script, expected) in [
        ("fn route(r, c) {\n  inner()\n}\nfn inner() {\n  throw \"no idea\"\n}", "line 5, column 3: no idea"),
        ("fn route(r, c) {\n  [1].filter(|n|\n    nothing(n))\n}", "line 3, column 5: "),
    ] {
        let failed = routing(script).unwrap().route(&request(""), &[]).unwrap_err();
        assert!(failed.starts_with(expected), "{script}: {failed}");
    }
}

/// Pieces of the language in any order: nearly scripts.
fn nearly_a_script() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(
        &[
            "fn ",
            "route",
            "estimate",
            "(request, candidates)",
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            "let ",
            "const ",
            "x",
            "= ",
            "== ",
            "+ ",
            "- ",
            "* ",
            "/ ",
            "0",
            "1",
            "-9223372036854775808",
            "0.1",
            "1e308",
            "\"a\"",
            "`${",
            "`",
            "\"",
            "'",
            "'c'",
            ";",
            "\n",
            "if ",
            "else ",
            "while ",
            "loop ",
            "for ",
            "in ",
            "do ",
            "until ",
            "break ",
            "continue ",
            "return ",
            "throw ",
            "try ",
            "catch ",
            "switch ",
            "=> ",
            "_",
            "|",
            "||",
            "&&",
            ".",
            "?.",
            "..",
            "..=",
            ":",
            "::",
            "#{",
            ",",
            "!",
            "~",
            "%",
            "**",
            "<<",
            ">>",
            "??",
            "pass()",
            "keywords",
            "matches",
            "by",
            "this",
            "()",
            "len",
            "\\u{1F600}",
            "é",
            "/*",
            "*/",
            "// ",
            "#!",
            "0x",
            "0b1",
            "global",
            "Fn(",
            "curry",
            "call",
            "is_def_fn",
            "sort",
            "pad",
            "split",
            "print(",
            "debug(",
            "range(",
        ][..],
    );
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_is_too_much(script in any::<String>()) {
        prop_assert!(routing(&script).is_err() && cost(&script).is_err());
    }

    #[test]
    fn nor_is_what_nearly_is_a_script(script in nearly_a_script()) {
        let whole = format!("fn route(request, candidates) {{ {script} }}");
        for script in [&script, &whole] {
            if let Err(refused) = routing(script) {
                prop_assert!((refused.starts_with("script: ") || refused.starts_with("the script ")) && refused.len() < 400, "{}", refused);
            }
        }
    }
}
