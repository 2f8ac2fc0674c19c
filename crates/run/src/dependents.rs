//! What came to depend on a view of ours while both names live: looked for before contract or undo begins.

use std::collections::BTreeSet;

use concertina_plan::catalog::{Catalog, RelationKind};
use concertina_plan::effect::Effect;
use concertina_plan::plan::{Need, Step};
use concertina_plan::sql::ident::Name;
use tokio_postgres::Client;

use crate::error::Error;
use crate::introspect;

/// Steps in the order in which they would run.
///
/// # Errors
/// [`Error::Blocked`], and those of [`introspect::introspect`].
pub(crate) async fn refuse<'s>(
    client: &Client,
    migration: &str,
    command: &'static str,
    steps: impl Iterator<Item = &'s Step> + Clone,
) -> Result<(), Error> {
    let views = watched(steps);
    if views.is_empty() {
        return Ok(());
    }
    let catalog = introspect::introspect(client).await?;
    let found: Vec<String> = views.iter().filter_map(|view| on(&catalog, view)).collect();
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::Blocked {
        migration: migration.to_owned(),
        command,
        what: found.join("; "),
        hint: "nothing was changed. Make them over the other name instead, or drop them and make them again afterwards; a view \
               can be turned with CREATE OR REPLACE VIEW, without a moment in which it is missing. Then run the same command again"
            .to_owned(),
    })
}

/// Views that must have no dependents. One that these steps make again is none that anybody could have built on.
fn watched<'s>(steps: impl Iterator<Item = &'s Step>) -> BTreeSet<&'s Name> {
    let (mut made, mut views) = (BTreeSet::new(), BTreeSet::new());
    for step in steps {
        for need in &step.requires {
            if let Need::NoDependents(view) = need
                && !made.contains(view)
            {
                views.insert(view);
            }
        }
        made.extend(step.provides.iter().filter_map(|effect| match effect {
            Effect::Relation(relation) => Some(&relation.name),
            _ => None,
        }));
    }
    views
}

fn on(catalog: &Catalog, view: &Name) -> Option<String> {
    let relation = catalog.relation(view).filter(|relation| relation.kind == RelationKind::View)?;
    let what: BTreeSet<&str> = relation
        .dependents
        .iter()
        .filter(|dependent| !dependent.automatic)
        .map(|dependent| dependent.description.as_str())
        .collect();
    let what: Vec<&str> = what.into_iter().collect();
    (!what.is_empty()).then(|| format!("on view {view}, which is to go, depends {}", what.join(", ")))
}
