//! Statements that are recognised and refused: what they would do to running clients, and what to do instead.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableStmt, InsertStmt, MergeStmt, RangeVar, SelectStmt, TruncateStmt};

use crate::catalog::Relation;
use crate::diagnostic::{Code, Refusal};
use crate::pg::lock::LockMode;
use crate::plan::{LockClaim, Work, WorkKind};
use crate::sql::ast;
use crate::sql::lower::{Lower, Refused, Run, index, kinds, refused_session, tree, written};

/// Whatever no other module lowers.
pub(crate) fn statement(lower: &Lower, node: &NodeEnum) -> Refused {
    refused_session::session(node)
        .or_else(|| refused_session::server(lower, node))
        .or_else(|| code(lower, node))
        .or_else(|| data(lower, node))
        .or_else(|| maintenance(lower, node))
        .or_else(|| objects(lower, node))
        .unwrap_or_else(|| {
            lower.refuse(
                "other",
                Code::NotYet,
                "this statement cannot stand alone",
                "remove it",
                Run::default().unknown("other"),
            )
        })
}

/// Code whose effects cannot be read off.
fn code(lower: &Lower, node: &NodeEnum) -> Option<Refused> {
    let no = |kind: &'static str, reason: &str, way_out: &str| {
        lower.refuse(kind, Code::Opaque, reason, way_out, Run::default().unknown(kind))
    };
    Some(match node {
        NodeEnum::DoStmt(_) => no(
            "do",
            "what a DO block locks and changes cannot be known without running it",
            "write the statements themselves, or put DO into a file of its own and allow it",
        ),
        NodeEnum::CallStmt(_) => no(
            "call",
            "what a procedure locks and changes cannot be known without running it",
            "put the call into a file of its own and allow it, or run it outside the migration",
        ),
        NodeEnum::AlterExtensionStmt(_) => no(
            "alter_extension",
            "an extension's update script can lock and change anything",
            "run the update on a copy first, then allow it in a file of its own",
        ),
        NodeEnum::AlterExtensionContentsStmt(_) => no(
            "alter_extension_contents",
            "which objects belong to an extension decides what DROP EXTENSION removes, and is not modelled",
            "allow it in a file of its own",
        ),
        NodeEnum::ImportForeignSchemaStmt(_) => no(
            "import_foreign_schema",
            "which tables it makes is decided by the foreign server",
            "write CREATE FOREIGN TABLE",
        ),
        NodeEnum::DropOwnedStmt(_) => no(
            "drop_owned",
            "it drops whatever the role owns, under ACCESS EXCLUSIVE on each",
            "name the objects",
        ),
        NodeEnum::ReassignOwnedStmt(_) => no(
            "reassign_owned",
            "it changes whatever the role owns, in all of the database",
            "name the objects with ALTER … OWNER TO",
        ),
        NodeEnum::SelectStmt(select) => query(lower, select),
        _ => return None,
    })
}

fn query(lower: &Lower, select: &SelectStmt) -> Refused {
    let node = NodeEnum::SelectStmt(Box::new(select.clone()));
    let mut functions: Vec<String> = Vec::new();
    let mut writes = false;
    ast::walk(&node, &mut |kind, fields| {
        match kind {
            "FuncCall" => functions.extend(ast::name_parts(fields, "funcname").pop().flatten()),
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => writes = true,
            _ => {}
        }
        true
    });
    if functions.iter().any(|name| name == "set_config") {
        return Refused {
            kind: "select",
            refusal: Refusal::new(
                Code::NotSchema,
                "set_config() changes one session, and every step of a plan may run in another one",
                "remove it and qualify the names",
            ),
            span: None,
            run: None,
        };
    }
    if writes {
        return lower.refuse(
            "select",
            Code::NotYet,
            "the WITH clause writes, in one statement that locks every row it writes until it commits",
            "write the INSERT, UPDATE or DELETE as a statement of its own",
            Run::default().using(lower.catalog, &node, LockMode::RowExclusive),
        );
    }
    if functions.is_empty() {
        return lower.refuse(
            "select",
            Code::NotSchema,
            "a query changes nothing",
            "remove it",
            Run::default(),
        );
    }
    functions.dedup();
    let called = functions.iter().map(|name| format!("{name}()")).collect::<Vec<_>>().join(", ");
    lower.refuse(
        "select",
        Code::Opaque,
        format!(
            "a query in a migration is run for what its functions do ({called}), and that cannot be known"
        ),
        "allow it in a file of its own, or run it outside the migration",
        Run::default().unknown("select"),
    )
}

/// Writes.
fn data(lower: &Lower, node: &NodeEnum) -> Option<Refused> {
    Some(match node {
        NodeEnum::InsertStmt(insert) => self::insert(lower, insert),
        NodeEnum::MergeStmt(merge) => self::merge(lower, merge),
        NodeEnum::TruncateStmt(truncate) => self::truncate(lower, truncate),
        _ => return None,
    })
}

