//! Partition keys and bounds, read from their text: as written, or from `pg_get_partkeydef` and `pg_get_expr`.

use pg_query::protobuf::{PartitionBoundSpec, PartitionStrategy};
use pg_query::{Node, NodeEnum};

use crate::sql::ident::Ident;
use crate::sql::tokens::{Kind, Tokens};
use crate::sql::{analyse, ast, parse};

/// How a table is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionKey {
    /// By what.
    pub(crate) strategy: Strategy,
    /// Plain columns; `None` for an expression, or a column with a collation or operator class of its own.
    pub(crate) columns: Vec<Option<Ident>>,
}

/// `partstrat`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// `l`
    List,
    /// `r`
    Range,
    /// `h`
    Hash,
}

/// Which rows a partition takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// `DEFAULT`
    Default,
    /// `FOR VALUES IN (…)`
    List {
        /// Values, NULL left out.
        values: Vec<Value>,
        /// NULL is among them.
        null: bool,
    },
    /// `FOR VALUES FROM (…) TO (…)`
    Range {
        /// Inclusive.
        from: Vec<Edge>,
        /// Exclusive.
        to: Vec<Edge>,
    },
    /// `FOR VALUES WITH (MODULUS m, REMAINDER r)`
    Hash {
        /// Modulus.
        modulus: i32,
        /// Remainder.
        remainder: i32,
    },
}

/// One end of a range, in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// `MINVALUE`
    Min,
    /// `MAXVALUE`
    Max,
    /// A value.
    Value(Value),
}

/// A value as its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// The expression.
    pub(crate) text: String,
    /// It is a literal, possibly cast.
    pub(crate) literal: bool,
    /// The literal is cast to this type.
    pub(crate) cast: Option<String>,
}

/// Reads what follows `PARTITION BY`.
pub(crate) fn key(by: &str) -> Option<PartitionKey> {
    let text = format!("CREATE TABLE t () PARTITION BY {by}");
    parse::deep(|| {
        let (statements, _) = parse::parse(&text).ok()?;
        let NodeEnum::CreateStmt(create) = &statements.first()?.node else { return None };
        let spec = create.partspec.as_ref()?;
        let strategy = match spec.strategy() {
            PartitionStrategy::List => Strategy::List,
            PartitionStrategy::Range => Strategy::Range,
            PartitionStrategy::Hash => Strategy::Hash,
            PartitionStrategy::Undefined => return None,
        };
        let column = |node: &NodeEnum| match node {
            NodeEnum::PartitionElem(element) => {
                let plain = element.collation.is_empty() && element.opclass.is_empty();
                (plain && !element.name.is_empty()).then(|| Ident::from(element.name.as_str()))
            }
            _ => None,
        };
        Some(PartitionKey { strategy, columns: ast::each(&spec.part_params).map(column).collect() })
    })
}

/// Reads `DEFAULT` or `FOR VALUES …`.
pub(crate) fn bound(text: &str) -> Option<Bound> {
    let text = format!("ALTER TABLE t ATTACH PARTITION p {text}");
    parse::deep(|| {
        let (statements, tokens) = parse::parse(&text).ok()?;
        let NodeEnum::AlterTableStmt(alter) = &statements.first()?.node else { return None };
        let Some(NodeEnum::AlterTableCmd(command)) = ast::each(&alter.cmds).next() else { return None };
        let Some(NodeEnum::PartitionCmd(partition)) = ast::node(command.def.as_deref()) else { return None };
        read(&tokens, partition.bound.as_ref()?)
    })
}

fn read(tokens: &Tokens, spec: &PartitionBoundSpec) -> Option<Bound> {
    if spec.is_default {
        return Some(Bound::Default);
    }
    match spec.strategy.as_str() {
        "h" => Some(Bound::Hash { modulus: spec.modulus, remainder: spec.remainder }),
        "l" => {
            let texts = elements(tokens, Kind::InP);
            let is_null = |node: &Node| ast::node(Some(node)).is_some_and(analyse::is_null);
            let null = spec.listdatums.iter().any(is_null);
            let values = spec.listdatums.iter().zip(texts).filter(|(node, _)| !is_null(node));
            Some(Bound::List { values: values.map(|(node, text)| value(tokens, node, text)).collect(), null })
        }
        "r" => {
            let edges = |word, nodes: &[Node]| -> Vec<Edge> {
                let texts = elements(tokens, word);
                nodes.iter().zip(texts).map(|(node, text)| edge(tokens, node, text)).collect()
            };
            Some(Bound::Range {
                from: edges(Kind::From, &spec.lowerdatums),
                to: edges(Kind::To, &spec.upperdatums),
            })
        }
        _ => None,
    }
}

