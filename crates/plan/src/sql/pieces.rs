//! A file as the server is to run it as written: its statements, and which of them want to be alone.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableType, ObjectType, ReindexObjectType, TransactionStmtKind};

use crate::diagnostic::Diagnostic;
use crate::sql::parse;

/// How a statement goes with transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// It runs inside a transaction block as well as outside.
    Plain,
    /// It refuses to run inside a transaction block. Source: callers of `PreventInTransactionBlock`.
    Alone,
    /// BEGIN
    Begin,
    /// COMMIT
    Commit,
    /// ROLLBACK, SAVEPOINT, PREPARE TRANSACTION and the like.
    OtherControl,
}

/// A statement of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verbatim {
    /// Bytes of the file.
    pub span: Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Its text.
    pub sql: String,
    /// How it goes with transactions.
    pub piece: Piece,
}

/// Splits a file into its statements, without looking at what they mean.
///
/// # Errors
/// When the text is not SQL.
pub fn split(text: &str) -> Result<Vec<Verbatim>, Diagnostic> {
    let prepared = parse::prepare(text);
    parse::deep(|| {
        let (statements, tokens) = parse::parse(&prepared)?;
        Ok(statements
            .into_iter()
            .map(|statement| Verbatim {
                line: tokens.line(statement.span.start),
                sql: prepared[statement.span.clone()].to_owned(),
                piece: piece(&statement.node),
                span: statement.span,
            })
            .collect())
    })
}

fn piece(node: &NodeEnum) -> Piece {
    let alone = match node {
        NodeEnum::TransactionStmt(transaction) => {
            return match transaction.kind() {
                TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => Piece::Begin,
                TransactionStmtKind::TransStmtCommit => Piece::Commit,
                _ => Piece::OtherControl,
            };
        }
        NodeEnum::IndexStmt(index) => index.concurrent,
        NodeEnum::DropStmt(drop) => drop.concurrent && drop.remove_type() == ObjectType::ObjectIndex,
        NodeEnum::ReindexStmt(reindex) => {
            let whole = matches!(
                reindex.kind(),
                ReindexObjectType::ReindexObjectSchema
                    | ReindexObjectType::ReindexObjectSystem
                    | ReindexObjectType::ReindexObjectDatabase
            );
            whole || reindex.params.iter().any(|param| {
                matches!(&param.node, Some(NodeEnum::DefElem(option)) if option.defname == "concurrently")
            })
        }
        NodeEnum::AlterTableStmt(alter) => alter.cmds.iter().any(|command| {
            matches!(&command.node, Some(NodeEnum::AlterTableCmd(command))
                if command.subtype() == AlterTableType::AtDetachPartition
                    && matches!(command.def.as_ref().and_then(|def| def.node.as_ref()),
                        Some(NodeEnum::PartitionCmd(partition)) if partition.concurrent))
        }),
        NodeEnum::ClusterStmt(cluster) => cluster.relation.is_none(),
        NodeEnum::VacuumStmt(vacuum) => vacuum.is_vacuumcmd,
        NodeEnum::CreatedbStmt(_)
        | NodeEnum::DropdbStmt(_)
        | NodeEnum::CreateTableSpaceStmt(_)
        | NodeEnum::DropTableSpaceStmt(_)
        | NodeEnum::AlterSystemStmt(_)
        | NodeEnum::CreateSubscriptionStmt(_)
        | NodeEnum::DropSubscriptionStmt(_) => true,
        _ => false,
    };
    if alone { Piece::Alone } else { Piece::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_want_to_be_alone() {
        let text = "\u{feff}-- first\nBEGIN; CREATE TABLE t (a int); COMMIT;\nCREATE INDEX CONCURRENTLY i ON t (a);\n\
                    DROP INDEX CONCURRENTLY i; REINDEX TABLE t; REINDEX (VERBOSE) TABLE CONCURRENTLY t; VACUUM t; ANALYZE t;\n\
                    ALTER TABLE p DETACH PARTITION t CONCURRENTLY; ALTER TABLE p DETACH PARTITION t; SAVEPOINT s";
        let pieces = split(text).expect("valid SQL");
        assert_eq!(
            pieces.iter().map(|piece| piece.piece).collect::<Vec<_>>(),
            [
                Piece::Begin,
                Piece::Plain,
                Piece::Commit,
                Piece::Alone,
                Piece::Alone,
                Piece::Plain,
                Piece::Alone,
                Piece::Alone,
                Piece::Plain,
                Piece::Alone,
                Piece::Plain,
                Piece::OtherControl,
            ]
        );
        assert_eq!((pieces[1].line, pieces[1].sql.as_str()), (2, "CREATE TABLE t (a int)"));
        assert!(split("SELEC 1").is_err());
        assert!(split("-- nothing\n").is_ok_and(|pieces| pieces.is_empty()));
    }
}
