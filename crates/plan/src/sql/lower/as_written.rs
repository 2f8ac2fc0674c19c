//! What is online as it stands: it locks no table that running code uses, or only for a moment and harmlessly.

use pg_query::protobuf::{AlterEnumStmt, CreateSeqStmt, DefineStmt, ObjectType};
use pg_query::{Node, NodeEnum};

use crate::catalog::{Function, Relation, RelationKind, Sequence, Type, TypeKind, Volatility};
use crate::change::Change;
use crate::effect::Effect;
use crate::kind::as_written::AsWritten;
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Work};
use crate::sql::analyse::Scope;
use crate::sql::ast;
use crate::sql::ident::{Ident, Name};
use crate::sql::lower::{
    Lower, Lowered, Refused, annotations, column, create_table, function, kinds, queries, tree,
};
use crate::sql::types;

/// Lowers it if it is online as it stands.
pub(crate) fn lower(lower: &Lower, node: &NodeEnum) -> Option<Lowered> {
    definitions(lower, node)
        .or_else(|| queries::lower(lower, node))
        .or_else(|| annotations::lower(lower, node))
}

/// A change that runs as written, in the making.
pub(super) struct Entry {
    pub(super) kind: &'static str,
    pub(super) locks: Vec<LockClaim>,
    pub(super) work: Vec<Work>,
    pub(super) whole: bool,
    pub(super) effects: Vec<Effect>,
    pub(super) undo: Result<String, String>,
}

impl Entry {
    /// Locks nothing; `undo` takes it back.
    pub(super) fn new(kind: &'static str, effects: Vec<Effect>, undo: String) -> Self {
        Self { kind, locks: Vec::new(), work: Vec::new(), whole: true, effects, undo: Ok(undo) }
    }

    /// Locks nothing; what was there before is not recorded.
    pub(super) fn lasting(kind: &'static str, why: &str) -> Self {
        Self {
            kind,
            locks: Vec::new(),
            work: Vec::new(),
            whole: true,
            effects: Vec::new(),
            undo: Err(why.to_owned()),
        }
    }

    pub(super) fn done(self, lower: &Lower) -> Lowered {
        Ok(vec![Change::AsWritten(AsWritten {
            kind: self.kind,
            sql: lower.sql().to_owned(),
            locks: self.locks,
            work: self.work,
            transaction: true,
            whole: self.whole,
            effects: self.effects,
            undo: self.undo,
        })])
    }
}

pub(super) const SETTING: &str = "what was set before is not recorded";

