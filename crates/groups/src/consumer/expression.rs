//! Regular expressions that subscribe to topics.

use std::{collections::BTreeSet, fmt, sync::Arc};

use imbl::OrdMap;
use levada_metadata::{Image, Topic};
use levada_types::ErrorCode;
use regex::{Regex, RegexBuilder};

use super::refused::Refused;

/// The longest expression: Kafka's record of it names it in a key, whose texts have no more bytes.
const MAX_EXPRESSION_BYTES: usize = i16::MAX as usize;

/// How large the compiled form may be, in bytes: counted repetitions of counted repetitions grow without bound.
const MAX_PROGRAM_BYTES: usize = 1 << 20;

/// Compiled expressions by their text. Matching costs time in proportion to the name, whatever the expression.
#[derive(Clone, Default)]
pub(super) struct Expressions {
    programs: OrdMap<Arc<str>, Arc<Regex>>,
}

impl Expressions {
    /// Compiles an expression, if that has not been done.
    ///
    /// # Errors
    /// INVALID_REGULAR_EXPRESSION.
    pub(super) fn compile(&mut self, expression: &str) -> Result<(), Refused> {
        if self.programs.contains_key(expression) {
            return Ok(());
        }
        let invalid = |why: String| {
            Refused::new(
                ErrorCode::InvalidRegularExpression,
                format!("the regular expression {expression:?} is not valid: {why}"),
            )
        };
        if expression.len() > MAX_EXPRESSION_BYTES {
            return Err(invalid(format!("it is longer than {MAX_EXPRESSION_BYTES} bytes")));
        }
        // By itself first: what closes a parenthesis of ours must not pass.
        let program = build(expression)
            .and_then(|_| build(&format!(r"\A(?:{expression})\z")))
            // An expression that ends in a comment swallows what stands behind it, up to a newline.
            .or_else(|_| build(expression).and_then(|_| build(&format!("\\A(?:{expression}\n)\\z"))))
            .map_err(|error| invalid(error.to_string()))?;
        self.programs.insert(expression.into(), Arc::new(program));
        Ok(())
    }

    /// Forgets an expression.
    pub(super) fn remove(&mut self, expression: &str) {
        self.programs.remove(expression);
    }

    /// Whether the expression matches the whole of a topic's name. Internal topics are matched by none. This is the one
    /// place that decides which topics an expression may see.
    pub(super) fn matches(&self, expression: &str, topic: &Topic) -> bool {
        !topic.is_internal()
            && self.programs.get(expression).is_some_and(|program| program.is_match(topic.name().as_str()))
    }

    /// The names of all topics that the expression matches.
    pub(super) fn resolve(&self, expression: &str, image: &Image) -> BTreeSet<String> {
        image
            .topics()
            .filter(|topic| self.matches(expression, topic))
            .map(|topic| topic.name().as_str().to_owned())
            .collect()
    }
}

fn build(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(expression).size_limit(MAX_PROGRAM_BYTES).build()
}

impl fmt::Debug for Expressions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.programs.keys()).finish()
    }
}
