//! `wasmgate keys` and `wasmgate groups` as an operator types them, against a real gateway.

use serde_json::Value;
use wasmgate_tests::gateway::Gateway;
use wasmgate_tests::process::{Exit, run};

use super::managed::{chat, refused};

/// Runs a command against the gateway's admin listener.
fn act(gateway: &Gateway, arguments: &[&str]) -> Exit {
    let url = format!("http://{}", gateway.admin);
    run(&[&arguments[..1], &["--admin", &url], &arguments[1..]].concat())
}

#[track_caller]
fn done(gateway: &Gateway, arguments: &[&str], said: &[&str]) -> Exit {
    let exit = act(gateway, arguments);
    exit.expect(0, said);
    exit
}

fn json(gateway: &Gateway, arguments: &[&str]) -> Value {
    let exit = done(gateway, arguments, &[]);
    serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{error}: {}", exit.stdout))
}

#[test]
fn a_key_and_its_group_from_the_first_to_the_last_command() {
    let gateway = Gateway::setup().top("state_dir = \"kept\"\n[groups.acme]").server("auth = \"required\"").start();
    done(&gateway, &["keys", "list"], &["no keys"]);
    let limits = ["--limit", "requests_per_day=5", "--limit", "usd_per_month=0.5"];
    let group =
        [&["groups", "new", "team", "--parent", "acme", "--label", "plan=gold", "--model", "phi2"], &limits[..]];
    done(&gateway, &group.concat(), &["team", "acme", "plan=gold", "models phi2", "requests_per_day=5"]);
    let new = ["keys", "new", "--group", "team", "--name", "Anna's laptop", "--expires-after-days", "30"];
    let made = done(&gateway, &new, &["Anna's laptop", "team", "valid"]);
    // The key alone is on standard output, so that a script can take it.
    let key = made.stdout.trim();
    assert!(key.starts_with("wg-") && key.len() == 67 && !made.stderr.contains(key), "{}", made.text());
    let _ = chat(&gateway, key, "phi2").expect(200);
    let listed = json(&gateway, &["keys", "--json", "list", "--group", "team"]);
    let id = listed["keys"][0]["id"].as_str().unwrap();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
    done(
        &gateway,
        &["keys", "update", id, "--name", "Anna", "--label", "region=eu", "--never-expires"],
        &["region=eu"],
    );
    let shown = json(&gateway, &["keys", "--json", "show", id]);
    assert_eq!((&shown["name"], &shown["expires"]), (&"Anna".into(), &Value::Null));
    let rotated =
        done(&gateway, &["keys", "rotate", id, "--grace-hours", "1"], &["before the rotation is valid until"]);
    let newer = rotated.stdout.trim();
    for key in [key, newer] {
        let _ = chat(&gateway, key, "phi2").expect(200);
    }
    done(&gateway, &["keys", "block", id], &["blocked"]);
    refused(&gateway, newer, "blocked");
    done(&gateway, &["keys", "unblock", id], &["valid"]);
    let _ = chat(&gateway, newer, "phi2").expect(200);
    done(
        &gateway,
        &["groups", "update", "team", "--unset", "models", "--limit", "requests_per_day="],
        &["usd_per_month=0.5"],
    );
    let shown = json(&gateway, &["groups", "--json", "show", "team"]);
    assert_eq!(
        (shown.get("models"), &shown["keys"], &shown["limits"]["requests_per_day"]),
        (None, &1.into(), &Value::Null)
    );
    done(&gateway, &["groups", "list"], &["acme", "configuration", "team"]);
    act(&gateway, &["groups", "delete", "team"]).expect(2, &["1 keys belong to the group \"team\""]);
    done(&gateway, &["keys", "delete", id], &[&format!("deleted {id}")]);
    refused(&gateway, newer, "not valid");
    done(&gateway, &["groups", "delete", "team"], &["deleted team"]);
}

#[test]
fn what_cannot_be_done_is_said_with_an_exit_code() {
    let gateway = Gateway::setup().top("state_dir = \"kept\"\n[groups.acme]").start();
    for (arguments, said) in [
        (&["keys", "new", "--group", "acm"][..], "did you mean \"acme\"?"),
        (&["keys", "show", "key-0000000000000000"], "there is no key"),
        (&["keys", "rotate", "key-0000000000000000"], "--grace-hours"),
        (&["keys", "update", "key-0", "--never-expires", "--expires-after-days", "3"], "cannot be used with"),
        (&["groups", "new", "acme"], "there is a group \"acme\" already"),
        (&["groups", "new", "team", "--limit", "usd_a_month=5"], "usd_a_month"),
        (&["groups", "new", "team", "--model", "ph2"], "did you mean \"phi2\"?"),
        (&["groups", "delete", "acme"], "in the configuration file"),
        (&["groups", "show", "nobody"], "there is no group \"nobody\""),
    ] {
        act(&gateway, arguments).expect(2, &[said]);
    }
    run(&["keys", "--admin", "http://127.0.0.1:1", "list"]).expect(1, &["127.0.0.1:1"]);
}
