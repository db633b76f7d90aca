//! What the members subscribe to, and when that asks for a new assignment.

use std::{collections::BTreeSet, sync::Arc};

use levada_types::TopicId;

use super::{ConsumerGroup, subscribed::Subscribed};
use crate::{
    draft::Draft,
    records::{Change, ConsumerMember, GroupEpoch, ResolvedRegex},
};

impl ConsumerGroup {
    /// After loading: finds out what the expressions match now and which topics there are. Members are not asked to wait
    /// for it, but nothing is decided before.
    pub(super) fn refresh(&mut self, draft: &mut Draft<'_>) {
        if !self.is_stale {
            return;
        }
        self.is_stale = false;
        self.due = None;
        self.subscribed = Subscribed::default();
        let mut changed = false;
        let expressions: Vec<Arc<str>> = self.hard.expressions.keys().cloned().collect();
        for expression in expressions {
            // One that was accepted once and is not any more matches nothing.
            if self.expressions.compile(&expression).is_ok() {
                changed |= self.resolve(&expression, draft);
            }
        }
        let names: BTreeSet<String> = self.subscribed_names();
        for name in &names {
            self.subscribed.look(name, &self.hard, draft.image);
        }
        let is_new = self.hard.epoch.is_none();
        if changed || (!is_new && self.subscribed.hash() != self.hash_written()) {
            self.bump(draft);
        }
        self.assign_if_due(draft);
    }

    /// All topics that are subscribed to, whether they exist or not.
    fn subscribed_names(&self) -> BTreeSet<String> {
        let by_name = self.hard.names.keys().map(|name| name.to_string());
        let by_regex = self.hard.regexes.values().flat_map(|resolved| resolved.topics.iter().cloned());
        by_name.chain(by_regex).collect()
    }

    fn hash_written(&self) -> i64 {
        self.hard.epoch.map_or(0, |epoch| epoch.metadata_hash)
    }

    /// Raises the group's epoch, so that a new assignment is computed.
    pub(super) fn bump(&mut self, draft: &mut Draft<'_>) {
        if self.hard.has_subscription_metadata {
            self.write(Change::SubscriptionMetadata(None), draft);
        }
        let epoch = self.hard.group_epoch().saturating_add(1);
        self.write(Change::Group(Some(GroupEpoch { epoch, metadata_hash: self.subscribed.hash() })), draft);
    }

    /// Takes in what a member tells of itself, if that is anything new. Whether a new assignment is asked for.
    ///
    /// The member's expression has been compiled.
    pub(super) fn tell(&mut self, id: &Arc<str>, told: ConsumerMember, draft: &mut Draft<'_>) -> bool {
        let old = self.member(id).map(|member| Arc::clone(&member.told));
        if old.as_deref() == Some(&told) {
            return false;
        }
        let told = Arc::new(told);
        self.write(Change::Member(Arc::clone(id), Some(Arc::clone(&told))), draft);
        let old = old.unwrap_or_default();
        let mut changed = old.topic_names != told.topic_names;
        for name in old.topic_names.symmetric_difference(&told.topic_names) {
            self.subscribed.follow(name, &self.hard, draft.image);
        }
        if old.topic_regex != told.topic_regex {
            changed = true;
            if let Some(regex) = &told.topic_regex
                && !self.hard.regexes.contains_key(regex.as_str())
            {
                self.resolve(regex, draft);
            }
            if let Some(regex) = &old.topic_regex {
                self.drop_unused(regex, draft);
            }
        }
        changed
    }

    /// After a member is gone: looks at what it subscribed to.
    pub(super) fn unsubscribe(&mut self, told: &ConsumerMember, draft: &mut Draft<'_>) {
        for name in &told.topic_names {
            self.subscribed.follow(name, &self.hard, draft.image);
        }
        if let Some(regex) = &told.topic_regex {
            self.drop_unused(regex, draft);
        }
    }

    /// Forgets an expression that nobody subscribes by any more.
    fn drop_unused(&mut self, regex: &str, draft: &mut Draft<'_>) {
        if self.hard.expressions.contains_key(regex) {
            return;
        }
        self.expressions.remove(regex);
        if let Some(resolved) = self.hard.regexes.get(regex).cloned() {
            self.write(Change::Regex(regex.into(), None), draft);
            for name in &resolved.topics {
                self.subscribed.follow(name, &self.hard, draft.image);
            }
        }
    }

    /// Finds out what an expression matches. Whether that is something else than before.
    fn resolve(&mut self, regex: &str, draft: &mut Draft<'_>) -> bool {
        let topics = self.expressions.resolve(regex, draft.image);
        self.settle(regex, topics, draft)
    }

    /// Takes in what an expression matches. Whether that is something else than before.
    fn settle(&mut self, regex: &str, topics: BTreeSet<String>, draft: &mut Draft<'_>) -> bool {
        let old = self.hard.regexes.get(regex).cloned();
        if old.as_ref().is_some_and(|old| old.topics == topics) {
            return false;
        }
        let version = draft.image.offset().0.cast_signed();
        let resolved = Arc::new(ResolvedRegex { topics, version, timestamp: draft.now });
        self.write(Change::Regex(regex.into(), Some(Arc::clone(&resolved))), draft);
        let old = old.unwrap_or_default();
        for name in old.topics.symmetric_difference(&resolved.topics) {
            self.subscribed.follow(name, &self.hard, draft.image);
        }
        true
    }

    /// Looks at topics that are new, gone or different. Whether a new assignment is asked for. Costs what these topics
    /// cost, not what the group has.
    pub(super) fn look_again(&mut self, changed: &[TopicId], draft: &mut Draft<'_>) -> bool {
        let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
        for &id in changed {
            names.extend(self.subscribed.name_of(id).cloned());
            names.extend(draft.image.topic(id).map(|topic| Arc::from(topic.name().as_str())));
        }
        let mut asks = false;
        let expressions: Vec<Arc<str>> = self.hard.expressions.keys().cloned().collect();
        for regex in expressions {
            let old = self.hard.regexes.get(&regex).cloned().unwrap_or_default();
            let matches = |name: &str| {
                draft.image.topic_by_name(name).is_some_and(|topic| self.expressions.matches(&regex, topic))
            };
            let (come, gone): (Vec<&Arc<str>>, Vec<&Arc<str>>) = names
                .iter()
                .filter(|name| matches(name) != old.topics.contains(&***name))
                .partition(|name| matches(name));
            if come.is_empty() && gone.is_empty() {
                continue;
            }
            let mut topics = old.topics.clone();
            topics.extend(come.into_iter().map(|name| name.to_string()));
            for name in gone {
                topics.remove(&**name);
            }
            asks |= self.settle(&regex, topics, draft);
        }
        let before = self.subscribed.hash();
        for name in &names {
            self.subscribed.look(name, &self.hard, draft.image);
        }
        asks || self.subscribed.hash() != before
    }

    /// The ids of the topics that a member subscribes to and that exist.
    pub(super) fn subscription(&self, told: &ConsumerMember) -> BTreeSet<TopicId> {
        let mut topics: BTreeSet<TopicId> =
            told.topic_names.iter().filter_map(|name| self.subscribed.id_of(name)).collect();
        let regex = told.topic_regex.as_deref().and_then(|regex| self.hard.regexes.get(regex));
        if let Some(resolved) = regex {
            topics.extend(resolved.topics.iter().filter_map(|name| self.subscribed.id_of(name)));
        }
        topics
    }
}
