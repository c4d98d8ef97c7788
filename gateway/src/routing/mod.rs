//! Which models may answer a request, and in which order.
//!
//! This module must not know: how a model is called, how a client is answered.

mod affinity;
mod candidate;
mod decision;
mod explore;
mod pin;
mod shadow;
mod view;

use std::sync::Arc;

use hyper::HeaderMap;

use crate::backend::{Catalog, LiveModel};
use crate::config::Translation;
use crate::error::{Failure, Kind};
use crate::state::{Serving, Snapshot};
use crate::telemetry::Record;
use affinity::{Affinity, Session};
pub use decision::Decision;
use decision::Routing;
use shadow::Shadows;
use view::{Tenant, View};
use wasmgate_accounts::Group;
use wasmgate_base::tokens::{IMAGE_TOKENS, TokenEstimator};
use wasmgate_dialect::Dialect;
use wasmgate_dialect::chat::Chat;
use wasmgate_policy_host::{LAST_MODEL, Role};

/// Ranks models for requests.
#[derive(Debug)]
pub struct Router {
    serving: Arc<Serving>,
    tokens: TokenEstimator,
    shadows: Shadows,
    affinity: Affinity,
}

/// A request as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Inbound<'a> {
    /// Its dialect.
    pub dialect: Dialect,
    /// The parsed chat.
    pub chat: &'a Chat,
    /// Its headers.
    pub headers: &'a HeaderMap,
}

impl Router {
    /// A router that notifies `serving` of failing policies.
    #[must_use]
    pub fn new(serving: Arc<Serving>) -> Self {
        Self { serving, tokens: TokenEstimator::new(), shadows: Shadows::default(), affinity: Affinity::default() }
    }

    /// Whether the backend of the model that a request names loads models from disk.
    ///
    /// # Errors
    /// If there is no model of that name, or the group may not use it.
    pub fn loads_models(snapshot: &Snapshot, group: Option<&Group>, chat: &Chat) -> Result<bool, Failure> {
        let live = named(snapshot, group, chat)?.map(|index| &snapshot.catalog.models()[index]);
        Ok(live.is_some_and(|live| live.backend.settings().kind.loads_models))
    }

    /// Decides which models may answer, what each is expected to cost, and in which order they are called. Notes the
    /// facts on the record.
    ///
    /// # Errors
    /// If no model may answer, the routing policy denies the request, or a fail-closed policy fails.
    pub async fn decide(
        &self,
        record: &mut Record,
        snapshot: &Arc<Snapshot>,
        inbound: Inbound<'_>,
    ) -> Result<Decision, Failure> {
        let Inbound { dialect, chat, headers } = inbound;
        let (key, group) = (record.key.clone(), snapshot.group(record.group));
        let labels = &snapshot.limits.label_headers;
        let mut view = View::new(chat, headers, labels, key.as_deref(), group, pin::reason(snapshot, chat));
        let named = named(snapshot, group, chat)?;
        let permitted = permitted(snapshot, dialect, chat, &view, group, named)?;
        let permitted = pin::pinned(snapshot, chat, permitted, named)?;
        record.pinned = pin::reason(snapshot, chat);
        let by = snapshot.routing.canary.as_ref().and_then(|canary| canary.sticky_header.as_deref());
        let session = snapshot.limits.affinity.then(|| Session::of(chat, headers, by)).flatten();
        record.session = session.as_ref().map(|session| self.affinity.hash(session));
        let models = permitted.iter().map(|&index| &*snapshot.catalog.models()[index].model.name);
        let last = record.session.and_then(|session| self.affinity.last(session, models));
        view.hints.extend(last.map(|model| (LAST_MODEL, model)));
        // Only a canary needs it.
        let has_canary = snapshot.routing.canary.is_some() || snapshot.cost.canary.is_some();
        let key = session.as_ref().filter(|_| has_canary).map(Session::key);
        let messages = view.messages();
        let images = IMAGE_TOKENS.saturating_mul(view.images);
        record.estimated_input_tokens = self.tokens.estimate(chat.texts()).saturating_add(images);
        let id = record.id.clone();
        let limits =
            snapshot.chain(record.group).map(|chain| view::limits(chain, self.serving.now())).unwrap_or_default();
        let tenant = Tenant { name: group.map(|group| &*group.name), limits: &limits };
        let request = view.request(&id, tenant, dialect, chat, &messages, record.estimated_input_tokens);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (serving, shadows) = (&self.serving, &self.shadows);
        let routing = Routing {
            serving,
            shadows,
            snapshot,
            request,
            named,
            permitted: &permitted,
            header: &header,
            session: key.as_deref(),
        };
        routing.decide(record).await
    }

    /// The messages of a chat as policies see them, for the decision log.
    #[must_use]
    pub fn texts(chat: &Chat) -> Vec<(Role, String)> {
        view::messages(chat).map(|(role, text)| (role, text.into_owned())).collect()
    }

    /// Remembers which model answered a request's conversation.
    pub fn answered(&self, record: &Record, snapshot: &Snapshot) {
        if let (Some(session), Some(model)) = (record.session, record.model) {
            self.affinity.answered(session, &snapshot.catalog.models()[model].model.name);
        }
    }
}

