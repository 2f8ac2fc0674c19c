//! ADD GENERATED … AS IDENTITY, SET GENERATED and DROP IDENTITY.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, AlterTableType};

use crate::catalog::{Identity, Relation};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::kind::identity::{ChangeIdentity, To};
use crate::sql::ast;
use crate::sql::ident::Ident;
use crate::sql::lower::{Lower, Lowered, Run, kinds};
use crate::sql::tokens::Kind;

/// Lowers one; `None` for options of the sequence alone, which harm nobody.
pub(super) fn lower(
    lower: &Lower,
    table: &Relation,
    command: &AlterTableCmd,
    at: &Range<usize>,
) -> Option<Lowered> {
    let kind = kinds::subcommand(command.subtype());
    let column = Ident::from(command.name.as_str());
    let to = match (command.subtype(), ast::node(command.def.as_deref())) {
        (AlterTableType::AtAddIdentity, Some(NodeEnum::Constraint(constraint))) => {
            let sort = identity(&constraint.generated_when);
            if ast::each(&constraint.options).any(names_the_sequence) {
                return Some(Err(lower.refuse(
                    kind,
                    Code::NotYet,
                    format!(
                        "column {column}: SEQUENCE NAME, OWNED BY and LOGGED are not planned for an identity"
                    ),
                    "leave them out, and rename the sequence later",
                    Run::on(lower.catalog, table).unknown(kind),
                )));
            }
            let tokens = lower.tokens;
            let open = tokens.find(at.start, at.end, |kind| kind == Kind::Ascii40);
            let options = open.map_or("", |open| tokens.slice(open + 1, tokens.close(open)));
            To::Added(sort, options.to_owned())
        }
        (AlterTableType::AtSetIdentity, Some(NodeEnum::List(list))) => {
            let generated = ast::option(&list.items, "generated")?;
            let sort = match ast::node(generated.arg.as_deref()) {
                Some(NodeEnum::Integer(letter)) => letter.ival == i32::from(b'a'),
                _ => return None,
            };
            let sort = if sort { Identity::Always } else { Identity::ByDefault };
            if list.items.len() > 1 {
                return Some(Err(lower.refuse(
                    kind,
                    Code::NotYet,
                    format!(
                        "column {column}: SET GENERATED together with options of the sequence is not planned"
                    ),
                    "write the options as a statement of their own",
                    Run::on(lower.catalog, table).unknown(kind),
                )));
            }
            To::Set(sort)
        }
        (AlterTableType::AtDropIdentity, _) => {
            let is = table.column(&column).is_some_and(|column| column.identity.is_some());
            if command.missing_ok && !is {
                return Some(Ok(Vec::new()));
            }
            To::Dropped
        }
        _ => return None,
    };
    Some(Ok(vec![Change::ChangeIdentity(ChangeIdentity { kind, table: table.name.clone(), column, to })]))
}

fn identity(generated_when: &str) -> Identity {
    if generated_when == "a" { Identity::Always } else { Identity::ByDefault }
}

fn names_the_sequence(option: &NodeEnum) -> bool {
    matches!(option, NodeEnum::DefElem(option)
        if matches!(option.defname.as_str(), "sequence_name" | "owned_by" | "logged"))
}