fn insert(lower: &Lower, insert: &InsertStmt) -> Refused {
    let table = match target(lower, "insert_select", insert.relation.as_ref()) {
        Ok(table) => table,
        Err(refused) => return refused,
    };
    let mut run = Run::locking(lower.catalog, table, LockMode::RowExclusive);
    run.work.push(Work { relation: table.name.clone(), what: WorkKind::Rows });
    let run = run.using(lower.catalog, &lower.statement.node, LockMode::AccessShare);
    lower.refuse(
        "insert_select",
        Code::NotYet,
        format!(
            "INSERT … SELECT into {} copies what is there at that instant, in one transaction: rows that running code writes to the source afterwards are missed, and the batched form is not built yet",
            table.name
        ),
        "let the application write both tables first and copy outside the migration, or allow it where the source is small and still",
        run,
    )
}

fn merge(lower: &Lower, merge: &MergeStmt) -> Refused {
    let table = match target(lower, "merge", merge.relation.as_ref()) {
        Ok(table) => table,
        Err(refused) => return refused,
    };
    let mut run = Run::locking(lower.catalog, table, LockMode::RowExclusive);
    run.work.push(Work { relation: table.name.clone(), what: WorkKind::Rows });
    let run = run.using(lower.catalog, &lower.statement.node, LockMode::AccessShare);
    lower.refuse(
        "merge",
        Code::NotBatchable,
        format!(
            "MERGE into {} locks every row it writes until it commits, and its batches would not equal it",
            table.name
        ),
        "write an UPDATE of one table, or allow it where it concerns few rows",
        run,
    )
}

fn truncate(lower: &Lower, truncate: &TruncateStmt) -> Refused {
    let mut run = Run::default();
    for node in ast::each(&truncate.relations) {
        let NodeEnum::RangeVar(var) = node else { continue };
        match lower.relation("truncate", var) {
            Ok(table) => {
                run.locks.extend(tree(lower.catalog, table, LockMode::AccessExclusive));
                for (child, _) in lower.catalog.incoming_foreign_keys(&table.name) {
                    run.locks
                        .push(LockClaim { relation: child.name.clone(), mode: LockMode::AccessExclusive });
                }
            }
            Err(missing) => return missing,
        }
    }
    let run = run.with_indexes(lower.catalog);
    lower.refuse(
        "truncate",
        Code::NoOnlineForm,
        "TRUNCATE takes ACCESS EXCLUSIVE on the table and with CASCADE on every table that references it, and all rows vanish for running code at once",
        "delete in batches outside the migration",
        run,
    )
}

fn target<'a>(
    lower: &Lower<'a>,
    kind: &'static str,
    var: Option<&RangeVar>,
) -> Result<&'a Relation, Refused> {
    match var {
        Some(var) => lower.relation(kind, var),
        None => Err(lower.will_fail(kind, "42601", "no table is named", "name it", None)),
    }
}

/// VACUUM and the like.
fn maintenance(lower: &Lower, node: &NodeEnum) -> Option<Refused> {
    Some(match node {
        NodeEnum::VacuumStmt(vacuum) => {
            let full = ast::option(&vacuum.options, "full").is_some();
            let mut run = Run { alone: true, ..Run::default() };
            let mode = if full { LockMode::AccessExclusive } else { LockMode::ShareUpdateExclusive };
            for node in ast::each(&vacuum.rels) {
                if let NodeEnum::VacuumRelation(relation) = node
                    && let Some(var) = &relation.relation
                {
                    match lower.relation("vacuum", var) {
                        Ok(table) => run.locks.extend(tree(lower.catalog, table, mode)),
                        Err(missing) => return Some(missing),
                    }
                }
            }
            let reason = if full {
                "VACUUM FULL is maintenance, not a change of the schema: it rewrites the table and its indexes under ACCESS EXCLUSIVE"
            } else {
                "VACUUM is maintenance, not a change of the schema, and cannot run in a transaction block"
            };
            let way_out = if full {
                "use plain VACUUM, or an extension that repacks beside running writes"
            } else {
                "leave it to autovacuum, or run it outside the migration"
            };
            lower.refuse("vacuum", Code::NotSchema, reason, way_out, run)
        }
        NodeEnum::ClusterStmt(cluster) => {
            let mut run = match cluster.relation.as_ref().map(|var| lower.relation("cluster", var)) {
                Some(Ok(table)) => Run::on(lower.catalog, table),
                Some(Err(missing)) => return Some(missing),
                None => Run { alone: true, ..Run::default() },
            };
            for lock in run.locks.clone() {
                run.work.push(Work { relation: lock.relation, what: WorkKind::Rewrite });
            }
            let run = run.with_indexes(lower.catalog);
            lower.refuse(
                "cluster",
                Code::NoOnlineForm,
                "CLUSTER rewrites the table and its indexes under ACCESS EXCLUSIVE",
                "use an extension that repacks beside running writes",
                run,
            )
        }
        // A table or an index is planned.
        NodeEnum::ReindexStmt(_) => lower.refuse(
            "reindex",
            Code::NotYet,
            "it rebuilds whatever is there, PostgreSQL's own catalogs perhaps included, which cannot be rebuilt beside reads and writes",
            "name the tables that need it, in a REINDEX TABLE each",
            Run { alone: true, ..Run::default() }.unknown("reindex"),
        ),
        NodeEnum::RefreshMatViewStmt(refresh) => {
            let view = match target(lower, "refresh_materialized_view", refresh.relation.as_ref()) {
                Ok(view) => view,
                Err(missing) => return Some(missing),
            };
            let mut run = Run::on(lower.catalog, view);
            run.work.push(Work { relation: view.name.clone(), what: WorkKind::Rewrite });
            lower.refuse(
                "refresh_materialized_view",
                Code::NoOnlineForm,
                format!(
                    "REFRESH takes ACCESS EXCLUSIVE on {} for as long as its query runs: readers wait",
                    view.name
                ),
                "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on it",
                run,
            )
        }
        NodeEnum::AlterTableMoveAllStmt(_) => lower.refuse(
            "move_all_to_tablespace",
            Code::NoOnlineForm,
            "moving to another tablespace copies every table under ACCESS EXCLUSIVE",
            "use an extension that repacks into another tablespace beside running writes",
            Run::default().unknown("move_all_to_tablespace"),
        ),
        _ => return None,
    })
}

