//! One time for all batches. A statement reads the time once, however long it runs; batches are transactions of their own, so
//! the time at which the first begins is kept in a function of ours, and they call that.

use crate::ddl;
use crate::kind::Ctx;
use crate::plan::{Phase, Step};
use crate::sql::expr::Expr;
use crate::sql::ident::{Ident, Name};

/// The function that tells the time at which the backfill began.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    function: Name,
    table: Name,
}

impl Clock {
    /// For a statement that writes `table`, if any of its expressions reads the time.
    pub(crate) fn needed<'e>(
        ctx: &Ctx,
        table: &Name,
        expressions: impl IntoIterator<Item = &'e Expr>,
    ) -> Option<Self> {
        let texts: Vec<&str> = expressions
            .into_iter()
            .filter(|expr| !expr.times.is_empty())
            .map(|expr| expr.text.as_str())
            .collect();
        let content = format!("{} {table} {}", ctx.migration, texts.join(" "));
        let name = Ident::generated(&format!("now_{}", table.name.as_str()), &content);
        let function = Name { schema: Ident::new("concertina"), name };
        (!texts.is_empty()).then(|| Self { function, table: table.clone() })
    }

    /// The expression with this clock's time.
    pub(crate) fn freeze(&self, expr: &Expr) -> Expr {
        expr.frozen(&format!("{}()", self.function))
    }

    /// Puts the steps of the batches between those that stop the clock and let it go.
    pub(crate) fn around(&self, steps: &mut Vec<Step>) {
        let phase = Phase::Backfill;
        let drop = |why: &str| {
            let title = format!("Forget the time at which the batches over {} began", self.table);
            Step::transaction(phase, title, why, vec![ddl::trigger::drop_function(&self.function)])
        };
        let start = Step::transaction(
            phase,
            format!("Keep the time at which the batches over {} begin", self.table),
            "one statement reads the time once; each batch would read its own",
            vec![ddl::trigger::create_clock(&self.function)],
        )
        .undone_by(vec![drop("takes back the function that tells it")]);
        steps.insert(0, start);
        steps.push(drop("the batches are done"));
    }
}
