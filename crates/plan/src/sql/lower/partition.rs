//! ATTACH and DETACH PARTITION, and the text of a bound.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, AlterTableType};

use crate::catalog::Relation;
use crate::change::Change;
use crate::effect::Effect;
use crate::kind::as_written::AsWritten;
use crate::kind::attach_partition::AttachPartition;
use crate::kind::detach_partition::DetachPartition;
use crate::pg::lock::LockMode;
use crate::plan::LockClaim;
use crate::sql::ast;
use crate::sql::lower::{Lower, Lowered, kinds, tree};
use crate::sql::tokens::{Kind, Tokens};

/// A subcommand about a partition of `table`.
pub(crate) fn alter(lower: &Lower, table: &Relation, command: &AlterTableCmd, at: &Range<usize>) -> Lowered {
    let kind = kinds::subcommand(command.subtype());
    let Some(NodeEnum::PartitionCmd(written)) = ast::node(command.def.as_deref()) else {
        return Ok(Vec::new());
    };
    let Some(var) = &written.name else { return Ok(Vec::new()) };
    let partition = lower.relation(kind, var)?;
    let (table, name) = (table.name.clone(), partition.name.clone());
    Ok(vec![match command.subtype() {
        AlterTableType::AtAttachPartition => {
            let from = lower.tokens.after_name(lower.tokens.at(ast::byte(var.location)));
            let bound = lower.tokens.slice(from, at.end).to_owned();
            Change::AttachPartition(AttachPartition { table, partition: name, bound, created: false })
        }
        AlterTableType::AtDetachPartitionFinalize => return finalize(lower, partition, table, kind),
        _ => Change::DetachPartition(DetachPartition {
            table,
            partition: name,
            concurrently: written.concurrent,
        }),
    }])
}

/// The second half of an interrupted DETACH … CONCURRENTLY: nobody has seen the partition's rows since the first.
fn finalize(
    lower: &Lower,
    partition: &Relation,
    table: crate::sql::ident::Name,
    kind: &'static str,
) -> Lowered {
    if !partition.detaching {
        let reason = format!("{} is not about to be detached", partition.name);
        return Err(lower.will_fail(
            kind,
            "55000",
            reason,
            "leave the statement out, or write DETACH PARTITION",
            None,
        ));
    }
    let mut locks = tree(lower.catalog, partition, LockMode::AccessExclusive);
    locks.push(LockClaim { relation: table.clone(), mode: LockMode::ShareUpdateExclusive });
    Ok(vec![Change::AsWritten(AsWritten {
        kind,
        sql: lower.sql().to_owned(),
        locks,
        work: Vec::new(),
        transaction: true,
        effects: vec![Effect::Detached { table, partition: partition.name.clone() }],
        undo: Err("the detachment was begun before this migration".to_owned()),
        whole: false,
    })])
}

/// Tokens of a partition's bound that begins in `within`: `FOR VALUES …` or `DEFAULT`.
pub(crate) fn bound(tokens: &Tokens, within: Range<usize>) -> Option<Range<usize>> {
    let starts = |at: usize| match tokens.kind(at) {
        Kind::Default => true,
        Kind::For => tokens.kind(at + 1) == Kind::Values,
        _ => false,
    };
    let depth = tokens.get(within.start)?.depth;
    let from =
        within.clone().find(|&at| tokens.get(at).is_some_and(|token| token.depth == depth) && starts(at))?;
    if tokens.kind(from) == Kind::Default {
        return Some(from..from + 1);
    }
    // FOR VALUES IN (…), WITH (…), FROM (…) TO (…)
    let close = tokens.close(from + 3);
    let close = if tokens.kind(close + 1) == Kind::To { tokens.close(close + 2) } else { close };
    Some(from..close + 1)
}
