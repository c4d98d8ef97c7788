//! What a browser shows of the dashboards' preview: each panel with data, in the units that the dashboard states, in a wide
//! and in a narrow window.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use wasmgate_tests::monitoring::dashboards::{Dashboard, Panel};
use wasmgate_tests::monitoring::preview;

/// Of windows, in CSS pixels: a desktop's, and one in which legends move below graphs.
const WIDTHS: [u32; 2] = [1440, 800];
/// Texts that Grafana shows where there is nothing to show, or nothing that it understands.
const ILL: [&str; 5] = ["No data", "NaN", "Infinity", "undefined", "[object"];
const SECONDS: [&str; 12] = ["ns", "µs", "ms", "s", "min", "mins", "hour", "hours", "day", "days", "week", "weeks"];
const BYTES: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
const COUNTS: [&str; 3] = ["K", "Mil", "Bil"];

/// `page`: of a gateway that did something in every panel.
pub(crate) fn each_panel_is_shown(page: &str) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("dashboards.html");
    fs::write(&file, page).unwrap();
    let dashboards = Dashboard::all();
    for width in WIDTHS {
        let report = preview::shown(&file, width, folder.path());
        assert_eq!(report["failures"], Value::Array(vec![]), "at {width}");
        assert_eq!(report["width"], width);
        assert!(text(&report["caption"]).contains("not Grafana"), "{}", report["caption"]);
        assert_eq!(titles(&report["headings"]), rows(&dashboards), "at {width}");
        for variable in items(&report["variables"]) {
            assert!(variable["values"].as_u64() > Some(0), "{variable}: it has no values");
        }
        let seen = items(&report["panels"]);
        let panels: Vec<&Panel> = dashboards.iter().flat_map(|dashboard| &dashboard.panels).collect();
        assert_eq!(seen.len(), panels.len(), "at {width}");
        let wrong = panels.iter().zip(seen).flat_map(|(panel, seen)| wrong(panel, seen));
        let wrong: Vec<String> = wrong.map(|what| format!("at {width}: {what}")).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        for dashboard in &dashboards {
            let picture = folder.path().join(format!("{}.webp", text(&dashboard.model["uid"])));
            assert!(fs::metadata(&picture).is_ok_and(|of| of.len() > 10_000), "{}", picture.display());
        }
    }
}

/// What is wrong with what a browser shows of a panel.
fn wrong(panel: &Panel, seen: &Value) -> Vec<String> {
    let model = &panel.model;
    let unit = text(&model["fieldConfig"]["defaults"]["unit"]);
    let mut found = Vec::new();
    if text(&seen["title"]) != panel.title() || !titles(&seen["lines"]).contains(&panel.title()) {
        found.push(format!("{} instead of it", seen["title"]));
    }
    let nothing = text(&model["fieldConfig"]["defaults"]["noValue"]);
    for shown in ["lines", "axes", "values", "slices"].iter().flat_map(|part| titles(&seen[*part])) {
        if ILL.iter().any(|ill| shown.contains(ill)) || (!nothing.is_empty() && shown.contains(nothing)) {
            found.push(format!("it shows {shown:?}"));
        }
    }
    let axis: Vec<&str> = titles(&seen["axes"]).into_iter().filter(|label| !label.contains(':')).collect();
    let values = titles(&seen["values"]);
    // The name of a slice comes first.
    let slices =
        titles(&seen["slices"]).into_iter().filter_map(|slice| slice.rsplit_once(": ")).map(|(_, value)| value);
    match text(&model["type"]) {
        "timeseries" => found.extend(without_unit("the axis", unit, axis)),
        "heatmap" => {
            let bounds = axis.into_iter().filter(|bound| *bound != "+Inf").collect();
            found.extend(without_unit("the axis", text(&model["options"]["yAxis"]["unit"]), bounds));
        }
        "piechart" => found.extend(without_unit("a slice", unit, slices.collect())),
        "stat" if model["fieldConfig"]["defaults"]["mappings"].is_array() => {
            let mapped = model["fieldConfig"]["defaults"]["mappings"].to_string();
            let in_words = |value: &&str| {
                value.rsplit(' ').next().is_some_and(|word| mapped.contains(&format!("\"text\":\"{word}\"")))
            };
            if values.is_empty() || !values.iter().all(in_words) {
                found.push(format!("{values:?} are not the words of {mapped}"));
            }
        }
        "stat" => found.extend(without_unit("the value", unit, values)),
        "table" => found.extend(wrong_columns(model, &seen["columns"])),
        other => found.push(format!("no panel of the type {other:?} is tested")),
    }
    found.iter().map(|what| format!("{}: {what}", panel.title())).collect()
}

