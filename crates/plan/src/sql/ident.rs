//! Identifiers and literals: the only quoting code in the workspace.
//!
//! [`Ident`] and [`Name`] hold names *unquoted*, as `pg_catalog` does; `Display` quotes them exactly where
//! PostgreSQL's own `quote_ident` would, so printing one into SQL text is always safe.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Longest identifier in bytes; longer ones are cut by the server. Source: `NAMEDATALEN` in pg_config_manual.h.
pub const MAX_BYTES: usize = 63;

/// One SQL identifier, unquoted and already folded (`Users` without quotes is `users`).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ident(String);

impl Ident {
    /// Takes a name as the catalog spells it, cut to [`MAX_BYTES`] at a character boundary as the server does.
    pub fn new(name: impl Into<String>) -> Self {
        let mut name = name.into();
        truncate(&mut name, MAX_BYTES);
        Self(name)
    }

    /// A generated name: readable head, then a hash of `content`, at most 63 bytes. Deterministic; two names with
    /// different content differ even after the cut.
    pub fn generated(head: &str, content: &str) -> Self {
        let digest = Sha256::digest(content.as_bytes());
        let tail: String = digest.iter().take(5).map(|b| format!("{b:02x}")).collect();
        let mut head = head.to_owned();
        truncate(&mut head, MAX_BYTES - tail.len() - 1);
        Self(format!("{head}_{tail}"))
    }

    /// The name without quotes, as the catalog spells it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn truncate(name: &mut String, max: usize) {
    if name.len() > max {
        let mut end = max;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        let plain = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
            && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && KEYWORDS.binary_search(&self.0.as_str()).is_err();
        if plain { f.write_str(&self.0) } else { write!(f, "\"{}\"", self.0.replace('"', "\"\"")) }
    }
}

impl fmt::Debug for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<&str> for Ident {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// A schema-qualified name. Serialised as its quoted text (`public."Order"`), so it can be a JSON map key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Schema.
    pub schema: Ident,
    /// Name inside the schema.
    pub name: Ident,
}

impl Name {
    /// Both parts as the catalog spells them.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: Ident::new(schema), name: Ident::new(name) }
    }

    /// Another name in the same schema.
    pub fn sibling(&self, name: Ident) -> Self {
        Self { schema: self.schema.clone(), name }
    }

    /// Reads `schema.name` with SQL quoting; `None` unless it is exactly two identifiers.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, after) = parse_one(rest)?;
            parts.push(part);
            if after.is_empty() {
                break;
            }
            rest = after.strip_prefix('.')?;
        }
        match <[String; 2]>::try_from(parts) {
            Ok([schema, name]) => Some(Self::new(schema, name)),
            Err(_) => None,
        }
    }
}

fn parse_one(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            name.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == '"') {
            name.push('"');
            chars.next();
        } else {
            return Some((name, &quoted[at + 1..]));
        }
    }
    None
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("not a qualified name: {text}")))
    }
}

/// A string literal, safe whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A comma-separated list of quoted identifiers.
pub fn list<'a>(idents: impl IntoIterator<Item = &'a Ident>) -> String {
    idents.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Every keyword that is not "unreserved", sorted. Source: src/include/parser/kwlist.h (18).
const KEYWORDS: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn quotes_what_needs_quotes_and_reads_it_back() {
        for (schema, name, text) in [
            ("public", "users", "public.users"),
            ("public", "Order", "public.\"Order\""),
            ("my.schema", "a\"b", "\"my.schema\".\"a\"\"b\""),
            ("public", "order", "public.\"order\""),
            ("public", "1st", "public.\"1st\""),
        ] {
            let qualified = Name::new(schema, name);
            assert_eq!(qualified.to_string(), text);
            assert_eq!(Name::parse(text), Some(qualified));
        }
        assert_eq!(Name::parse("users"), None);
        assert_eq!(Name::parse("a.b.c"), None);
    }

    #[test]
    fn generated_names_differ_after_the_cut() {
        let long = "x".repeat(80);
        let (a, b) = (Ident::generated(&long, "a"), Ident::generated(&long, "b"));
        assert_ne!(a, b);
        assert!(a.as_str().len() <= MAX_BYTES);
        assert_eq!(Ident::new("é".repeat(40)).as_str().len(), 62);
    }

    #[test]
    fn literals() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), "E'a\\\\b'");
    }
}
