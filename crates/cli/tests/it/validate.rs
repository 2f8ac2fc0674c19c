//! As much of JSON Schema as our own schemas use. An unknown keyword is an error, so nothing goes unchecked; so is a member
//! that the schema does not name, although readers are told to ignore those.

use serde_json::Value;

/// Keywords that say nothing about validity.
const NOTES: [&str; 7] = ["$schema", "$defs", "title", "description", "format", "required", "properties"];

/// Whether `value` fits `schema`; if not, where.
pub(crate) fn validate(schema: &Value, value: &Value) -> Result<(), String> {
    at("$", schema, schema, value)
}

fn at(path: &str, root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let no = |why: &str| Err(format!("{path}: {why}: {value}"));
    let Some(keywords) = schema.as_object() else {
        return if schema == &Value::Bool(true) { Ok(()) } else { no("not a schema") };
    };
    for (keyword, rule) in keywords {
        match keyword.as_str() {
            "$ref" => {
                let pointer =
                    rule.as_str().and_then(|text| text.strip_prefix('#')).ok_or("a strange $ref")?;
                let target = root.pointer(pointer).ok_or_else(|| format!("{path}: no {pointer}"))?;
                at(path, root, target, value)?;
            }
            "type" => {
                let fits = |name: &Value| is(name.as_str().unwrap_or(""), value);
                let ok = rule.as_array().map_or_else(|| fits(rule), |names| names.iter().any(fits));
                if !ok {
                    return no(&format!("not {rule}"));
                }
            }
            "const" if rule != value => return no(&format!("not {rule}")),
            "enum" if !rule.as_array().is_some_and(|values| values.contains(value)) => {
                return no("not one of them");
            }
            "const" | "enum" => {}
            "oneOf" | "anyOf" => {
                let fitting = rule
                    .as_array()
                    .map_or(0, |all| all.iter().filter(|one| at(path, root, one, value).is_ok()).count());
                if fitting == 0 || (keyword == "oneOf" && fitting > 1) {
                    return no(&format!("fits {fitting} of {keyword}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    at(&format!("{path}[{index}]"), root, rule, item)?;
                }
            }
            "minimum" if value.is_number() && value.as_f64() < rule.as_f64() => {
                return no(&format!("below {rule}"));
            }
            "maximum" if value.is_number() && value.as_f64() > rule.as_f64() => {
                return no(&format!("above {rule}"));
            }
            "minimum" | "maximum" => {}
            note if NOTES.contains(&note) => {}
            unknown => return no(&format!("the validator does not know {unknown}")),
        }
    }
    members(path, root, schema, value)
}

fn members(path: &str, root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let Some(object) = value.as_object() else { return Ok(()) };
    for required in schema["required"].as_array().into_iter().flatten() {
        let name = required.as_str().unwrap_or("");
        if !object.contains_key(name) {
            return Err(format!("{path}: {name} is missing"));
        }
    }
    let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
    for (name, member) in object {
        let rule = properties.get(name).ok_or_else(|| format!("{path}: {name} is not in the schema"))?;
        at(&format!("{path}.{name}"), root, rule, member)?;
    }
    Ok(())
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        _ => false,
    }
}