/// The model that the request names, by position in the catalog; `None` for `auto`.
fn named(snapshot: &Snapshot, group: Option<&Group>, chat: &Chat) -> Result<Option<usize>, Failure> {
    let catalog = &snapshot.catalog;
    if chat.model == "auto" {
        return Ok(None);
    }
    let found = catalog.find(&chat.model).filter(|_| group.is_none_or(|group| group.permits(&chat.model)));
    found.map(Some).ok_or_else(|| unknown_model(catalog, group, &chat.model))
}

/// Refuses a model without a price to a group with a budget: nobody knows what it would spend.
///
/// # Errors
/// Then.
pub fn check_price(group: Option<&Group>, live: &LiveModel) -> Result<(), Failure> {
    if live.model.price.is_some() || group.is_none_or(|group| !group.only_priced) {
        return Ok(());
    }
    let message = format!("{} has no price, and the key's group has a budget", live.model.name);
    Err(Failure::new(Kind::Unpriced, message))
}

/// A name that no model has, or none that the group may use. As at the providers, nobody learns of models that are not for
/// them.
#[must_use]
pub fn unknown_model(catalog: &Catalog, group: Option<&Group>, name: &str) -> Failure {
    let Some(group) = group else {
        let hint = catalog.nearest(name).map_or(String::new(), |near| format!(", did you mean {near:?}?"));
        return Failure::new(Kind::UnknownModel, format!("there is no model of that name{hint}"));
    };
    // Among those that the group may use: the others must not show by what is missing.
    let own = catalog.models().iter().map(|live| live.model.name.as_str()).filter(|model| group.permits(model));
    let near = wasmgate_base::nearest::nearest(name, own);
    let hint = near.map_or(String::new(), |near| format!(", did you mean {near:?}?"));
    let message = format!("there is no model of that name, or the key's group may not use it{hint}");
    let failure = Failure::new(Kind::UnknownModel, message);
    match catalog.find(name) {
        Some(_) => failure.with_detail(format_args!("group {} may not use {name}", group.name)),
        None => failure,
    }
}

/// The models that may answer, by position in the catalog: the one that the request names and behind it its fallbacks, or
/// for `auto` all; of them those that the group may use. Fallbacks, and all for `auto`, must have the capabilities that the
/// request needs. A model is left out if its backend's dialect cannot express content of the request, or with `server.translation = "strict"` a hint.
fn permitted(
    snapshot: &Snapshot,
    dialect: Dialect,
    chat: &Chat,
    view: &View<'_>,
    group: Option<&Group>,
    named: Option<usize>,
) -> Result<Vec<usize>, Failure> {
    let catalog = &snapshot.catalog;
    let asked: Vec<usize> = match named {
        Some(index) => [index].into_iter().chain(catalog.models()[index].model.fallbacks.iter().copied()).collect(),
        None => (0..catalog.models().len()).collect(),
    };
    let is_for = |index: &usize| group.is_none_or(|group| group.permits(&catalog.models()[*index].model.name));
    let asked: Vec<usize> = asked.into_iter().filter(is_for).collect();
    let priced: Vec<usize> =
        asked.iter().copied().filter(|&index| check_price(group, &catalog.models()[index]).is_ok()).collect();
    // One that the client named, or all that there are.
    if let Some(&first) = asked.first().filter(|first| named.map_or(priced.is_empty(), |_| !priced.contains(first))) {
        check_price(group, &catalog.models()[first])?;
    }
    // The search for an obstacle reads the whole request, so each backend dialect is asked once, however many models it has.
    let mut obstacles: Vec<(Dialect, Option<String>)> = Vec::new();
    let able: Vec<usize> = priced
        .into_iter()
        .filter(|&index| {
            let live = &catalog.models()[index];
            let to = live.backend.dialect_for(dialect);
            let known = obstacles.iter().position(|(dialect, _)| *dialect == to).unwrap_or_else(|| {
                obstacles.push((to, obstacle(snapshot, to, dialect, chat)));
                obstacles.len() - 1
            });
            let can_say = obstacles[known].1.is_none() || live.backend.is_simulated();
            // Configured capabilities do not bind the client: one that names a model knows what that model can do.
            can_say && (named == Some(index) || live.model.capabilities.cover(view.needs))
        })
        .collect();
    // A model that the client named and that cannot be sent the request is an error: its fallbacks are for failures.
    if named.map_or(!able.is_empty(), |named| able.first() == Some(&named)) {
        return Ok(able);
    }
    let obstacle = obstacles.into_iter().find_map(|(_, field)| field);
    // What is wrong says more than where it is.
    if let (Some(_), Some(wrong)) = (&obstacle, &chat.misread) {
        return Err(Failure::new(Kind::BadRequest, wrong.to_string()));
    }
    let message = match obstacle {
        Some(field) => format!("`{field}` cannot be translated into the dialect of any backend that could answer"),
        None => {
            "no configured model has the capabilities that the request needs (tools, images or an output format)".into()
        }
    };
    Err(Failure::new(Kind::NoCapableModel, message))
}

/// The first field that keeps a request in dialect `from` out of backends of dialect `to`.
fn obstacle(snapshot: &Snapshot, to: Dialect, from: Dialect, chat: &Chat) -> Option<String> {
    let strict = snapshot.limits.translation == Translation::Strict;
    to.obstacle(from, chat).or_else(|| strict.then(|| to.lost_hint(from, chat)).flatten())
}