/// Texts of the list that stands in parentheses behind this word.
fn elements(tokens: &Tokens, word: Kind) -> Vec<String> {
    let Some(word) = tokens.find(0, tokens.list.len(), |kind| kind == word) else { return Vec::new() };
    let close = tokens.close(word + 1);
    let mut texts = Vec::new();
    let mut at = word + 2;
    while at < close {
        let end = tokens.element_end(at, close);
        texts.push(tokens.slice(at, end).to_owned());
        at = end + 1;
    }
    texts
}

/// MINVALUE and MAXVALUE are read as names of columns, which are not allowed here otherwise.
/// Source: `transformPartitionRangeBounds` in src/backend/parser/parse_utilcmd.c.
fn edge(tokens: &Tokens, node: &Node, text: String) -> Edge {
    if let Some(NodeEnum::ColumnRef(column)) = ast::node(Some(node)) {
        match ast::strings(&column.fields)[..] {
            ["minvalue"] => return Edge::Min,
            ["maxvalue"] => return Edge::Max,
            _ => {}
        }
    }
    Edge::Value(value(tokens, node, text))
}

fn value(tokens: &Tokens, node: &Node, text: String) -> Value {
    let node = ast::node(Some(node));
    let cast = match node {
        Some(NodeEnum::TypeCast(cast)) => cast.type_name.as_ref().map(|name| {
            let at = tokens.at(ast::byte(name.location));
            tokens.slice(at, tokens.after_name(at)).to_lowercase()
        }),
        _ => None,
    };
    Value { text, literal: node.is_some_and(analyse::constant), cast }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let read = |by: &str| key(by).map(|key| (key.strategy, key.columns));
        let id = |name: &str| Some(Ident::new(name));
        assert_eq!(read("RANGE (a, \"B\")"), Some((Strategy::Range, vec![id("a"), id("B")])));
        assert_eq!(read("list (lower(a))"), Some((Strategy::List, vec![None])));
        assert_eq!(read("HASH (a COLLATE \"C\", b)"), Some((Strategy::Hash, vec![None, id("b")])));
        assert_eq!(read("nonsense"), None);
    }

    #[test]
    fn bounds() {
        let text = |edge: &Edge| match edge {
            Edge::Min => "min".to_owned(),
            Edge::Max => "max".to_owned(),
            Edge::Value(value) => format!("{}{}", value.text, if value.literal { "" } else { " ?" }),
        };
        let range = |sql: &str| match bound(sql) {
            Some(Bound::Range { from, to }) => from.iter().chain(&to).map(text).collect::<Vec<_>>().join("|"),
            other => panic!("{other:?}"),
        };
        assert_eq!(range("FOR VALUES FROM (1, MINVALUE) TO ('a,)', f(2, 3))"), "1|min|'a,)'|f(2, 3) ?");
        assert_eq!(range("FOR VALUES FROM (-5) TO (maxvalue)"), "-5|max");
        assert_eq!(range("FOR VALUES FROM ('2024-01-01') TO (now())"), "'2024-01-01'|now() ?");
        let list = bound("FOR VALUES IN ('a', NULL, 'b'::text)");
        assert!(
            matches!(&list, Some(Bound::List { values, null: true }) if values.len() == 2 && values[1].cast.as_deref() == Some("text")),
            "{list:?}"
        );
        assert_eq!(
            bound("FOR VALUES WITH (MODULUS 4, remainder 1)"),
            Some(Bound::Hash { modulus: 4, remainder: 1 })
        );
        assert_eq!(bound("DEFAULT"), Some(Bound::Default));
    }
}
