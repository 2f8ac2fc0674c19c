//! What the user decided beforehand; part of the planner's input, so that a plan never depends on anything else.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

/// Limits and preferences from `concertina.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Passes per window of a strided backfill, a power of two; 1 turns striding off. Default 16: see ARCHITECTURE.md for the
    /// measurement.
    #[serde(deserialize_with = "power_of_two")]
    pub stride: u32,
    /// Tables at most this large (bytes, heap) may be rewritten or scanned under a strong lock where no online form
    /// exists. Default 0: never.
    pub small_table_bytes: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self { stride: 16, small_table_bytes: 0 }
    }
}

fn power_of_two<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        stride if stride.is_power_of_two() => Ok(stride),
        stride => Err(D::Error::custom(format!("{stride} is not a power of two: 1, 2, 4, 8, …"))),
    }
}
