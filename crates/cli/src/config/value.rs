//! Durations, sizes and shares as people write them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use concertina_plan::sql::ident::Ident;
use concertina_run::settings::FreeSpace;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// Reads `250ms`, `30s`, `1h 30m`.
///
/// # Errors
/// When it is not a duration above zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("\"{text}\" is not a duration such as \"250ms\", \"30s\" or \"1h 30m\""))?;
    match Duration::try_from(span) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("\"{text}\" is not above zero")),
    }
}

/// Reads an age: a duration in which a day has 24 hours; zero is allowed.
///
/// # Errors
/// When it is none.
pub fn parse_age(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not an age such as \"30d\", \"2w\" or \"12h\"");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(length).map_err(|_| wrong())
}

/// Reads a share of the time.
///
/// # Errors
/// When it is not above 0 and at most 1.
pub fn parse_load(text: &str) -> Result<f64, String> {
    check_load(text.parse().map_err(|_| format!("\"{text}\" is not a number"))?)
}

pub(super) fn check_load(load: f64) -> Result<f64, String> {
    if load > 0.0 && load <= 1.0 { Ok(load) } else { Err(format!("{load} is not above 0 and at most 1")) }
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

pub(super) fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    check_load(f64::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads free space: a size, or `false` for "do not look".
///
/// # Errors
/// When it is neither.
pub fn parse_free_space(text: &str) -> Result<FreeSpace, String> {
    match text {
        "false" => Ok(FreeSpace::Unchecked),
        size => parse_size(size).map(FreeSpace::Given),
    }
}

pub(super) fn free_space<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FreeSpace, D::Error> {
    Ok(size_or_false(deserializer)?.map_or(FreeSpace::Unchecked, FreeSpace::Given))
}

/// A number of bytes, or text with a unit.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    size_or_false(deserializer)?.ok_or_else(|| D::Error::custom("false is not a size"))
}

/// Sizes by the name of what has them.
pub(super) fn sizes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Ident, u64>, D::Error> {
    #[derive(Deserialize)]
    struct Bytes(#[serde(deserialize_with = "size")] u64);
    let sizes = BTreeMap::<String, Bytes>::deserialize(deserializer)?;
    Ok(sizes.into_iter().map(|(name, Bytes(bytes))| (Ident::new(name), bytes)).collect())
}

/// A number of bytes, text with a unit, or `false` for "no bound".
pub(super) fn size_or_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Size;
    impl Visitor<'_> for Size {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a size such as \"64MiB\", a number of bytes, or false")
        }

        fn visit_bool<E: Error>(self, bound: bool) -> Result<Self::Value, E> {
            if bound { Err(E::custom("true is not a size")) } else { Ok(None) }
        }

        fn visit_i64<E: Error>(self, bytes: i64) -> Result<Self::Value, E> {
            u64::try_from(bytes).map(Some).map_err(|_| E::custom("a size is not negative"))
        }

        fn visit_u64<E: Error>(self, bytes: u64) -> Result<Self::Value, E> {
            Ok(Some(bytes))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            parse_size(text).map(Some).map_err(E::custom)
        }
    }
    deserializer.deserialize_any(Size)
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "kB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        "TB" | "TiB" => 40,
        _ => {
            return Err(format!(
                "\"{text}\" is not a size such as \"64MiB\" (units: KiB, MiB, GiB, TiB; kB, MB, GB, TB mean the same, as in PostgreSQL)"
            ));
        }
    };
    let number: u64 = number.parse().map_err(|_| format!("\"{text}\" does not begin with a number"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("\"{text}\" is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        for bad in ["", "250", "-1s", "0s", "soon"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1 GB"), Ok(1 << 30));
        assert_eq!(parse_size("512"), Ok(512));
        for bad in ["", "MiB", "1 mile", "99999999999 GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
