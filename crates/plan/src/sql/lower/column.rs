//! Column definitions, in ADD COLUMN and in CREATE TABLE.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{ColumnDef, ConstrType, Constraint};

use crate::catalog::{Generated, Identity};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::kind::add_column::AddColumn;
use crate::kind::change_type::{ChangeType, NewDefault};
use crate::sql::analyse::{self, Scope};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::{Lower, Run, constraint};
use crate::sql::tokens::Kind;
use crate::sql::{ast, types};
use crate::{catalog::Relation, sql::lower::Lowered};

/// ALTER COLUMN … TYPE, sliced.
pub(crate) fn change_type(
    lower: &Lower,
    table: &Relation,
    column: Ident,
    def: &ColumnDef,
    at: &Range<usize>,
) -> ChangeType {
    let tokens = lower.tokens;
    let start = def.type_name.as_ref().map_or(at.start, |name| tokens.at(ast::byte(name.location)));
    let using = tokens.find(start, at.end, |kind| kind == Kind::Using).filter(|_| def.raw_default.is_some());
    let collate = def.coll_clause.as_ref().map(|clause| tokens.at(ast::byte(clause.location)));
    let end = [using, collate].into_iter().flatten().min().unwrap_or(at.end);
    let written = tokens.slice(start, end);
    let name = def.type_name.as_ref();
    ChangeType {
        table: table.name.clone(),
        column,
        data_type: name.map_or_else(|| written.to_owned(), |name| types::text(name, written, lower.catalog)),
        written: written.to_owned(),
        collate: collate.map(|at| tokens.slice(at, using.unwrap_or(end.max(at + 2))).to_owned()),
        using: using
            .zip(ast::node(def.raw_default.as_deref()))
            .map(|(word, node)| analyse::expr(tokens, word + 1..at.end, node, &lower.scope_of(table))),
        default: NewDefault::Kept,
    }
}

/// A column definition, sliced.
#[derive(Clone, Debug)]
pub(crate) struct Definition<'a> {
    /// Name.
    pub(crate) name: Ident,
    /// Type, as `format_type` would print it where it is PostgreSQL's own.
    pub(crate) data_type: String,
    /// A user's type.
    pub(crate) user_type: Option<Name>,
    /// COLLATE, STORAGE, COMPRESSION.
    pub(crate) options: String,
    /// DEFAULT
    pub(crate) default: Option<Expr>,
    /// NOT NULL, with its constraint's name if one is written.
    pub(crate) not_null: Option<Option<Ident>>,
    /// Identity with its sequence options.
    pub(crate) identity: Option<(Identity, String)>,
    /// A serial type.
    pub(crate) serial: bool,
    /// Generated column.
    pub(crate) generated: Option<(Generated, Expr)>,
    /// CHECK, UNIQUE, PRIMARY KEY, REFERENCES, with the tokens of each, in order.
    pub(crate) constraints: Vec<(&'a Constraint, Range<usize>)>,
}

/// Slices a column definition. `limit` is one past the last token it may have.
pub(crate) fn definition<'a>(
    lower: &Lower,
    def: &'a ColumnDef,
    limit: usize,
    scope: &Scope,
) -> Definition<'a> {
    let tokens = lower.tokens;
    let start = tokens.at(ast::byte(def.location));
    let end = tokens.element_end(start, limit);
    let constraints: Vec<&Constraint> = ast::each(&def.constraints)
        .filter_map(|node| match node {
            NodeEnum::Constraint(constraint) => Some(&**constraint),
            _ => None,
        })
        .collect();

    // Where each clause begins; a clause ends where the next begins.
    let collate = def.coll_clause.as_ref().map(|clause| tokens.at(ast::byte(clause.location)));
    let mut starts: Vec<usize> = constraints.iter().map(|c| tokens.at(ast::byte(c.location))).collect();
    starts.extend(collate);
    let first = starts.iter().copied().min().unwrap_or(end);
    let storage = tokens.find(start + 1, first, |kind| kind == Kind::Storage);
    let compression = tokens.find(start + 1, first, |kind| kind == Kind::Compression);
    let storage = storage.filter(|_| !def.storage_name.is_empty());
    let compression = compression.filter(|_| !def.compression.is_empty());
    starts.extend(storage);
    starts.extend(compression);
    let next = |from: usize| starts.iter().copied().filter(|at| *at > from).min().unwrap_or(end);

    let type_start = def.type_name.as_ref().map_or(start + 1, |name| tokens.at(ast::byte(name.location)));
    let written = tokens.slice(type_start, starts.iter().copied().min().unwrap_or(end));
    let serial = def.type_name.as_ref().and_then(types::serial);
    let mut definition = Definition {
        name: Ident::from(def.colname.as_str()),
        data_type: match (&def.type_name, serial) {
            (_, Some(integer)) => integer.to_owned(),
            (Some(name), None) => types::text(name, written, lower.catalog),
            (None, None) => written.to_owned(),
        },
        user_type: def.type_name.as_ref().and_then(|name| types::user_type(name, lower.catalog)),
        options: [storage, compression, collate]
            .into_iter()
            .flatten()
            .map(|at| tokens.slice(at, next(at)))
            .collect::<Vec<_>>()
            .join(" "),
        default: None,
        not_null: None,
        identity: None,
        serial: serial.is_some(),
        generated: None,
        constraints: Vec::new(),
    };
    for constraint in constraints {
        let from = tokens.at(ast::byte(constraint.location));
        definition.clause(lower, constraint, from..next(from), scope);
    }
    definition
}

