//! Tables.

use crate::sql::ident::Name;

/// `DROP TABLE`
pub(crate) fn drop(name: &Name) -> String {
    format!("DROP TABLE {name}")
}
