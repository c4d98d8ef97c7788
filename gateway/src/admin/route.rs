//! The routes: one table for matching requests, for the `Allow` header, and for the test of the API's description.
//!
//! This module must not know: what a route does.

use hyper::Method;

/// The routes of the admin API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Welcome,
    OpenApi,
    Metrics,
    Stats,
    Health,
    History,
    Policies,
    Policy,
    Upload,
    Promote,
    Rollback,
    Retry,
    Enable,
    Disable,
    Share,
    Decisions,
    DecisionStream,
    Decision,
    Ask,
}

/// Each route: its method, its path with `{slot}` for a slot's name or `{id}` for a request's, and its variant.
pub(super) const TABLE: [(Method, &str, Route); 19] = [
    (Method::GET, "/", Route::Welcome),
    (Method::GET, "/openapi.json", Route::OpenApi),
    (Method::GET, "/metrics", Route::Metrics),
    (Method::GET, "/api/v1/stats", Route::Stats),
    (Method::GET, "/health", Route::Health),
    (Method::GET, "/history", Route::History),
    (Method::GET, "/policies", Route::Policies),
    (Method::GET, "/policies/{slot}", Route::Policy),
    (Method::PUT, "/policies/{slot}", Route::Upload),
    (Method::POST, "/policies/{slot}/promote", Route::Promote),
    (Method::POST, "/policies/{slot}/rollback", Route::Rollback),
    (Method::POST, "/policies/{slot}/retry", Route::Retry),
    (Method::POST, "/policies/{slot}/enable", Route::Enable),
    (Method::POST, "/policies/{slot}/disable", Route::Disable),
    (Method::PUT, "/policies/{slot}/share", Route::Share),
    (Method::GET, "/decisions", Route::Decisions),
    (Method::GET, "/decisions/stream", Route::DecisionStream),
    (Method::GET, "/decisions/{id}", Route::Decision),
    (Method::POST, "/decisions/{id}/ask", Route::Ask),
];

/// The match for a request. `slot`: the path's text for the slot's name, unchecked; empty if the route has none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A route.
    Route { route: Route, slot: &'a str },
    /// The path exists, but not with this method.
    WrongMethod { allow: String, slot: &'a str },
    /// No route; `near`: the nearest path.
    Nothing { near: Option<String> },
}

/// Finds the route of a method and a path. HEAD counts as GET; the HTTP library omits the body.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let asked = if method == Method::HEAD { &Method::GET } else { method };
    let (mut allow, mut slot) = (Vec::new(), "");
    for (method, pattern, route) in &TABLE {
        let Some(named) = slot_in(pattern, path) else { continue };
        if method == asked {
            return Found::Route { route: *route, slot: named };
        }
        slot = named;
        allow.push(method.as_str());
        if method == Method::GET {
            allow.push("HEAD");
        }
    }
    if !allow.is_empty() {
        return Found::WrongMethod { allow: allow.join(", "), slot };
    }
    let mut parts = path.split('/').skip(1);
    let of_a_policy =
        parts.next().is_some_and(|first| wasmgate_base::nearest::nearest(first, ["policies"].into_iter()).is_some());
    let named = parts.next().filter(|name| !name.is_empty()).unwrap_or("routing");
    let patterns = TABLE.iter().map(|(_, pattern, _)| *pattern);
    let near = patterns.filter(|pattern| of_a_policy == pattern.starts_with("/policies"));
    let paths: Vec<String> = near.map(|pattern| pattern.replace("{slot}", named)).collect();
    Found::Nothing { near: wasmgate_base::nearest::nearest(path, paths.iter().map(String::as_str)).map(str::to_owned) }
}

/// The path's text for `{slot}`, if the path matches the pattern.
fn slot_in<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut slot = "";
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(slot),
            (Some("{slot}" | "{id}"), Some(name)) if !name.is_empty() => slot = name,
            (Some(expected), Some(part)) if expected == part => {}
            _ => return None,
        }
    }
}

impl Route {
    /// The operation's name in the audit log, as in `Operation::as_str`; `None` for routes that only read.
    pub(super) fn action(self) -> Option<&'static str> {
        Some(match self {
            Self::Welcome
            | Self::OpenApi
            | Self::Metrics
            | Self::Stats
            | Self::Health
            | Self::History
            | Self::Policies
            | Self::Policy
            | Self::Decisions
            | Self::DecisionStream
            | Self::Decision
            | Self::Ask => return None,
            Self::Upload => "upload",
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Retry => "retry",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Share => "share",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_is_found_by_its_method_and_path() {
        for (method, pattern, route) in &TABLE {
            let path = pattern.replace("{slot}", "cost.canary").replace("{id}", "cost.canary");
            let slot = if pattern.contains('{') { "cost.canary" } else { "" };
            assert_eq!(find(method, &path), Found::Route { route: *route, slot });
        }
        assert_eq!(find(&Method::HEAD, "/policies"), Found::Route { route: Route::Policies, slot: "" });
    }

    #[test]
    fn what_is_not_found_says_what_is() {
        let allow = |found: Found<'_>| match found {
            Found::WrongMethod { allow, .. } => allow,
            other => panic!("{other:?}"),
        };
        assert_eq!(allow(find(&Method::DELETE, "/policies/routing")), "GET, HEAD, PUT");
        assert_eq!(allow(find(&Method::POST, "/policies")), "GET, HEAD");
        assert_eq!(allow(find(&Method::GET, "/policies/routing/promote")), "POST");
        let near = |path| match find(&Method::GET, path) {
            Found::Nothing { near } => near,
            other => panic!("{other:?}"),
        };
        assert_eq!(near("/polices").as_deref(), Some("/policies"));
        assert_eq!(near("/policies/cost/promot").as_deref(), Some("/policies/cost/promote"));
        for path in ["/policies/", "/policies//promote", "//", "/policies/routing/promote/"] {
            assert!(matches!(find(&Method::GET, path), Found::Nothing { .. }), "{path}");
        }
    }
}
