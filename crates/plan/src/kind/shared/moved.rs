//! Moves what is dropped into the archive, at contract: nothing is copied, so it takes as long for a large table as for a
//! small one, and undo moves it back as it was.

use crate::ddl::moved::{self, ARCHIVE};
use crate::kind::Ctx;
use crate::plan::{Archived, Noun};
use crate::sql::ident::{Ident, Name};

/// Objects that move together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moved {
    items: Vec<Item>,
}

#[derive(Clone, Debug)]
struct Item {
    noun: Noun,
    name: Name,
    archived: Ident,
    /// Its table takes it along; it only needs a new name.
    along: bool,
}

impl Moved {
    /// Moves this too.
    pub(crate) fn add(&mut self, ctx: &Ctx, noun: Noun, name: &Name) {
        self.push(ctx, noun, name, false);
    }

    /// A table that moves takes this along.
    pub(crate) fn along(&mut self, ctx: &Ctx, noun: Noun, name: &Name) {
        self.push(ctx, noun, name, true);
    }

    fn push(&mut self, ctx: &Ctx, noun: Noun, name: &Name, along: bool) {
        let content = format!("archive {} {} {name}", ctx.migration, noun.sql());
        let archived = Ident::generated(name.name.as_str(), &content);
        self.items.push(Item { noun, name: name.clone(), archived, along });
    }

    /// Statements that move them.
    pub(crate) fn there(&self) -> Vec<String> {
        let archive = Ident::new(ARCHIVE);
        let renames =
            self.items.iter().map(|item| moved::rename(item.noun.sql(), &item.name, &item.archived));
        let moves = self.items.iter().filter(|item| !item.along);
        let moves = moves.map(|item| {
            moved::set_schema(item.noun.sql(), &item.name.sibling(item.archived.clone()), &archive)
        });
        renames.chain(moves).collect()
    }

    /// Statements that move them back.
    pub(crate) fn back(&self) -> Vec<String> {
        let moves = self.items.iter().filter(|item| !item.along);
        let moves = moves.map(|item| moved::set_schema(item.noun.sql(), &item.there(), &item.name.schema));
        let renames = self.items.iter().map(|item| {
            moved::rename(item.noun.sql(), &item.name.sibling(item.archived.clone()), &item.name.name)
        });
        moves.chain(renames).collect()
    }

    /// What then lies in the archive.
    pub(crate) fn archived(&self) -> Vec<Archived> {
        let moves = self.items.iter().filter(|item| !item.along);
        moves
            .map(|item| Archived {
                noun: item.noun,
                name: item.there(),
                of: format!("{} {}", item.noun.sql().to_lowercase(), item.name),
            })
            .collect()
    }
}

impl Item {
    fn there(&self) -> Name {
        Name { schema: Ident::new(ARCHIVE), name: self.archived.clone() }
    }
}
