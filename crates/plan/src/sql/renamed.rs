//! Definitions of indexes and constraints with a column under another name, put in by position: a type, an operator class or a
//! literal that reads like the column stays what it is.

use std::ops::Range;

use pg_query::NodeEnum;
use pg_query::protobuf::{ConstrType, Constraint, IndexElem, Node};

use crate::sql::ident::Ident;
use crate::sql::tokens::{Kind, Tokens};
use crate::sql::{ast, parse};

/// A whole CREATE INDEX. `None` where the text is in another form, or does not name the column.
pub(crate) fn index(definition: &str, old: &Ident, new: &Ident) -> Option<String> {
    parse::deep(|| {
        let (statements, tokens) = parse::parse(definition).ok()?;
        let [statement] = statements.as_slice() else { return None };
        let NodeEnum::IndexStmt(index) = &statement.node else { return None };
        // The table's name is not in parentheses, so the first one at depth 0 opens the keys.
        let open = tokens.find(0, tokens.list.len(), |kind| kind == Kind::Ascii40)?;
        let mut places = references(&statement.node, &tokens, old);
        places.extend(elements(&tokens, open, &index.index_params, old));
        if let Some(open) = tokens
            .find(open, tokens.list.len(), |kind| kind == Kind::Include)
            .filter(|_| !index.index_including_params.is_empty())
        {
            places.extend(elements(&tokens, open + 1, &index.index_including_params, old));
        }
        replace(definition, places, new)
    })
}

/// What follows a constraint's name. `None` as for [`index`]. Columns of a table that a foreign key refers to stay.
pub(crate) fn constraint(definition: &str, old: &Ident, new: &Ident) -> Option<String> {
    in_constraint(definition, new, |statement, constraint, tokens| {
        let mut places = references(statement, tokens, old);
        let list = |open: usize, names: &[Node]| names_at(tokens, open, names, old);
        let end = tokens.list.len();
        let open = tokens.find(0, end, |kind| kind == Kind::Ascii40)?;
        match constraint.contype() {
            ConstrType::ConstrPrimary | ConstrType::ConstrUnique => {
                places.extend(list(open, &constraint.keys));
                if let Some(include) = tokens.find(open, end, |kind| kind == Kind::Include) {
                    places.extend(list(include + 1, &constraint.including));
                }
            }
            ConstrType::ConstrForeign => {
                places.extend(list(open, &constraint.fk_attrs));
                // ON DELETE SET NULL (columns), 15 and later.
                let after = tokens.find(open, end, |kind| kind == Kind::References)?;
                let action = tokens.find(after, end, |kind| matches!(kind, Kind::NullP | Kind::Default));
                if let Some(at) = action.filter(|_| !constraint.fk_del_set_cols.is_empty()) {
                    places.extend(list(at + 1, &constraint.fk_del_set_cols));
                }
            }
            ConstrType::ConstrExclusion => {
                let elements: Vec<Node> = ast::each(&constraint.exclusions)
                    .filter_map(|pair| match pair {
                        NodeEnum::List(pair) => pair.items.first().cloned(),
                        _ => None,
                    })
                    .collect();
                places.extend(self::elements(tokens, open, &elements, old));
            }
            _ => {}
        }
        Some(places)
    })
}

/// A foreign key's definition with a column of the table that it refers to under another name. `None` as for [`index`].
pub(crate) fn referenced(definition: &str, old: &Ident, new: &Ident) -> Option<String> {
    in_constraint(definition, new, |_, constraint, tokens| {
        let end = tokens.list.len();
        let after = tokens.find(0, end, |kind| kind == Kind::References)?;
        let open = tokens.find(after, end, |kind| kind == Kind::Ascii40)?;
        Some(names_at(tokens, open, &constraint.pk_attrs, old))
    })
}

/// Puts the new name into the places that `places` finds in what follows a constraint's name.
fn in_constraint(
    definition: &str,
    new: &Ident,
    places: impl FnOnce(&NodeEnum, &Constraint, &Tokens) -> Option<Vec<Range<usize>>> + Send,
) -> Option<String> {
    const HEAD: &str = "ALTER TABLE t ADD CONSTRAINT c ";
    let text = format!("{HEAD}{definition}");
    let renamed = parse::deep(|| {
        let (statements, tokens) = parse::parse(&text).ok()?;
        let [statement] = statements.as_slice() else { return None };
        let NodeEnum::AlterTableStmt(alter) = &statement.node else { return None };
        let NodeEnum::AlterTableCmd(command) = ast::each(&alter.cmds).next()? else { return None };
        let NodeEnum::Constraint(constraint) = ast::node(command.def.as_deref())? else { return None };
        replace(&text, places(&statement.node, constraint, &tokens)?, new)
    })?;
    renamed.strip_prefix(HEAD).map(ToOwned::to_owned)
}

