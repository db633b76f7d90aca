//! Which setting was probably meant.

use super::{BROKER_CONFIGS, ConfigDef, TOPIC_CONFIGS};

/// How alike (0 to 1, Jaro-Winkler) an unknown name must be to a known one for that one to be suggested; the same for
/// options of a process.
const NEAR: f64 = 0.8;

/// Says that no topic setting has this name, and which one is nearest.
pub(crate) fn unknown_topic_config(name: &str) -> String {
    format!("Unknown topic config name: {name}{}", suggestion(name, TOPIC_CONFIGS.iter()))
}

/// Says that no broker setting has this name, and which one is nearest.
pub(crate) fn unknown_broker_config(name: &str) -> String {
    format!("Unknown broker config name: {name}{}", suggestion(name, BROKER_CONFIGS.iter().copied()))
}

fn suggestion(name: &str, known: impl Iterator<Item = &'static ConfigDef>) -> String {
    known
        .map(|def| (strsim::jaro_winkler(name, def.name), def.name))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, name)| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_setting_is_named_if_one_is_near() {
        assert_eq!(
            unknown_topic_config("retention.mss"),
            "Unknown topic config name: retention.mss; did you mean retention.ms?"
        );
        assert_eq!(
            unknown_broker_config("log.retention.m"),
            "Unknown broker config name: log.retention.m; did you mean log.retention.ms?"
        );
        assert_eq!(unknown_topic_config("zzz"), "Unknown topic config name: zzz");
    }
}