/// CREATE and ALTER of what no table depends on yet.
fn definitions(lower: &Lower, node: &NodeEnum) -> Option<Lowered> {
    let catalog = lower.catalog;
    let new = |names: &[Node]| {
        let (schema, name) = ast::qualified(names);
        lower.new_name(schema, name)
    };
    let made = |kind: &'static str, name: Name, made: TypeKind, word: &str| {
        if catalog.types.contains_key(&name) {
            let reason = format!("type {name} exists already");
            return Err(lower.will_fail(kind, "42710", reason, "choose another name", None));
        }
        let undo = format!("DROP {word} {name}");
        Entry::new(kind, vec![Effect::Type(Type { name, kind: made })], undo).done(lower)
    };
    let simple = |kind: &'static str| Entry::lasting(kind, SETTING).done(lower);
    Some(match node {
        NodeEnum::CreateFunctionStmt(statement) => function::create(lower, statement),
        NodeEnum::CreateEnumStmt(statement) => {
            let labels = ast::strings(&statement.vals).into_iter().map(ToOwned::to_owned).collect();
            made("create_type", new(&statement.type_name), TypeKind::Enum(labels), "TYPE")
        }
        NodeEnum::CompositeTypeStmt(statement) => {
            let (schema, name) = ast::table_name(statement.typevar.as_ref()?);
            let name = lower.new_name(schema, name);
            // Its row type is a relation too.
            let mut relation =
                Relation::new(name.clone(), RelationKind::CompositeType, catalog.server.role.clone());
            let scope = Scope::table(catalog, None, &name.name);
            for column in ast::each(&statement.coldeflist) {
                if let NodeEnum::ColumnDef(def) = column {
                    let end = lower.statement.tokens.end;
                    relation.columns.push(create_table::plain(&column::definition(lower, def, end, &scope)));
                }
            }
            with(made("create_type", name, TypeKind::Other, "TYPE"), Effect::Relation(Box::new(relation)))
        }
        NodeEnum::CreateRangeStmt(statement) => {
            let name = new(&statement.type_name);
            let multirange = Effect::Type(Type { name: multirange(&name), kind: TypeKind::Other });
            with(made("create_type", name, TypeKind::Other, "TYPE"), multirange)
        }
        NodeEnum::CreateDomainStmt(statement) => {
            let has = |wanted: &[pg_query::protobuf::ConstrType]| {
                ast::each(&statement.constraints).any(|node| match node {
                    NodeEnum::Constraint(constraint) => wanted.contains(&constraint.contype()),
                    _ => false,
                })
            };
            use pg_query::protobuf::ConstrType::{ConstrCheck, ConstrDefault, ConstrNotnull};
            let kind = TypeKind::Domain {
                constrained: has(&[ConstrCheck, ConstrNotnull]),
                default: has(&[ConstrDefault]),
            };
            made("create_domain", new(&statement.domainname), kind, "DOMAIN")
        }
        NodeEnum::DefineStmt(statement) => define(lower, statement),
        NodeEnum::AlterEnumStmt(statement) if statement.old_val.is_empty() => add_value(lower, statement),
        NodeEnum::CreateSeqStmt(statement) => sequence(lower, statement),
        NodeEnum::AlterSeqStmt(statement) => {
            let var = statement.sequence.as_ref()?;
            let (schema, name) = ast::table_name(var);
            let Some(found) = lower.sequence(schema.as_ref(), &name) else {
                if statement.missing_ok {
                    return Some(Ok(Vec::new()));
                }
                return Some(Err(lower.missing_relation("alter_sequence", schema.as_ref(), &name, None)));
            };
            alter_sequence(lower, &found.name, &statement.options)
        }
        NodeEnum::CreateExtensionStmt(statement) => {
            let name = Ident::from(statement.extname.as_str());
            match (catalog.extensions.contains(&name), statement.if_not_exists) {
                (true, true) => Ok(Vec::new()),
                (true, false) => Err(lower.will_fail(
                    "create_extension",
                    "42710",
                    format!("extension {name} exists already"),
                    "write IF NOT EXISTS, or remove it",
                    None,
                )),
                (false, _) => {
                    let undo = format!("DROP EXTENSION {name}");
                    Entry::new("create_extension", vec![Effect::Extension(name)], undo).done(lower)
                }
            }
        }
        NodeEnum::CreateSchemaStmt(statement) if statement.schema_elts.is_empty() => {
            let name = match (statement.schemaname.as_str(), &statement.authrole) {
                ("", Some(role)) => Ident::from(role.rolename.as_str()),
                (name, _) => Ident::from(name),
            };
            match (catalog.schemas.contains(&name), statement.if_not_exists) {
                (true, true) => Ok(Vec::new()),
                (true, false) => Err(lower.will_fail(
                    "create_schema",
                    "42P06",
                    format!("schema {name} exists already"),
                    "write IF NOT EXISTS, or remove it",
                    None,
                )),
                (false, _) => {
                    let undo = format!("DROP SCHEMA {name}");
                    Entry::new("create_schema", vec![Effect::Schema(name)], undo).done(lower)
                }
            }
        }
        NodeEnum::AlterFunctionStmt(_) => simple("alter_function"),
        NodeEnum::AlterOwnerStmt(_) => simple("change_owner"),
        NodeEnum::AlterObjectDependsStmt(_) => simple("alter_depends"),
        NodeEnum::AlterTypeStmt(_) => simple("alter_type_options"),
        NodeEnum::AlterOperatorStmt(_) => simple("alter_operator"),
        NodeEnum::AlterOpFamilyStmt(_) => simple("alter_operator_family"),
        NodeEnum::AlterCollationStmt(_) => simple("alter_collation"),
        NodeEnum::AlterTsdictionaryStmt(_) => simple("alter_text_search_dictionary"),
        NodeEnum::AlterTsconfigurationStmt(_) => simple("alter_text_search_configuration"),
        NodeEnum::CreateOpClassStmt(_) => simple("create_operator_class"),
        NodeEnum::CreateOpFamilyStmt(_) => simple("create_operator_family"),
        NodeEnum::CreateCastStmt(_) => simple("create_cast"),
        NodeEnum::CreateConversionStmt(_) => simple("create_conversion"),
        NodeEnum::CreateTransformStmt(_) => simple("create_transform"),
        NodeEnum::CreatePlangStmt(_) => simple("create_language"),
        NodeEnum::CreateAmStmt(_) => simple("create_access_method"),
        NodeEnum::CreateFdwStmt(_) => simple("create_foreign_data_wrapper"),
        NodeEnum::AlterFdwStmt(_) => simple("alter_foreign_data_wrapper"),
        NodeEnum::CreateForeignServerStmt(_) => simple("create_server"),
        NodeEnum::AlterForeignServerStmt(_) => simple("alter_server"),
        NodeEnum::CreateUserMappingStmt(_) => simple("create_user_mapping"),
        NodeEnum::AlterUserMappingStmt(_) => simple("alter_user_mapping"),
        NodeEnum::CreateForeignTableStmt(statement) => {
            let base = statement.base_stmt.as_ref()?;
            match create_table::lower(lower, base) {
                Ok(changes) => foreign_table(lower, changes),
                Err(refused) => Err(refused),
            }
        }
        NodeEnum::CreatePublicationStmt(statement) => {
            publication(lower, "create_publication", &statement.pubobjects)
        }
        NodeEnum::AlterPublicationStmt(statement) => {
            publication(lower, "alter_publication", &statement.pubobjects)
        }
        _ => return None,
    })
}