impl<'a> Definition<'a> {
    fn clause(&mut self, lower: &Lower, constraint: &'a Constraint, at: Range<usize>, scope: &Scope) {
        let tokens = lower.tokens;
        let inside = |open: Option<usize>| open.map(|open| open + 1..tokens.close(open));
        match constraint.contype() {
            ConstrType::ConstrNotnull => {
                let name = (!constraint.conname.is_empty()).then(|| Ident::from(constraint.conname.as_str()));
                self.not_null = Some(name);
            }
            ConstrType::ConstrDefault => {
                let word = tokens.find(at.start, at.end, |kind| kind == Kind::Default).unwrap_or(at.start);
                self.default = ast::node(constraint.raw_expr.as_deref())
                    .map(|node| analyse::expr(tokens, word + 1..at.end, node, scope));
            }
            ConstrType::ConstrIdentity => {
                let identity =
                    if constraint.generated_when == "a" { Identity::Always } else { Identity::ByDefault };
                let options = inside(tokens.find(at.start, at.end, |kind| kind == Kind::Ascii40));
                let options = options.map_or("", |options| tokens.slice(options.start, options.end));
                self.identity = Some((identity, options.to_owned()));
            }
            ConstrType::ConstrGenerated => {
                let generated =
                    if constraint.generated_kind == "v" { Generated::Virtual } else { Generated::Stored };
                let inside = inside(tokens.find(at.start, at.end, |kind| kind == Kind::Ascii40));
                if let (Some(node), Some(inside)) = (ast::node(constraint.raw_expr.as_deref()), inside) {
                    self.generated = Some((generated, analyse::expr(tokens, inside, node, scope)));
                }
            }
            ConstrType::ConstrCheck
            | ConstrType::ConstrPrimary
            | ConstrType::ConstrUnique
            | ConstrType::ConstrForeign => self.constraints.push((constraint, at)),
            // DEFERRABLE and the like are clauses of their own, but belong to the constraint before.
            ConstrType::ConstrAttrDeferrable
            | ConstrType::ConstrAttrNotDeferrable
            | ConstrType::ConstrAttrDeferred
            | ConstrType::ConstrAttrImmediate
            | ConstrType::ConstrAttrEnforced
            | ConstrType::ConstrAttrNotEnforced => {
                if let Some((_, last)) = self.constraints.last_mut() {
                    last.end = at.end;
                }
            }
            _ => {}
        }
    }
}

/// ADD COLUMN: the column, then its inline constraints as changes of their own.
pub(crate) fn add(
    lower: &Lower,
    table: &Relation,
    def: &ColumnDef,
    at: &Range<usize>,
    if_not_exists: bool,
) -> Lowered {
    let scope = lower.scope_of(table);
    let definition = definition(lower, def, at.end, &scope);
    if if_not_exists && table.column(&definition.name).is_some() {
        return Ok(Vec::new());
    }
    if let (Some(Some(given)), true) =
        (&definition.not_null, lower.catalog.server.version.not_null_not_valid())
    {
        return Err(lower.refuse(
            "add_column",
            Code::NotYet,
            format!("the name {given} of a NOT NULL constraint would be lost: PostgreSQL 18 keeps it, and the online form chooses its own"),
            "leave the name out",
            Run::on(lower.catalog, table).unknown("add_column"),
        ));
    }
    let constraints = definition.constraints.clone();
    let name = definition.name.clone();
    let column = AddColumn {
        table: table.name.clone(),
        column: definition.name,
        data_type: definition.data_type,
        user_type: definition.user_type,
        options: definition.options,
        if_not_exists,
        default: definition.default,
        not_null: definition.not_null.is_some(),
        identity: definition.identity,
        serial: definition.serial,
        generated: definition.generated,
        derived: None,
    };
    let mut changes = vec![Change::AddColumn(column)];
    for (constraint, at) in constraints {
        let effects = lower.effects(&changes);
        let catalog = crate::effect::fold(lower.catalog, &effects);
        let Some(table) = catalog.relation(&table.name) else { continue };
        let more = constraint::add(&lower.with(&catalog), table, constraint, &at, Some(&name));
        changes.extend(more.map_err(|mut refused| {
            // The column is part of what would run.
            if let Some(run) = &mut refused.run {
                run.effects.splice(0..0, effects);
            }
            refused
        })?);
    }
    Ok(changes)
}