fn wrong_columns(model: &Value, seen: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let renamed = items(&model["transformations"]).iter().filter_map(|one| one["options"]["renameByName"].as_object());
    for name in renamed.flat_map(|names| names.values()).map(text) {
        let cells = titles(&seen[name]);
        if cells.iter().all(|cell| cell.is_empty()) {
            found.push(format!("the column {name:?} is empty, or not among {seen}"));
        }
        found.extend(
            cells.iter().filter(|cell| ILL.iter().any(|ill| cell.contains(ill))).map(|cell| format!("{name}: {cell}")),
        );
        let overrides =
            items(&model["fieldConfig"]["overrides"]).iter().filter(|one| one["matcher"]["options"] == name);
        let properties = overrides.flat_map(|one| items(&one["properties"]));
        let unit =
            properties.filter(|property| property["id"] == "unit").map(|property| text(&property["value"])).next();
        if let Some(unit) = unit {
            found.extend(without_unit(name, unit, cells.into_iter().filter(|cell| !cell.is_empty()).collect()));
        }
    }
    found
}

/// What of `shown` is not a number of that unit. Something must be shown.
fn without_unit(place: &str, unit: &str, shown: Vec<&str>) -> Vec<String> {
    if shown.is_empty() {
        return vec![format!("{place} shows nothing")];
    }
    let ill = shown.into_iter().filter(|text| !is_of(unit, text));
    ill.map(|text| format!("{place} shows {text:?}, expected the unit {unit:?}")).collect()
}

fn is_of(unit: &str, text: &str) -> bool {
    let text = text.trim_start_matches('-');
    let of = |names: &[&str]| names.iter().any(|name| text.strip_suffix(name).is_some_and(is_number));
    match unit {
        "short" => is_number(text) || of(&COUNTS),
        "locale" => is_number(text),
        "reqps" => of(&["req/s", "K req/s"]),
        "cps" => of(&["c/s", "K c/s"]),
        "percentunit" => of(&["%"]),
        "s" => of(&SECONDS),
        "bytes" => of(&BYTES),
        "currencyUSD" => {
            text.strip_prefix('$').is_some_and(|rest| is_number(rest) || rest.strip_suffix('K').is_some_and(is_number))
        }
        "dateTimeFromNow" => text.ends_with(" ago"),
        _ => unit.strip_prefix("suffix:").is_some_and(|suffix| of(&[suffix])),
    }
}

fn is_number(text: &str) -> bool {
    text.trim().replace(',', "").parse::<f64>().is_ok_and(f64::is_finite)
}

fn rows(dashboards: &[Dashboard]) -> Vec<&str> {
    let panels = dashboards.iter().flat_map(|dashboard| items(&dashboard.model["panels"]));
    panels.filter(|panel| panel["type"] == "row").map(|row| text(&row["title"])).collect()
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn titles(list: &Value) -> Vec<&str> {
    items(list).iter().map(text).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn a_text_is_of_one_unit() {
    for (unit, good, bad) in [
        ("short", "1.20 K", "1.20 s"),
        ("locale", "12,345", "12 K"),
        ("reqps", "0.5 req/s", "0.5"),
        ("s", "1.33 mins", "1.33 m"),
        ("percentunit", "-435%", "4.35"),
        ("currencyUSD", "$0.00100", "0.00100"),
        ("bytes", "1.25 MiB", "1.31 MB"),
        ("suffix: $/h", "50  $/h", "50"),
        ("dateTimeFromNow", "9 minutes ago", "540"),
    ] {
        assert!(is_of(unit, good), "{unit}: {good}");
        assert!(!is_of(unit, bad), "{unit}: {bad}");
        assert!(!is_of(unit, "NaN"), "{unit}: NaN");
    }
}
