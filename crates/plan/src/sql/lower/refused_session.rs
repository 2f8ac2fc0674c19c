//! Commands of a transaction, a session or the whole server: no part of a schema.

use pg_query::NodeEnum;
use pg_query::protobuf::TransactionStmtKind;

use crate::diagnostic::{Code, Refusal};
use crate::sql::lower::{Lower, Refused, Run, kinds};

/// Transaction, session and cursor commands: not even `allow` helps, since every step of a plan may run in another session.
pub(super) fn session(node: &NodeEnum) -> Option<Refused> {
    let no = |kind: &'static str, reason: &str, way_out: &str| Refused {
        kind,
        refusal: Refusal::new(Code::NotSchema, format!("{}: {reason}", kinds::words(kind)), way_out),
        span: None,
        run: None,
    };
    Some(match node {
        NodeEnum::TransactionStmt(transaction) => no(
            match transaction.kind() {
                TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => "begin",
                TransactionStmtKind::TransStmtCommit => "commit",
                TransactionStmtKind::TransStmtRollback => "rollback",
                TransactionStmtKind::TransStmtSavepoint => "savepoint",
                TransactionStmtKind::TransStmtRelease => "release_savepoint",
                TransactionStmtKind::TransStmtRollbackTo => "rollback_to_savepoint",
                TransactionStmtKind::TransStmtPrepare => "prepare_transaction",
                TransactionStmtKind::TransStmtCommitPrepared => "commit_prepared",
                TransactionStmtKind::TransStmtRollbackPrepared => "rollback_prepared",
                TransactionStmtKind::Undefined => "transaction",
            },
            "Concertina makes the transactions itself: one transaction over the whole file would hold every lock to its end",
            "remove it",
        ),
        NodeEnum::VariableSetStmt(set) if set.name == "search_path" => no(
            "set",
            "a setting lives in one session, and every step of a plan may run in another one",
            "remove it and qualify the names, or set search_path for the role or in the connection",
        ),
        NodeEnum::VariableSetStmt(_) => no(
            "set",
            "a setting lives in one session, and every step of a plan may run in another one",
            "remove it; timeouts are Concertina's own, other settings belong to the role or the connection",
        ),
        NodeEnum::VariableShowStmt(_) => no("show", "it only shows a setting", "remove it"),
        NodeEnum::ConstraintsSetStmt(_) => {
            no("set_constraints", "it holds for one transaction, and Concertina makes those", "remove it")
        }
        NodeEnum::LockStmt(_) => no(
            "lock_table",
            "a lock holds for one transaction, and Concertina takes its own under the stall budget",
            "remove it",
        ),
        NodeEnum::NotifyStmt(_) => no("notify", "it changes no schema", "remove it"),
        NodeEnum::ListenStmt(_) => no("listen", "it changes no schema", "remove it"),
        NodeEnum::UnlistenStmt(_) => no("unlisten", "it changes no schema", "remove it"),
        NodeEnum::DeclareCursorStmt(_) => {
            no("declare_cursor", "a cursor lives in one transaction", "remove it")
        }
        NodeEnum::ClosePortalStmt(_) => no("close_cursor", "a cursor lives in one transaction", "remove it"),
        NodeEnum::FetchStmt(_) => no("fetch", "a cursor lives in one transaction", "remove it"),
        NodeEnum::PrepareStmt(_) => {
            no("prepare", "a prepared statement lives in one session", "write the statement itself")
        }
        NodeEnum::ExecuteStmt(_) => {
            no("execute", "a prepared statement lives in one session", "write the statement itself")
        }
        NodeEnum::DeallocateStmt(_) => {
            no("deallocate", "a prepared statement lives in one session", "remove it")
        }
        NodeEnum::DiscardStmt(_) => no("discard", "it resets one session", "remove it"),
        NodeEnum::LoadStmt(_) => {
            no("load", "it loads a library into one session", "set session_preload_libraries")
        }
        NodeEnum::ExplainStmt(_) => no("explain", "it changes no schema", "remove it"),
        NodeEnum::CopyStmt(_) => no(
            "copy",
            "it needs a client or a file on the server, and its rows are not known beforehand",
            "load the data outside the migration",
        ),
        _ => return None,
    })
}

/// What belongs to the cluster or the server.
pub(super) fn server(lower: &Lower, node: &NodeEnum) -> Option<Refused> {
    let no = |kind: &'static str, what: &str, alone: bool| {
        lower.refuse(
            kind,
            Code::NotSchema,
            format!("{what} belongs to the whole server, not to this database's schema"),
            "do it where the server is administered",
            Run { alone, ..Run::default() },
        )
    };
    Some(match node {
        NodeEnum::CreatedbStmt(_) => no("create_database", "a database", true),
        NodeEnum::DropdbStmt(_) => no("drop_database", "a database", true),
        NodeEnum::AlterDatabaseStmt(_)
        | NodeEnum::AlterDatabaseSetStmt(_)
        | NodeEnum::AlterDatabaseRefreshCollStmt(_) => no("alter_database", "a database's setting", false),
        NodeEnum::CreateTableSpaceStmt(_) => no("create_tablespace", "a tablespace", true),
        NodeEnum::DropTableSpaceStmt(_) => no("drop_tablespace", "a tablespace", true),
        NodeEnum::AlterTableSpaceOptionsStmt(_) => no("alter_tablespace", "a tablespace", false),
        NodeEnum::CreateRoleStmt(_) => no("create_role", "a role", false),
        NodeEnum::AlterRoleStmt(_) | NodeEnum::AlterRoleSetStmt(_) => no("alter_role", "a role", false),
        NodeEnum::DropRoleStmt(_) => no("drop_role", "a role", false),
        NodeEnum::GrantRoleStmt(_) => no("grant_role", "membership of roles", false),
        NodeEnum::AlterSystemStmt(_) => no("alter_system", "the server's configuration", true),
        NodeEnum::CheckPointStmt(_) => no("checkpoint", "a checkpoint", false),
        NodeEnum::CreateSubscriptionStmt(_) => {
            no("create_subscription", "a subscription with its slot", true)
        }
        NodeEnum::AlterSubscriptionStmt(_) => no("alter_subscription", "a subscription with its slot", true),
        NodeEnum::DropSubscriptionStmt(_) => no("drop_subscription", "a subscription with its slot", true),
        NodeEnum::CreateEventTrigStmt(_) => {
            no("create_event_trigger", "an event trigger, which fires for every later DDL statement,", false)
        }
        NodeEnum::AlterEventTrigStmt(_) => {
            no("alter_event_trigger", "an event trigger, which fires for every later DDL statement,", false)
        }
        _ => return None,
    })
}
