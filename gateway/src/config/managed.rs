//! Groups that the gateway keeps itself, because operators made them while it ran. They have the settings of `[groups.NAME]`, are
//! checked like it, and may be below groups of the file. The file owns its groups: they are changed there.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wasmgate_accounts::{Accounts, GroupSpec, Mistake, Place};

use super::access::{Access, GroupFile, check_group, check_permits, mean_mistake, zone};
use super::checks::check_labels;
use super::document;
use super::problem::{Problem, Problems};
use crate::backend::Model;

/// A group that the gateway keeps itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ManagedGroup {
    /// Its name.
    pub name: String,
    /// Its settings: keys of `[groups.NAME]`.
    pub settings: Map<String, Value>,
}

/// A group that the gateway keeps and that cannot be used with the file as it is now. Requests with its keys are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspended {
    /// Its name.
    pub name: String,
    /// Why, as a sentence.
    pub reason: String,
}

/// The part of a file that has groups.
#[derive(Deserialize)]
struct GroupsFile {
    groups: IndexMap<String, GroupFile>,
}

impl Access {
    /// Whether the file has a group.
    #[must_use]
    pub fn owns(&self, group: &str) -> bool {
        self.written.contains_key(group)
    }

    /// The groups of the file with their settings, in its order.
    pub fn written(&self) -> impl Iterator<Item = (&str, Map<String, Value>)> {
        self.written.iter().map(|(name, group)| match serde_json::to_value(group) {
            Ok(Value::Object(settings)) => (name.as_str(), settings),
            _ => (name.as_str(), Map::new()),
        })
    }

    /// This access of a file, with the groups that the gateway keeps. Those that cannot be used are left out.
    #[must_use]
    pub fn joined(&self, managed: &[ManagedGroup]) -> (Self, Vec<Suspended>) {
        let mut groups = IndexMap::clone(&self.written);
        let mut suspended = Vec::new();
        let mut suspend = |name: &str, reason: String| suspended.push(Suspended { name: name.to_owned(), reason });
        for group in managed {
            if self.owns(&group.name) {
                suspend(
                    &group.name,
                    "the configuration has a group of this name, which counts in its place".to_owned(),
                );
                continue;
            }
            match GroupFile::deserialize(Value::Object(group.settings.clone())) {
                Ok(file) => drop(groups.insert(group.name.clone(), file)),
                Err(error) => suspend(&group.name, format!("its settings are not those of this version: {error}")),
            }
        }
        // Whoever is below a group that is left out is left out next.
        let accounts = loop {
            let zone = |name: &str| zone(&groups, name, &mut Problems::default());
            let specs: Vec<GroupSpec> = groups.iter().map(|(name, group)| group.spec(name, &zone(name))).collect();
            let mistakes = match Accounts::new(&specs, self.accounts.keys().to_vec()) {
                Ok(accounts) => break Arc::new(accounts),
                Err(mistakes) => mistakes,
            };
            let mut is_less = false;
            for Mistake { place, wrong } in mistakes {
                if let Place::Group(name) = &place
                    && !self.owns(name)
                    && groups.shift_remove(name).is_some()
                {
                    let wrong = mean_mistake(&Mistake { place: place.clone(), wrong }, &[]);
                    suspend(name, wrong.in_words("").message);
                    is_less = true;
                }
            }
            // The file was checked by itself, so that this is not reached.
            if !is_less {
                break Arc::clone(&self.accounts);
            }
        };
        let mut keep_content = self.keep_content.clone();
        keep_content.groups.extend(groups.iter().filter_map(|(name, group)| Some((name.clone(), group.content()?))));
        (Self { accounts, keep_content, ..self.clone() }, suspended)
    }

    /// Checks one of the groups that the gateway would keep; `managed` are all of them, and `before` those that it keeps now.
    ///
    /// # Errors
    /// What is wrong: with its settings, or with what they would do to other groups.
    pub fn check(
        &self,
        name: &str,
        managed: &[ManagedGroup],
        before: &[ManagedGroup],
        models: &[Model],
    ) -> Result<(), String> {
        let Some(group) = managed.iter().find(|group| group.name == name) else { return Ok(()) };
        let text = toml::to_string(&json!({"groups": {name: group.settings}}));
        let text = text.map_err(|error| format!("the settings cannot be read: {error}"))?;
        let mut problems = Problems::default();
        let (file, _) = document::read::<GroupsFile>(&text, &mut problems);
        if let Some(file) = file.as_ref().and_then(|file| file.groups.get(name)) {
            let _ = zone(&IndexMap::from([(name.to_owned(), file.clone())]), name, &mut problems);
            check_group(name, file, models, &mut problems);
        }
        let problems: Vec<Problem> = problems.finish("", None);
        if !problems.is_empty() {
            let sentences = problems.iter().map(|problem| in_group(name, problem));
            return Err(sentences.collect::<Vec<_>>().join("; "));
        }
        let (joined, suspended) = self.joined(managed);
        let (_, known) = self.joined(before);
        if let Some(worse) = suspended.iter().find(|one| !known.iter().any(|known| known.name == one.name)) {
            return Err(match worse.name == name {
                true => worse.reason.clone(),
                false => format!("the group {:?} below it: {}", worse.name, worse.reason),
            });
        }
        let position = joined.accounts.position(name).map(|position| &joined.accounts.groups()[position]);
        let permits = position.map_or(Ok(()), |group| check_permits(group, models));
        permits.map_err(|wrong| in_group(name, &wrong.in_words("")))
    }
}

