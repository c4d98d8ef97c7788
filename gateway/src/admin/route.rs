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
    Keys,
    Key,
    CreateKey,
    UpdateKey,
    RotateKey,
    BlockKey,
    UnblockKey,
    DeleteKey,
    Groups,
    Group,
    CreateGroup,
    UpdateGroup,
    DeleteGroup,
}

/// What a route's path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Slot,
    Key,
    Group,
}

/// Each route: its method, its path with `{slot}` for a slot's name, `{id}` for a key's or a request's and `{name}` for a group's, and its variant.
pub(super) const TABLE: [(Method, &str, Route); 32] = [
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
    (Method::GET, "/keys", Route::Keys),
    (Method::POST, "/keys", Route::CreateKey),
    (Method::GET, "/keys/{id}", Route::Key),
    (Method::PATCH, "/keys/{id}", Route::UpdateKey),
    (Method::DELETE, "/keys/{id}", Route::DeleteKey),
    (Method::POST, "/keys/{id}/rotate", Route::RotateKey),
    (Method::POST, "/keys/{id}/block", Route::BlockKey),
    (Method::POST, "/keys/{id}/unblock", Route::UnblockKey),
    (Method::GET, "/groups", Route::Groups),
    (Method::POST, "/groups", Route::CreateGroup),
    (Method::GET, "/groups/{name}", Route::Group),
    (Method::PATCH, "/groups/{name}", Route::UpdateGroup),
    (Method::DELETE, "/groups/{name}", Route::DeleteGroup),
];

/// The first parts of paths below which things have names, and a name for the nearest path.
const FAMILIES: [(&str, &str); 3] = [("policies", "routing"), ("keys", "ID"), ("groups", "NAME")];

/// The match for a request. `name`: the path's text for the slot, the key or the group, unchecked; empty if the route has none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A route.
    Route { route: Route, name: &'a str },
    /// The path exists, but not with this method.
    WrongMethod { allow: String, name: &'a str },
    /// No route; `near`: the nearest path.
    Nothing { near: Option<String> },
}

/// Finds the route of a method and a path. HEAD counts as GET; the HTTP library omits the body.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let asked = if method == Method::HEAD { &Method::GET } else { method };
    let (mut allow, mut name) = (Vec::new(), "");
    for (method, pattern, route) in &TABLE {
        let Some(named) = name_in(pattern, path) else { continue };
        if method == asked {
            return Found::Route { route: *route, name: named };
        }
        name = named;
        allow.push(method.as_str());
        if method == Method::GET {
            allow.push("HEAD");
        }
    }
    if !allow.is_empty() {
        return Found::WrongMethod { allow: allow.join(", "), name };
    }
    let mut parts = path.split('/').skip(1);
    let families = || FAMILIES.into_iter().map(|(family, _)| family);
    let family = parts.next().and_then(|first| wasmgate_base::nearest::nearest(first, families()));
    let usual = FAMILIES.into_iter().find(|(known, _)| Some(*known) == family).map_or("", |(_, usual)| usual);
    let named = parts.next().filter(|name| !name.is_empty()).unwrap_or(usual);
    let patterns = TABLE.iter().map(|(_, pattern, _)| *pattern);
    let family_of = |pattern: &str| families().find(|family| pattern.split('/').nth(1) == Some(family));
    let near = patterns.filter(|pattern| family_of(pattern) == family);
    let paths: Vec<String> = near.map(|pattern| with_name(pattern, named)).collect();
    Found::Nothing { near: wasmgate_base::nearest::nearest(path, paths.iter().map(String::as_str)).map(str::to_owned) }
}

/// A path that matches the pattern.
fn with_name(pattern: &str, name: &str) -> String {
    let parts: Vec<&str> = pattern.split('/').map(|part| if part.starts_with('{') { name } else { part }).collect();
    parts.join("/")
}

/// The path's text for what is in braces, if the path matches the pattern.
fn name_in<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    let mut found = "";
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(found),
            (Some(expected), Some(name)) if expected.starts_with('{') && !name.is_empty() => found = name,
            (Some(expected), Some(part)) if expected == part => {}
            _ => return None,
        }
    }
}

impl Route {
    /// What the route is about, for the audit log.
    pub(super) fn subject(self) -> Subject {
        match self {
            Self::Keys
            | Self::Key
            | Self::CreateKey
            | Self::UpdateKey
            | Self::RotateKey
            | Self::BlockKey
            | Self::UnblockKey
            | Self::DeleteKey => Subject::Key,
            Self::Groups | Self::Group | Self::CreateGroup | Self::UpdateGroup | Self::DeleteGroup => Subject::Group,
            _ => Subject::Slot,
        }
    }

    /// The operation's name in the audit log, as in `Operation::as_str` for those of policies; `None` for routes that only read.
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
            | Self::Ask
            | Self::Keys
            | Self::Key
            | Self::Groups
            | Self::Group => return None,
            Self::Upload => "upload",
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Retry => "retry",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Share => "share",
            Self::CreateKey => "create_key",
            Self::UpdateKey => "update_key",
            Self::RotateKey => "rotate_key",
            Self::BlockKey => "block_key",
            Self::UnblockKey => "unblock_key",
            Self::DeleteKey => "delete_key",
            Self::CreateGroup => "create_group",
            Self::UpdateGroup => "update_group",
            Self::DeleteGroup => "delete_group",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_is_found_by_its_method_and_path() {
        for (method, pattern, route) in &TABLE {
            let path = with_name(pattern, "cost.canary");
            let name = if pattern.contains('{') { "cost.canary" } else { "" };
            assert_eq!(find(method, &path), Found::Route { route: *route, name });
        }
        assert_eq!(find(&Method::HEAD, "/policies"), Found::Route { route: Route::Policies, name: "" });
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
        assert_eq!(near("/keys/key-1/blok").as_deref(), Some("/keys/key-1/block"));
        assert_eq!(near("/group").as_deref(), Some("/groups"));
        for path in ["/policies/", "/policies//promote", "//", "/policies/routing/promote/"] {
            assert!(matches!(find(&Method::GET, path), Found::Nothing { .. }), "{path}");
        }
    }
}