/// Column references of expressions anywhere in a statement.
fn references(statement: &NodeEnum, tokens: &Tokens, old: &Ident) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    ast::walk(statement, &mut |kind, fields| {
        if kind == "ColumnRef" {
            let parts = ast::name_parts(fields, "fields");
            let location = fields.get("location").and_then(serde_json::Value::as_u64);
            if let ([Some(name)], Some(location)) = (parts.as_slice(), location)
                && name == old.as_str()
                && let Ok(start) = usize::try_from(location)
            {
                let at = tokens.at(start);
                places.push(tokens.bytes(at, tokens.after_name(at)));
            }
        }
        true
    });
    places
}

/// Index elements that are the column itself.
fn elements(tokens: &Tokens, open: usize, elements: &[Node], old: &Ident) -> Vec<Range<usize>> {
    let plain = |element: &IndexElem| element.expr.is_none() && element.name == old.as_str();
    let matches = ast::each(elements).map(|node| matches!(node, NodeEnum::IndexElem(e) if plain(e)));
    at_elements(tokens, open, matches)
}

fn names_at(tokens: &Tokens, open: usize, names: &[Node], old: &Ident) -> Vec<Range<usize>> {
    at_elements(tokens, open, ast::each(names).map(|name| ast::string(name) == Some(old.as_str())))
}

/// The first name of each chosen element of the list in parentheses at `open`.
fn at_elements(tokens: &Tokens, open: usize, chosen: impl Iterator<Item = bool>) -> Vec<Range<usize>> {
    let close = tokens.close(open);
    let mut places = Vec::new();
    let mut from = open + 1;
    for chosen in chosen {
        if chosen {
            places.push(tokens.bytes(from, tokens.after_name(from)));
        }
        from = tokens.element_end(from, close) + 1;
    }
    places
}

fn replace(text: &str, mut places: Vec<Range<usize>>, new: &Ident) -> Option<String> {
    places.sort_by_key(|place| place.start);
    places.dedup();
    if places.is_empty() {
        return None;
    }
    let mut renamed = String::with_capacity(text.len() + 16);
    let mut from = 0;
    for place in places {
        renamed.push_str(&text[from..place.start]);
        renamed.push_str(&new.to_string());
        from = place.end;
    }
    renamed.push_str(&text[from..]);
    Some(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_x(old: &str, change: fn(&str, &Ident, &Ident) -> Option<String>, text: &str) -> Option<String> {
        change(text, &Ident::new(old), &Ident::new("X"))
    }

    #[test]
    fn indexes_by_position() {
        for (old, text, expected) in [
            (
                "a",
                "CREATE INDEX a ON public.a USING btree (a, b)",
                "CREATE INDEX a ON public.a USING btree (\"X\", b)",
            ),
            (
                "name",
                "CREATE UNIQUE INDEX i ON ONLY t USING btree (((name)::name), lower(name) COLLATE \"C\" text_ops, id) INCLUDE (x, name) WHERE (name <> 'name'::text)",
                "CREATE UNIQUE INDEX i ON ONLY t USING btree (((\"X\")::name), lower(\"X\") COLLATE \"C\" text_ops, id) INCLUDE (x, \"X\") WHERE (\"X\" <> 'name'::text)",
            ),
            (
                "Odd \"x\"",
                "CREATE INDEX i ON t USING gin (\"Odd \"\"x\"\"\" gin_trgm_ops) WITH (fastupdate = off)",
                "CREATE INDEX i ON t USING gin (\"X\" gin_trgm_ops) WITH (fastupdate = off)",
            ),
        ] {
            assert_eq!(to_x(old, index, text).as_deref(), Some(expected));
        }
        assert_eq!(to_x("z", index, "CREATE INDEX i ON t USING btree (a)"), None);
    }

    #[test]
    fn constraints_by_position() {
        for (text, expected) in [
            ("CHECK ((a > 0) AND (b)::text <> 'a')", "CHECK ((\"X\" > 0) AND (b)::text <> 'a')"),
            ("UNIQUE (b, a) INCLUDE (a)", "UNIQUE (b, \"X\") INCLUDE (\"X\")"),
            ("PRIMARY KEY (a)", "PRIMARY KEY (\"X\")"),
            (
                "FOREIGN KEY (a, b) REFERENCES t(a, b) ON DELETE CASCADE",
                "FOREIGN KEY (\"X\", b) REFERENCES t(a, b) ON DELETE CASCADE",
            ),
            (
                "FOREIGN KEY (b, a) REFERENCES t ON DELETE SET NULL (a)",
                "FOREIGN KEY (b, \"X\") REFERENCES t ON DELETE SET NULL (\"X\")",
            ),
            (
                "EXCLUDE USING gist (a WITH =, tsrange(b, a) WITH &&)",
                "EXCLUDE USING gist (\"X\" WITH =, tsrange(b, \"X\") WITH &&)",
            ),
        ] {
            assert_eq!(to_x("a", constraint, text).as_deref(), Some(expected));
        }
    }
}
