//! What stands in the way of a DROP without CASCADE.

use crate::diagnostic::{Code, Refusal};
use crate::kind::shared::will_fail::WillFail;

/// Refuses where something depends on `what`: its server would refuse too (2BP01), and CASCADE would take along what nobody
/// named. Source: `reportDependentObjects` in src/backend/catalog/dependency.c.
pub(crate) fn refuse<'d>(what: &str, dependents: impl IntoIterator<Item = &'d str>) -> Result<(), Refusal> {
    let dependents: Vec<&str> = dependents.into_iter().collect();
    if dependents.is_empty() {
        return Ok(());
    }
    Err(Refusal::new(
        Code::HasDependents,
        format!("it would fail (2BP01) because of what depends on {what}: {}", dependents.join(", ")),
        "change or drop what depends on it first, in statements of its own",
    ))
}

/// The same as a fact.
pub(crate) fn fails<'d>(what: &str, dependents: impl IntoIterator<Item = &'d str>) -> Option<WillFail> {
    let first = dependents.into_iter().next()?;
    Some(WillFail::new("2BP01", format!("{first} depends on {what}"), "drop that first"))
}