/// Adds an effect to the one change.
fn with(lowered: Lowered, effect: Effect) -> Lowered {
    let mut changes = lowered?;
    if let Some(Change::AsWritten(change)) = changes.first_mut() {
        change.effects.push(effect);
    }
    Ok(changes)
}

/// A range type's multirange. Source: makeMultirangeTypeName in src/backend/catalog/pg_type.c.
fn multirange(name: &Name) -> Name {
    let text = name.name.as_str();
    let made = match text.find("range") {
        Some(at) => format!("{}multirange{}", &text[..at], &text[at + 5..]),
        None => format!("{text}_multirange"),
    };
    name.sibling(Ident::new(made))
}

fn define(lower: &Lower, statement: &DefineStmt) -> Lowered {
    let kind = kinds::create(statement.kind());
    let (schema, name) = ast::qualified(&statement.defnames);
    let name = lower.new_name(schema, name);
    let lasting = format!("dropping {} needs its signature", name.name);
    let mut entry = Entry::lasting(kind, &lasting);
    match statement.kind() {
        ObjectType::ObjectAggregate => {
            // Aggregates are immutable to the planner. Source: AggregateCreate in pg_aggregate.c.
            entry.effects.push(Effect::Function(Function::new(name, "", Volatility::Immutable)));
        }
        ObjectType::ObjectType => {
            entry.undo = Ok(format!("DROP TYPE {name}"));
            entry.effects.push(Effect::Type(Type { name, kind: TypeKind::Other }));
        }
        ObjectType::ObjectCollation => entry.undo = Ok(format!("DROP COLLATION {name}")),
        ObjectType::ObjectTsconfiguration => {
            entry.undo = Ok(format!("DROP TEXT SEARCH CONFIGURATION {name}"));
        }
        ObjectType::ObjectTsdictionary => entry.undo = Ok(format!("DROP TEXT SEARCH DICTIONARY {name}")),
        _ => {}
    }
    entry.done(lower)
}

fn add_value(lower: &Lower, statement: &AlterEnumStmt) -> Lowered {
    let (schema, name) = ast::qualified(&statement.type_name);
    let found = match &schema {
        Some(schema) => Some(Name { schema: schema.clone(), name: name.clone() }),
        None => types::resolve(lower.catalog, &name),
    };
    let fail = |sqlstate: &str, reason: String| {
        Err(lower.will_fail("add_value", sqlstate, reason, "correct the statement", None))
    };
    let Some(known) = found.and_then(|name| lower.catalog.types.get(&name)) else {
        return fail("42704", format!("type {name} does not exist"));
    };
    let TypeKind::Enum(labels) = &known.kind else {
        return fail("42809", format!("{} is not an enum", known.name));
    };
    let label = statement.new_val.clone();
    if labels.contains(&label) {
        if statement.skip_if_new_val_exists {
            return Ok(Vec::new());
        }
        return fail("42710", format!("enum {} has the label {label:?} already", known.name));
    }
    let mut labels = labels.clone();
    let at = match statement.new_val_neighbor.as_str() {
        "" => labels.len(),
        neighbor => match labels.iter().position(|label| label == neighbor) {
            Some(at) => at + usize::from(statement.new_val_is_after),
            None => return fail("22023", format!("enum {} has no label {neighbor:?}", known.name)),
        },
    };
    labels.insert(at, label);
    let effect = Effect::Type(Type { name: known.name.clone(), kind: TypeKind::Enum(labels) });
    let mut entry = Entry::lasting("add_value", "PostgreSQL cannot take a value out of an enum");
    entry.effects.push(effect);
    entry.done(lower)
}

