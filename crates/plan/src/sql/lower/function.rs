//! CREATE FUNCTION and CREATE PROCEDURE.

use pg_query::NodeEnum;
use pg_query::protobuf::{CreateFunctionStmt, FunctionParameterMode};

use crate::catalog::{Function, Volatility};
use crate::change::Change;
use crate::effect::Effect;
use crate::kind::as_written::AsWritten;
use crate::sql::ast;
use crate::sql::ident::Ident;
use crate::sql::lower::{Lower, Lowered};
use crate::sql::tokens::Kind;
use crate::sql::{mentions, types};

/// Lowers it: it locks no table.
pub(crate) fn create(lower: &Lower, statement: &CreateFunctionStmt) -> Lowered {
    let (schema, name) = ast::qualified(&statement.funcname);
    let name = lower.new_name(schema, name);
    let parameters = parameters(lower, statement);
    let arguments = parameters.identity(statement.is_procedure);
    let kind = if statement.is_procedure { "create_procedure" } else { "create_function" };
    let word = if statement.is_procedure { "PROCEDURE" } else { "FUNCTION" };
    let same_name = || lower.catalog.functions.iter().filter(|function| function.name == name);
    if !statement.replace && same_name().any(|function| function.arguments == arguments) {
        let reason = format!("function {name}({arguments}) exists already");
        let hint = "write CREATE OR REPLACE, or drop the old one first";
        return Err(lower.will_fail(kind, "42723", reason, hint, None));
    }
    let volatility = match ast::option(&statement.options, "volatility")
        .and_then(|option| ast::node(option.arg.as_deref()))
        .and_then(ast::string)
    {
        Some("immutable") => Volatility::Immutable,
        Some("stable") => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    let undo = if statement.replace && same_name().next().is_some() {
        Err(format!("the {} that was there before is not recorded", word.to_lowercase()))
    } else {
        Ok(format!("DROP {word} {name}({})", parameters.inputs.join(", ")))
    };
    let named = |word: &Ident| lower.catalog.relations.keys().any(|relation| relation.name == *word);
    let mentions = mentions::of(lower.sql(), named);
    Ok(vec![Change::AsWritten(AsWritten {
        kind,
        sql: lower.sql().to_owned(),
        locks: Vec::new(),
        work: Vec::new(),
        transaction: true,
        whole: false,
        effects: vec![Effect::Function(Function { name, arguments, volatility, mentions })],
        undo,
    })])
}

struct Parameters {
    /// Types of input parameters.
    inputs: Vec<String>,
    /// All parameters but those of RETURNS TABLE: mode, name, type.
    all: Vec<(FunctionParameterMode, String, String)>,
}

fn parameters(lower: &Lower, statement: &CreateFunctionStmt) -> Parameters {
    let tokens = lower.tokens;
    let mut found = Parameters { inputs: Vec::new(), all: Vec::new() };
    for parameter in ast::each(&statement.parameters) {
        let NodeEnum::FunctionParameter(parameter) = parameter else { continue };
        let mode = parameter.mode();
        let Some(name) = &parameter.arg_type else { continue };
        if mode == FunctionParameterMode::FuncParamTable {
            continue;
        }
        let start = tokens.at(ast::byte(name.location));
        let end = tokens.element_end(start, lower.statement.tokens.end);
        let default =
            tokens.find(start, end, |kind| matches!(kind, Kind::Default | Kind::Ascii61 | Kind::ColonEquals));
        let text = types::text(name, tokens.slice(start, default.unwrap_or(end)), lower.catalog);
        if mode != FunctionParameterMode::FuncParamOut {
            found.inputs.push(text.clone());
        }
        let label = if parameter.name.is_empty() {
            String::new()
        } else {
            format!("{} ", Ident::from(parameter.name.as_str()))
        };
        found.all.push((mode, label, text));
    }
    found
}

impl Parameters {
    /// As `pg_get_function_identity_arguments` prints them. Source: print_function_arguments in ruleutils.c.
    fn identity(&self, procedure: bool) -> String {
        let one = |(mode, name, text): &(FunctionParameterMode, String, String)| {
            let mode = match mode {
                FunctionParameterMode::FuncParamOut => "OUT ",
                FunctionParameterMode::FuncParamInout => "INOUT ",
                FunctionParameterMode::FuncParamVariadic => "VARIADIC ",
                _ if procedure => "IN ",
                _ => "",
            };
            format!("{mode}{name}{text}")
        };
        self.all.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}
