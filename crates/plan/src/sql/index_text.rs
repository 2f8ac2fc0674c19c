//! What follows the table in CREATE INDEX, taken apart: keys, predicate, and the names its columns give.

use pg_query::NodeEnum;

use crate::sql::ident::Ident;
use crate::sql::names::index_columns;
use crate::sql::parse;
use crate::sql::tokens::{Kind, Tokens};

/// The parts of `[USING method] (keys) [INCLUDE …] [NULLS …] [WITH …] [TABLESPACE …] [WHERE …]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexText {
    /// Names of the columns, INCLUDE ones too, as generated index names use them.
    pub(crate) columns: Vec<String>,
    /// Keys as expressions: without operator class and order.
    pub(crate) keys: Vec<String>,
    /// The predicate.
    pub(crate) filter: Option<String>,
    /// NULLS NOT DISTINCT
    pub(crate) nulls_not_distinct: bool,
    /// The text with blanks, comments and letter case outside quotes evened out, to compare two by.
    pub(crate) normal: String,
}

/// Reads such a text, as written or from `pg_get_indexdef`. `None` when it is not one.
pub(crate) fn read(body: &str) -> Option<IndexText> {
    let text = format!("CREATE INDEX ON t {body}");
    parse::deep(|| {
        let (statements, tokens) = parse::parse(&text).ok()?;
        let [statement] = statements.as_slice() else { return None };
        let NodeEnum::IndexStmt(index) = &statement.node else { return None };
        let elements: Vec<_> = index
            .index_params
            .iter()
            .chain(&index.index_including_params)
            .filter_map(|node| match &node.node {
                Some(NodeEnum::IndexElem(element)) => Some(element.as_ref()),
                _ => None,
            })
            .collect();
        let body = if tokens.kind(4) == Kind::Using { 6 } else { 4 };
        Some(IndexText {
            columns: index_columns(&elements),
            keys: keys(&tokens, body),
            filter: filter(&tokens, body),
            nulls_not_distinct: index.nulls_not_distinct,
            normal: normal(&tokens, body),
        })
    })
}

/// The tablespace that a whole CREATE INDEX names.
pub(crate) fn tablespace(definition: &str) -> Option<Ident> {
    parse::deep(|| {
        let (statements, _) = parse::parse(definition).ok()?;
        let [statement] = statements.as_slice() else { return None };
        let NodeEnum::IndexStmt(index) = &statement.node else { return None };
        (!index.table_space.is_empty()).then(|| Ident::from(index.table_space.as_str()))
    })
}

/// Storage clauses of a constraint as those of an index: `USING INDEX TABLESPACE t` is `TABLESPACE t` there.
pub(crate) fn storage(clauses: &str) -> String {
    let Some(tokens) = Tokens::scan(clauses) else { return clauses.to_owned() };
    let end = tokens.list.len();
    let using = (0..end).find(|&at| tokens.kind(at) == Kind::Using && tokens.kind(at + 1) == Kind::Index);
    match using {
        Some(at) => format!("{} {}", tokens.slice(0, at), tokens.slice(at + 2, end)).trim_start().to_owned(),
        None => clauses.to_owned(),
    }
}

fn keys(tokens: &Tokens, open: usize) -> Vec<String> {
    let close = tokens.close(open);
    let mut keys = Vec::new();
    let mut from = open + 1;
    while from < close {
        let end = tokens.element_end(from, close);
        // A parenthesised expression, a function call or a column; then perhaps COLLATE, which belongs to the value.
        let mut to = if tokens.kind(from) == Kind::Ascii40 { from } else { tokens.after_name(from) };
        if tokens.kind(to) == Kind::Ascii40 {
            to = tokens.close(to) + 1;
        }
        if tokens.kind(to) == Kind::Collate {
            to = tokens.after_name(to + 1);
        }
        keys.push(tokens.slice(from, to.min(end)).to_owned());
        from = end + 1;
    }
    keys
}

fn filter(tokens: &Tokens, open: usize) -> Option<String> {
    let end = tokens.list.len();
    let at = tokens.find(open, end, |kind| kind == Kind::Where)?;
    Some(tokens.slice(at + 1, end).to_owned())
}

fn normal(tokens: &Tokens, body: usize) -> String {
    let method = if body == 4 { "btree" } else { tokens.slice(5, 6) };
    let mut words = vec![method.to_lowercase()];
    let quoted = |word: &str| word.contains(['"', '\'', '$']);
    words.extend((body..tokens.list.len()).map(|at| {
        let word = tokens.slice(at, at + 1);
        if quoted(word) { word.to_owned() } else { word.to_lowercase() }
    }));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{read, storage};

    #[test]
    fn takes_the_parts_by_position() {
        let index = read(
            "USING btree (a DESC, lower(b) text_pattern_ops, (c || 'x,('), lower(b) COLLATE \"C\") INCLUDE (d) WHERE d > 0",
        )
        .expect("it is one");
        assert_eq!(index.columns, ["a", "lower", "expr", "lower1", "d"]);
        assert_eq!(index.keys, ["a", "lower(b)", "(c || 'x,(')", "lower(b) COLLATE \"C\""]);
        assert_eq!(index.filter.as_deref(), Some("d > 0"));
        assert!(!index.nulls_not_distinct);
    }

    #[test]
    fn storage_of_a_constraint() {
        assert_eq!(
            storage("WITH (fillfactor = 70) USING INDEX TABLESPACE fast"),
            "WITH (fillfactor = 70) TABLESPACE fast"
        );
        assert_eq!(storage("USING INDEX TABLESPACE fast"), "TABLESPACE fast");
        assert_eq!(storage("WITH (fillfactor = 70)"), "WITH (fillfactor = 70)");
        assert_eq!(storage(""), "");
    }

    #[test]
    fn evens_out_what_does_not_matter() {
        let normal = |body| read(body).expect("it is one").normal;
        assert_eq!(normal("(A,\n  \"B\")"), normal("USING btree (a, \"B\")"));
        assert_ne!(normal("(a, \"B\")"), normal("(a, b)"));
        assert_eq!(read("(a) NULLS NOT DISTINCT").map(|i| i.nulls_not_distinct), Some(true));
        assert_eq!(read("nonsense"), None);
    }
}