fn sequence(lower: &Lower, statement: &CreateSeqStmt) -> Lowered {
    let Some(var) = &statement.sequence else { return Ok(Vec::new()) };
    if var.relpersistence == "t" {
        return Err(Refused { run: None, ..create_table::temporary(lower) });
    }
    let (schema, name) = ast::table_name(var);
    let name = lower.new_name(schema, name);
    if lower.catalog.relation_name_taken(&name) {
        if statement.if_not_exists {
            return Ok(Vec::new());
        }
        return Err(exists(lower, "create_sequence", &name));
    }
    let undo = format!("DROP SEQUENCE {name}");
    let owned_by = owner(lower, &statement.options).flatten();
    let mut entry = Entry::new(
        "create_sequence",
        vec![Effect::Sequence(Sequence { name, owned_by: owned_by.clone() })],
        undo,
    );
    if let Some((table, _)) = owned_by {
        entry.locks.push(LockClaim { relation: table, mode: LockMode::AccessShare });
    }
    entry.done(lower)
}

/// OWNED BY: the outer `None` where it is not written, the inner one for NONE.
#[expect(clippy::option_option, reason = "not written and written as NONE are different things")]
fn owner(lower: &Lower, options: &[Node]) -> Option<Option<(Name, Ident)>> {
    let option = ast::option(options, "owned_by")?;
    let Some(NodeEnum::List(list)) = ast::node(option.arg.as_deref()) else { return None };
    let (column, table) = list.items.split_last()?;
    if table.is_empty() {
        return Some(None);
    }
    let column = ast::node(Some(column)).and_then(ast::string).map(Ident::from)?;
    let (schema, name) = ast::qualified(table);
    let table = lower.catalog.resolve(schema.as_ref(), &name)?;
    Some(Some((table.name.clone(), column)))
}

/// ALTER SEQUENCE takes SHARE ROW EXCLUSIVE on the sequence for a moment; setting other values rewrites its one row.
/// Source: AlterSequence in src/backend/commands/sequence.c.
fn alter_sequence(lower: &Lower, name: &Name, options: &[Node]) -> Lowered {
    let mut entry = Entry::lasting("alter_sequence", SETTING);
    entry.locks.push(LockClaim { relation: name.clone(), mode: LockMode::ShareRowExclusive });
    if let Some(owned_by) = owner(lower, options) {
        if let Some((table, _)) = &owned_by {
            entry.locks.push(LockClaim { relation: table.clone(), mode: LockMode::AccessShare });
        }
        entry.effects.push(Effect::Sequence(Sequence { name: name.clone(), owned_by }));
    }
    entry.done(lower)
}

pub(super) fn exists(lower: &Lower, kind: &'static str, name: &Name) -> Refused {
    lower.will_fail(kind, "42P07", format!("{name} exists already"), "choose another name", None)
}

fn foreign_table(lower: &Lower, changes: Vec<Change>) -> Lowered {
    let Some(Change::CreateTable(table)) = changes.into_iter().next() else { return Ok(Vec::new()) };
    let relation = Relation { kind: RelationKind::ForeignTable, ..table.relation };
    if lower.catalog.relation_name_taken(&relation.name) {
        if table.if_not_exists {
            return Ok(Vec::new());
        }
        return Err(exists(lower, "create_foreign_table", &relation.name));
    }
    let undo = format!("DROP FOREIGN TABLE {}", relation.name);
    Entry::new("create_foreign_table", vec![Effect::Relation(Box::new(relation))], undo).done(lower)
}

/// Publications take SHARE UPDATE EXCLUSIVE on their tables. Source: OpenTableList in publicationcmds.c.
fn publication(lower: &Lower, kind: &'static str, objects: &[Node]) -> Lowered {
    let mut entry = Entry::lasting(kind, SETTING);
    for object in ast::each(objects) {
        let NodeEnum::PublicationObjSpec(object) = object else { continue };
        let Some(var) = object.pubtable.as_ref().and_then(|table| table.relation.as_ref()) else { continue };
        let table = lower.relation(kind, var)?;
        entry.locks.extend(tree(lower.catalog, table, LockMode::ShareUpdateExclusive));
    }
    entry.done(lower)
}