/// Checks labels of a key.
///
/// # Errors
/// What is wrong.
pub fn check_key_labels(labels: &IndexMap<String, String>) -> Result<(), String> {
    let mut problems = Problems::default();
    check_labels(&[], labels, &mut problems);
    match problems.finish("", None).first() {
        Some(problem) => Err(in_group("", problem)),
        None => Ok(()),
    }
}

/// A problem with its place in the group.
fn in_group(name: &str, problem: &Problem) -> String {
    let key = ["groups.", name, "."].concat();
    let place = problem.key.strip_prefix(&key).or_else(|| problem.key.strip_prefix(&format!("groups.{name:?}.")));
    match place.unwrap_or(&problem.key) {
        place if place.is_empty() || place == key.trim_end_matches('.') || place == format!("groups.{name:?}") => {
            problem.message.clone()
        }
        place => format!("{place}: {}", problem.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn config() -> Config {
        let text = "[backends.b]\nkind = \"sim\"\n[models.phi2]\nbackend = \"b\"\n[models.large]\nbackend = \"b\"\n\
                    [groups.acme]\ndenied_models = [\"large\"]\ntimezone = \"Asia/Tokyo\"\n";
        Config::parse(text, "test", std::path::Path::new(".")).expect("valid")
    }

    fn group(name: &str, settings: Value) -> ManagedGroup {
        let Value::Object(settings) = settings else { panic!("an object") };
        ManagedGroup { name: name.to_owned(), settings }
    }

    fn check(settings: Value) -> String {
        let config = config();
        let managed = [group("a.b", settings)];
        config.access.check("a.b", &managed, &[], &config.models).expect_err("a mistake")
    }

    #[test]
    fn a_mistake_is_named_as_in_the_file() {
        for (settings, said) in [
            (json!({"parent": "acm"}), "there is no group \"acm\""),
            (json!({"models": ["ph2"]}), "models: there is no model \"ph2\", did you mean \"phi2\"?"),
            (
                json!({"parent": "acme", "models": ["large"]}),
                "together permit no configured model, expected at least one",
            ),
            (json!({"model": ["phi2"]}), "model: unknown key `model`, did you mean `models`?"),
            (json!({"limits": {"usd_per_month": -1}}), "limits.usd_per_month: -1, expected 0 to 1000000"),
            (json!({"limits": {"usd_a_month": 1}}), "limits.usd_a_month: unknown key `usd_a_month`"),
            (json!({"timezone": "Berlin"}), "timezone: \"Berlin\" is not a time zone"),
            (json!({"labels": {"Plan": "x"}}), "labels.Plan: \"Plan\" is not a label"),
            (json!({"when_spent": "pay"}), "when_spent: \"pay\", expected"),
            (json!({"parent": "a.b"}), "the group is above itself: a.b below a.b"),
        ] {
            let found = check(settings.clone());
            assert!(found.contains(said), "{settings}: {found}");
        }
    }

    #[test]
    fn labels_are_bounded() {
        let labels = |count: usize| (0..count).map(|at| (format!("label-{at}"), json!("x"))).collect::<Map<_, _>>();
        let config = config();
        let managed = [group("a", json!({"labels": labels(64)}))];
        assert_eq!(config.access.check("a", &managed, &[], &config.models), Ok(()));
        assert_eq!(check(json!({"labels": labels(65)})), "labels: 65 labels, expected at most 64");
        let long = check(json!({"labels": {"a".repeat(129): "x"}}));
        assert!(long.ends_with("a name of 129 bytes, expected at most 128"), "{long}");
    }

    #[test]
    fn a_group_of_the_gateway_has_what_its_parents_in_the_file_give() {
        let access = config().access;
        let limits = json!({"parent": "acme", "limits": {"requests_per_day": 5}});
        let (joined, suspended) = access.joined(&[group("team", limits), group("anna", json!({"parent": "team"}))]);
        assert_eq!(suspended, []);
        let anna = &joined.accounts.groups()[joined.accounts.position("anna").expect("there")];
        assert_eq!((&*anna.chain, anna.permits("phi2"), anna.permits("large")), (&[2, 1, 0][..], true, false));
        let team = &joined.accounts.groups()[1];
        assert_eq!(team.limits[0].zone.iana_name(), Some("Asia/Tokyo"));
    }

    #[test]
    fn what_hangs_on_a_group_that_is_gone_is_suspended_and_returns_with_it() {
        let access = config().access;
        let mut managed = vec![group("anna", json!({"parent": "team"})), group("bert", json!({"parent": "gone"}))];
        managed.push(group("cleo", json!({"parent": "bert"})));
        managed.push(group("acme", json!({})));
        managed.push(group("newer", json!({"colour": "red"})));
        let (joined, suspended) = access.joined(&managed);
        let names: Vec<&str> = suspended.iter().map(|group| group.name.as_str()).collect();
        assert_eq!(names, ["acme", "newer", "anna", "bert", "cleo"]);
        assert_eq!(suspended[3].reason, "there is no group \"gone\"");
        assert_eq!(joined.accounts.groups().len(), 1);
        managed.push(group("team", json!({"parent": "acme"})));
        managed.push(group("gone", json!({})));
        let (joined, suspended) = access.joined(&managed);
        assert_eq!((suspended.len(), joined.accounts.groups().len()), (2, 6));
    }

    #[test]
    fn no_change_of_a_group_may_suspend_another() {
        let config = config();
        let before = [group("team", json!({})), group("anna", json!({"parent": "team"}))];
        let mut after = before.clone();
        after[0] = group("team", json!({"parent": "anna"}));
        let error = config.access.check("team", &after, &before, &config.models).expect_err("a circle");
        assert!(error.contains("above itself"), "{error}");
    }
}
