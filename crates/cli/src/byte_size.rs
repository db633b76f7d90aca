//! Sizes as people type them: `1048576`, `1MiB`, `2GB`.

use std::fmt;
use std::str::FromStr;

use crate::CliError;

/// Units and their bytes, the larger of two with a common end first.
const UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit = UNITS.iter().find_map(|(unit, bytes)| text.strip_suffix(unit).map(|number| (number, *bytes)));
        let (number, unit) = unit.unwrap_or((text, 1));
        let number: u64 =
            number.trim().parse().map_err(|_| format!("{text:?} is not a size, such as 65536, 64KiB or 1GB"))?;
        number.checked_mul(unit).map(Self).ok_or_else(|| format!("{text:?} is too large"))
    }
}

impl ByteSize {
    /// A limit in bytes per second, for arguments.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn rate(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Self(0) => Err("with 0 bytes per second nothing would ever arrive".to_owned()),
            rate => Ok(rate),
        }
    }
}

impl TryFrom<ByteSize> for usize {
    type Error = CliError;

    fn try_from(size: ByteSize) -> Result<Self, CliError> {
        Self::try_from(size.0).map_err(|_| CliError::Usage(format!("{size} is too large")))
    }
}

impl TryFrom<ByteSize> for i32 {
    type Error = CliError;

    fn try_from(size: ByteSize) -> Result<Self, CliError> {
        Self::try_from(size.0).map_err(|_| CliError::Usage(format!("{size} is too large; at most 2 GiB less one byte")))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS[..4].iter().rev().find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes));
        match exact {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_written() {
        for (text, bytes) in
            [("0", 0), ("100", 100), ("64KiB", 65_536), ("1MB", 1_000_000), ("2 GiB", 2 << 30), ("7B", 7)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for (bytes, text) in [(65_536, "64KiB"), (1 << 30, "1GiB"), (1_000, "1000"), (0, "0")] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "x", "-1", "1.5MB", "20000000TiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        assert!(ByteSize::rate("0MB").is_err());
        assert_eq!(ByteSize::rate("1MB"), Ok(ByteSize(1_000_000)));
    }
}
