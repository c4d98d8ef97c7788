//! The policies' view of a request: only what they may see. This module must not know: policies' answers, metrics.

use std::borrow::Cow;

use hyper::HeaderMap;

use crate::backend::Capabilities;
use wasmgate_accounts::{Chain, Group, Key, Measure, Standing};
use wasmgate_base::time::UnixSeconds;
use wasmgate_dialect::Dialect;
use wasmgate_dialect::chat::{Chat, Format, Part, PinReason, Role};
use wasmgate_policy_host as policy_host;

/// What policies may see of a request: roles and texts, flags, allow-listed headers.
pub(super) struct View<'a> {
    /// Each message's role and text.
    messages: Vec<(policy_host::Role, Cow<'a, str>)>,
    labels: Vec<(&'a str, &'a str)>,
    pub hints: Vec<(&'a str, &'a str)>,
    /// The number of images.
    pub images: u32,
    /// Capabilities that the request needs beyond text.
    pub needs: Capabilities,
}

/// Who pays for a request.
#[derive(Clone, Copy)]
pub(super) struct Tenant<'a> {
    /// The name of the group.
    pub name: Option<&'a str>,
    /// Its limits, the tightest of each measure.
    pub limits: &'a [policy_host::Limit],
}

impl Tenant<'_> {
    /// Its tightest budget.
    fn budget(&self) -> Option<policy_host::Budget> {
        let budget = self.limits.iter().find(|limit| limit.measure == policy_host::Measure::Money)?;
        Some(policy_host::Budget { limit: budget.most, left: budget.left })
    }
}

/// The limits of a group and of those above it as they stand, as policies see them.
pub(super) fn limits(chain: &Chain, now: UnixSeconds) -> Vec<policy_host::Limit> {
    let limit = |(measure, standing): (Measure, Option<Standing>)| {
        let standing = standing?;
        let measure = match measure {
            Measure::Requests => policy_host::Measure::Requests,
            Measure::Tokens => policy_host::Measure::Tokens,
            Measure::Money => policy_host::Measure::Money,
            Measure::Concurrent => policy_host::Measure::Concurrent,
        };
        let (most, left) = (standing.most, standing.left);
        Some(policy_host::Limit { measure, most, left, ends_in: standing.ends.map(|ends| ends.saturating_sub(now)) })
    };
    Measure::ALL.into_iter().zip(chain.standings(now)).filter_map(limit).collect()
}

/// Each message's role and text, its text parts joined by a line break.
pub(super) fn messages(chat: &Chat) -> impl Iterator<Item = (policy_host::Role, Cow<'_, str>)> {
    chat.messages.iter().map(|message| {
        let role = match message.role {
            Role::System => policy_host::Role::System,
            Role::User => policy_host::Role::User,
            Role::Assistant => policy_host::Role::Assistant,
            Role::Tool => policy_host::Role::Tool,
        };
        let mut texts = message.parts.iter().filter_map(Part::text);
        let text = match (texts.next(), texts.next()) {
            (None, _) => Cow::Borrowed(""),
            (Some(only), None) => Cow::Borrowed(only),
            (Some(first), Some(second)) => {
                let mut joined = format!("{first}\n{second}");
                for text in texts {
                    joined.push('\n');
                    joined.push_str(text);
                }
                Cow::Owned(joined)
            }
        };
        (role, text)
    })
}

impl<'a> View<'a> {
    /// The view of a request; `allowed` are the headers that policies may see, `key` that of its client and `group` the
    /// key's: the labels of a key replace those of its group, which replace headers of the same name; `pinned` is why only one backend can answer.
    #[must_use]
    pub(super) fn new(
        chat: &'a Chat,
        headers: &'a HeaderMap,
        allowed: &'a [String],
        key: Option<&'a Key>,
        group: Option<&'a Group>,
        pinned: Option<PinReason>,
    ) -> Self {
        let of_key = key.map_or(&[][..], Key::labels);
        let is_of_key = |name: &str| of_key.iter().any(|(label, _)| label == name);
        let of_group = group.map_or(&[][..], |group| &group.labels).iter().filter(|(name, _)| !is_of_key(name));
        let fixed = of_key.iter().chain(of_group).map(|(name, value)| (&**name, &**value));
        let free = |name: &&String| !is_of_key(name) && group.is_none_or(|group| group.label(name).is_none());
        let sent = allowed.iter().filter(free);
        let sent = sent.filter_map(|name| Some((name.as_str(), headers.get(name)?.to_str().ok()?)));
        let labels = fixed.chain(sent);
        let mut needs = Capabilities::default();
        if !chat.tools.is_empty() {
            needs.tools = true;
        }
        let images = u32::try_from(chat.images()).unwrap_or(u32::MAX);
        needs.images = images > 0;
        if matches!(chat.format, Some(Format::Json | Format::Schema { .. })) {
            needs.structured_output = true;
        }
        let hints = pinned.map(|reason| (policy_host::PINNED, reason.as_str())).into_iter().collect();
        Self { messages: messages(chat).collect(), labels: labels.collect(), hints, images, needs }
    }

    /// The messages, in the form of the policy contract.
    #[must_use]
    pub(super) fn messages(&self) -> Vec<policy_host::Message<'_>> {
        self.messages.iter().map(|(role, text)| policy_host::Message { role: *role, text }).collect()
    }

    /// The request, in the form of the policy contract.
    #[must_use]
    pub(super) fn request<'r>(
        &'r self,
        id: &'r str,
        tenant: Tenant<'r>,
        dialect: Dialect,
        chat: &'r Chat,
        messages: &'r [policy_host::Message<'r>],
        prompt_tokens: u32,
    ) -> policy_host::Request<'r> {
        policy_host::Request {
            id,
            dialect: dialect.as_str(),
            requested_model: &chat.model,
            messages,
            prompt_tokens,
            max_tokens: chat.max_tokens,
            streaming: chat.stream,
            tools: self.needs.tools,
            images: self.needs.images,
            structured_output: self.needs.structured_output,
            tenant: tenant.name,
            budget: tenant.budget(),
            limits: tenant.limits,
            labels: &self.labels,
            hints: &self.hints,
        }
    }
}
