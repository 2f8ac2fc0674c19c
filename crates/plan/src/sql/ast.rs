//! Small readers of the parser's syntax tree.

use pg_query::protobuf::{DefElem, RangeVar};
use pg_query::{Node, NodeEnum};
use serde_json::{Map, Value};

use crate::sql::ident::Ident;

/// The node inside an optional box.
pub(crate) fn node(boxed: Option<&Node>) -> Option<&NodeEnum> {
    boxed.and_then(|node| node.node.as_ref())
}

/// The nodes of a list.
pub(crate) fn each(list: &[Node]) -> impl Iterator<Item = &NodeEnum> {
    list.iter().filter_map(|node| node.node.as_ref())
}

/// The strings of a list: parts of a qualified name, columns of a key.
pub(crate) fn strings(list: &[Node]) -> Vec<&str> {
    each(list).filter_map(string).collect()
}

/// A string node's text.
pub(crate) fn string(node: &NodeEnum) -> Option<&str> {
    match node {
        NodeEnum::String(string) => Some(&string.sval),
        _ => None,
    }
}

/// The strings of a list as identifiers.
pub(crate) fn idents(list: &[Node]) -> Vec<Ident> {
    strings(list).into_iter().map(Ident::from).collect()
}

/// The last two parts of a qualified name: schema, if written, and name.
pub(crate) fn qualified(list: &[Node]) -> (Option<Ident>, Ident) {
    split(&strings(list))
}

/// As [`qualified`], for an object name that is a list, a type name or a bare string.
pub(crate) fn object_name(object: Option<&Node>) -> (Option<Ident>, Ident) {
    match node(object) {
        Some(NodeEnum::List(list)) => qualified(&list.items),
        Some(NodeEnum::TypeName(name)) => qualified(&name.names),
        Some(NodeEnum::ObjectWithArgs(object)) => qualified(&object.objname),
        Some(NodeEnum::String(string)) => (None, Ident::from(string.sval.as_str())),
        _ => (None, Ident::default()),
    }
}

fn split(parts: &[&str]) -> (Option<Ident>, Ident) {
    match parts {
        [] => (None, Ident::default()),
        [name] => (None, Ident::from(*name)),
        [.., schema, name] => (Some(Ident::from(*schema)), Ident::from(*name)),
    }
}

/// Schema, if written, and name of a table reference.
pub(crate) fn table_name(var: &RangeVar) -> (Option<Ident>, Ident) {
    let schema = (!var.schemaname.is_empty()).then(|| Ident::from(var.schemaname.as_str()));
    (schema, Ident::from(var.relname.as_str()))
}

/// A node's location as a byte of the text.
pub(crate) fn byte(location: i32) -> usize {
    usize::try_from(location).unwrap_or(0)
}

/// The option of this name.
pub(crate) fn option<'a>(list: &'a [Node], name: &str) -> Option<&'a DefElem> {
    each(list).find_map(|node| match node {
        NodeEnum::DefElem(element) if element.defname == name => Some(&**element),
        _ => None,
    })
}

/// Walks over a tree of any node types. `visit` gets each node's type name and fields, and says whether to go deeper.
///
/// It goes over the generated types' serialisation, so that no field of any node can be forgotten.
pub(crate) fn walk(node: &NodeEnum, visit: &mut impl FnMut(&str, &Map<String, Value>) -> bool) {
    if let Ok(value) = serde_json::to_value(node) {
        walk_value(&value, visit);
    }
}

/// As [`walk`], over a part that a visit was given.
pub(crate) fn walk_value(value: &Value, visit: &mut impl FnMut(&str, &Map<String, Value>) -> bool) {
    match value {
        Value::Object(fields) => {
            // A node is an object with its type name as the only key; a table reference also occurs outside of one.
            let mut fields_of = fields.iter();
            if let (Some((name, Value::Object(inner))), None) = (fields_of.next(), fields_of.next())
                && name.starts_with(|c: char| c.is_ascii_uppercase())
            {
                if visit(name, inner) {
                    inner.values().for_each(|value| walk_value(value, visit));
                }
                return;
            }
            if fields.contains_key("relpersistence") && !visit("RangeVar", fields) {
                return;
            }
            fields.values().for_each(|value| walk_value(value, visit));
        }
        Value::Array(values) => values.iter().for_each(|value| walk_value(value, visit)),
        _ => {}
    }
}

/// A text field of a visited node.
pub(crate) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A list of names in a visited node; `None` for a star.
pub(crate) fn name_parts(fields: &Map<String, Value>, name: &str) -> Vec<Option<String>> {
    let items = fields.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| {
            let node = item.get("node")?;
            match node.get("String") {
                Some(string) => string.get("sval")?.as_str().map(|name| Some(name.to_owned())),
                None => node.get("AStar").map(|_| None),
            }
        })
        .collect()
}

/// Every table reference of a tree, in order, names of WITH queries left out.
pub(crate) fn relations(tree: &NodeEnum) -> Vec<(Option<Ident>, Ident)> {
    let mut found = Vec::new();
    let mut with = Vec::new();
    walk(tree, &mut |kind, fields| {
        match kind {
            "RangeVar" => {
                let schema = text(fields, "schemaname");
                let schema = (!schema.is_empty()).then(|| Ident::from(schema));
                found.push((schema, Ident::from(text(fields, "relname"))));
            }
            "CommonTableExpr" => with.push(Ident::from(text(fields, "ctename"))),
            _ => {}
        }
        true
    });
    found.retain(|(schema, name)| schema.is_some() || !with.contains(name));
    found
}
