//! Which values a setting takes.

use super::ConfigKind;

/// A rule for values beyond their type.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// Every value of the type.
    Any,
    /// Whole numbers between these, both included.
    Range(i64, i64),
    /// Fractions between these, both included.
    Fraction(f64, f64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list whose elements are among these, none twice.
    Among(&'static [&'static str]),
    /// A whole number that is this, or between these, both included.
    Either(i64, i64, i64),
    /// A list of `partition:broker` pairs, or `*`.
    ThrottledReplicas,
    /// Only this value, because what the others ask for is not available: the sentence says so.
    Unavailable(&'static str, &'static str),
}

impl Check {
    /// Whether `value` is of `kind` and keeps the rule; otherwise what was expected.
    pub(super) fn accepts(&self, kind: ConfigKind, value: &str) -> Result<(), String> {
        let is_of_kind = match kind {
            ConfigKind::Boolean => parse_bool(value).is_some(),
            ConfigKind::Int => value.trim().parse::<i32>().is_ok(),
            ConfigKind::Long => value.trim().parse::<i64>().is_ok(),
            ConfigKind::Double => value.trim().parse::<f64>().is_ok_and(f64::is_finite),
            ConfigKind::String | ConfigKind::List => true,
        };
        if !is_of_kind {
            return Err(format!("it must be {}", kind.noun()));
        }
        let number = || value.trim().parse::<i64>();
        match *self {
            Self::Any => Ok(()),
            Self::Range(min, max) => require(number().is_ok_and(|n| (min..=max).contains(&n)), || match max {
                i64::MAX => format!("it must be at least {min}"),
                _ => format!("it must be from {min} to {max}"),
            }),
            Self::Either(single, min, max) => {
                let fits = number().is_ok_and(|n| n == single || (min..=max).contains(&n));
                require(fits, || format!("it must be {single} or from {min} to {max}"))
            }
            Self::Fraction(min, max) => {
                let fits = value.trim().parse::<f64>().is_ok_and(|n| (min..=max).contains(&n));
                require(fits, || format!("it must be from {min} to {max}"))
            }
            Self::OneOf(allowed) => {
                require(allowed.contains(&value.trim()), || format!("it must be one of {}", allowed.join(", ")))
            }
            Self::Among(allowed) => {
                let elements: Vec<&str> = split_list(value).collect();
                let fits = elements.iter().enumerate().all(|(i, e)| allowed.contains(e) && !elements[..i].contains(e));
                require(fits, || format!("it must be a list of {}, each at most once", allowed.join(", ")))
            }
            Self::ThrottledReplicas => require(value.trim() == "*" || split_list(value).all(is_replica), || {
                "it must be * or a list of partition:broker pairs".to_owned()
            }),
            Self::Unavailable(only, why) => {
                require(value.trim().eq_ignore_ascii_case(only), || format!("it must be {only}: {why}"))
            }
        }
    }
}

fn require(fits: bool, expected: impl FnOnce() -> String) -> Result<(), String> {
    if fits { Ok(()) } else { Err(expected()) }
}

fn is_replica(element: &str) -> bool {
    let is_number = |text: &str| text.parse::<i32>().is_ok_and(|n| n >= 0);
    element.split_once(':').is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
}

/// The elements of a list value, without the spaces around them; the empty value has none.
pub(crate) fn split_list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|element| !element.is_empty())
}

pub(super) fn parse_bool(value: &str) -> Option<bool> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_must_be_of_their_type() {
        for (kind, good, bad) in [
            (ConfigKind::Boolean, "TRUE", "yes"),
            (ConfigKind::Int, " 2147483647 ", "2147483648"),
            (ConfigKind::Long, "-1", "1.5"),
            (ConfigKind::Double, "0.5", "NaN"),
        ] {
            assert_eq!(Check::Any.accepts(kind, good), Ok(()));
            assert_eq!(Check::Any.accepts(kind, bad), Err(format!("it must be {}", kind.noun())));
        }
    }

    #[test]
    fn lists_name_known_elements_once() {
        let policy = Check::Among(&["compact", "delete"]);
        for good in ["", "delete", "compact, delete"] {
            assert_eq!(policy.accepts(ConfigKind::List, good), Ok(()), "{good:?}");
        }
        for bad in ["archive", "delete,delete"] {
            assert!(policy.accepts(ConfigKind::List, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn throttled_replicas_are_pairs() {
        for good in ["", "*", "0:1,2:3"] {
            assert_eq!(Check::ThrottledReplicas.accepts(ConfigKind::List, good), Ok(()), "{good:?}");
        }
        for bad in ["1", "a:b", "0:-1", "*,0:1"] {
            assert!(Check::ThrottledReplicas.accepts(ConfigKind::List, bad).is_err(), "{bad:?}");
        }
    }
}