/// Objects: rename, drop, and what is altered.
fn objects(lower: &Lower, node: &NodeEnum) -> Option<Refused> {
    Some(match node {
        NodeEnum::DropUserMappingStmt(_) => lower.refuse(
            "drop_user_mapping",
            Code::NotYet,
            "running code that uses the foreign server as this user fails from that instant",
            "drop it when nobody uses it any more, and allow it",
            Run::default(),
        ),
        NodeEnum::AlterDomainStmt(alter) => {
            let kind = "alter_domain";
            let (schema, name) = ast::qualified(&alter.type_name);
            let domain = written(schema.as_ref(), &name);
            let checks = matches!(alter.subtype.as_str(), "C" | "O" | "V");
            if checks {
                lower.refuse(
                    kind,
                    Code::NoOnlineForm,
                    format!("a new or validated constraint of domain {domain} scans every table that uses it, under SHARE on each: writes wait"),
                    "put the constraint on the tables, by ADD CHECK",
                    Run::default().unknown(kind),
                )
            } else {
                lower.refuse(
                    kind,
                    Code::NotYet,
                    format!("a change of domain {domain} holds for every column that uses it at once"),
                    "allow it if all users of the domain can take it",
                    Run::default(),
                )
            }
        }
        NodeEnum::AlterEnumStmt(alter) => lower.refuse(
            "rename_value",
            Code::NoOnlineForm,
            format!(
                "running code that writes or compares {} fails from the instant of the renaming",
                crate::sql::ident::literal(&alter.old_val)
            ),
            "add the new value, let the code write it, and move the rows",
            Run::default().unknown("rename_value"),
        ),
        NodeEnum::CreateSchemaStmt(_) => lower.refuse(
            "create_schema",
            Code::NotYet,
            "objects inside CREATE SCHEMA are not planned",
            "write CREATE SCHEMA alone, and the objects as statements of their own",
            Run::default().unknown("create_schema"),
        ),
        _ => return None,
    })
}

/// The kind of an ALTER TABLE that fails before its subcommands are looked at.
pub(crate) fn alter_kind(alter: &AlterTableStmt) -> &'static str {
    match ast::each(&alter.cmds).next() {
        Some(NodeEnum::AlterTableCmd(command)) if alter.cmds.len() == 1 => {
            kinds::subcommand(command.subtype())
        }
        _ => kinds::alter(alter.objtype()),
    }
}

/// ALTER of what is no table.
pub(crate) fn alter_other(lower: &Lower, alter: &AlterTableStmt) -> Refused {
    let kind = kinds::alter(alter.objtype());
    let mut run = Run::default();
    let mut called = String::new();
    if let Some(var) = &alter.relation {
        let (schema, name) = ast::table_name(var);
        called = format!(" {}", written(schema.as_ref(), &name));
        if let Some(relation) = lower.catalog.resolve(schema.as_ref(), &name) {
            run = Run::on(lower.catalog, relation).unknown(kind);
        }
    }
    lower.refuse(
        kind,
        Code::NotYet,
        format!("{}{called}: such changes are not planned yet; they take ACCESS EXCLUSIVE on the object, most of them for a moment", kinds::words(kind)),
        "make the object anew beside the old one, or allow it",
        run,
    )
}

/// ALTER TABLE that names an index or a sequence, as PostgreSQL accepts.
pub(crate) fn alter_index_or_sequence(lower: &Lower, alter: &AlterTableStmt) -> Option<Refused> {
    let (schema, name) = ast::table_name(alter.relation.as_ref()?);
    let known = index::find(lower, schema.as_ref(), &name).is_some()
        || lower.sequence(schema.as_ref(), &name).is_some();
    known.then(|| alter_other(lower, alter))
}
