//! What became of the files and of their statements.

use std::collections::{BTreeMap, BTreeSet};

use concertina_plan::diagnostic::Diagnostic;

use super::files::{File, Part};

/// The figures.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// Files planned without any directive, with some, in several parts, refused for nothing but renames and type changes, and refused
    /// otherwise.
    files: [usize; 5],
    /// Statements of planned files that run online, and those that run as written under `allow`.
    planned: [usize; 2],
    /// Statements of refused files: those that are renames and type changes, those refused otherwise, those that nothing is
    /// wrong with.
    refused: [usize; 3],
    /// Refusals by code and kind.
    reasons: BTreeMap<(String, String), usize>,
}

/// What became of a part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Became {
    /// A plan was made.
    Planned,
    /// It was refused for renames and type changes alone.
    NotYet,
    /// It was refused otherwise.
    Refused,
}

impl Count {
    /// A plan was made.
    pub(super) fn planned(&mut self, part: &Part) -> Became {
        self.planned[0] += part.statements() - part.directed;
        self.planned[1] += part.directed;
        Became::Planned
    }

    /// It was refused.
    pub(super) fn refused(&mut self, part: &Part, diagnostics: &[Diagnostic]) -> Became {
        let mut refused = [BTreeSet::new(), BTreeSet::new()];
        for diagnostic in diagnostics {
            let kind = diagnostic.kind.as_deref().unwrap_or("-");
            *self.reasons.entry((diagnostic.code.slug().to_owned(), kind.to_owned())).or_default() += 1;
            refused[usize::from(!is_not_yet(kind))].insert(diagnostic.span.start);
        }
        let [not_yet, others] = refused.map(|places| places.len());
        self.refused[0] += not_yet;
        self.refused[1] += others;
        self.refused[2] += part.statements().saturating_sub(not_yet + others);
        if others == 0 { Became::NotYet } else { Became::Refused }
    }

    /// A whole file is through.
    pub(super) fn file(&mut self, file: &File, parts: &[Became]) {
        let place = match parts.iter().max() {
            Some(Became::Refused) => 4,
            Some(Became::NotYet) => 3,
            _ if file.parts.len() > 1 => 2,
            _ => usize::from(file.parts.iter().any(|part| part.directed > 0)),
        };
        self.files[place] += 1;
    }

    /// Prints them.
    pub(super) fn print(&self) {
        let [online, allowed, split, not_yet, refused] = self.files;
        println!(
            "files: {online} planned as they are, {allowed} with directives kept beside them, {split} split, {not_yet} refused for \
             renames and type changes alone (not yet), {refused} refused otherwise"
        );
        let [online, allowed] = self.planned;
        println!("statements of planned files: {online} online, {allowed} as written under a directive");
        let [not_yet, refused, others] = self.refused;
        println!(
            "statements of refused files: {not_yet} renames and type changes (not yet), {refused} refused otherwise, {others} \
             with nothing against them"
        );
        println!("refusals by code and kind:");
        for ((code, kind), count) in &self.reasons {
            println!("{count:6}  {code:16} {kind}");
        }
    }
}

/// Renames, and changes of a column's type.
fn is_not_yet(kind: &str) -> bool {
    kind == "alter_type" || (kind.starts_with("rename_") && kind != "rename_value")
}
