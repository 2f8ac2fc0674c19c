//! What lies before a migration: how long its steps may take, how much room they need, and whether the server has it. Asks the server;
//! the sums are [`concertina_plan::estimate`]'s.

use std::collections::{BTreeMap, BTreeSet};

use concertina_plan::estimate::{
    self, Demand, Free, Lacking, Shortage, Sizes, StepEstimate, Table, WalKeeping, bytes, demands, shortage,
};
use concertina_plan::plan::Plan;
use concertina_plan::sql::ident::{Ident, Name};
use serde::Deserialize;
use tokio_postgres::types::{Json, Type};

use crate::connect::Session;
use crate::error::{Doing, Error};
use crate::event::Event;
use crate::executor::Run;
use crate::introspect::estimated_rows;
use crate::ledger;
use crate::room::{self, Known};
use crate::settings::Settings;

/// What is expected of a plan, or of what is left of one.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// One for each step of the plan, in its order.
    pub steps: Vec<StepEstimate>,
    /// The steps that are still to be run, as indexes into the plan.
    pub left: Vec<usize>,
    /// What these demand of the server's disk, one after the other.
    pub demands: Vec<Demand>,
    /// What keeps WAL there.
    pub wal: WalKeeping,
    /// What is free there.
    pub free: Known,
    /// The first step for which that is not enough.
    pub shortage: Option<Shortage>,
}

/// Less than this is not worth a line: WAL comes in files of this size.
const WORTH_TELLING: u64 = 16 << 20;

impl Outlook {
    /// The most that is needed at any time.
    pub fn need(&self) -> u64 {
        self.demands.iter().map(Demand::total).max().unwrap_or_default()
    }
}

/// Looks at these steps of a plan.
///
/// # Errors
/// [`Error::Sql`], [`Error::Connection`].
pub(crate) async fn look(
    work: &Session,
    control: &Session,
    settings: &Settings,
    plan: &Plan,
    left: Vec<usize>,
) -> Result<Outlook, Error> {
    let sizes = sizes(work, &estimate::tables(plan)).await?;
    let samples = match ledger::exists(&work.client).await? {
        true => ledger::samples(&work.client).await?,
        false => Vec::new(),
    };
    let steps = estimate::steps(plan, &sizes, &samples, settings.throttle.pace());
    let heavy = left.iter().any(|step| steps.get(*step).is_some_and(|it| it.load.is_heavy()));
    if !heavy {
        let (wal, free) = (WalKeeping::default(), Known::Unchecked);
        return Ok(Outlook { steps, left, demands: Vec::new(), wal, free, shortage: None });
    }
    let wal = room::wal_keeping(control).await?;
    let demands = demands(&steps, left.iter().copied(), &wal);
    let free = room::look(control, &settings.disk).await?;
    let shortage = match &free {
        Known::Free(free) => shortage(&demands, free, settings.disk.reserve),
        Known::Unknown(_) | Known::Silent(_) | Known::Unchecked => None,
    };
    Ok(Outlook { steps, left, demands, wal, free, shortage })
}

/// Stops before anything runs, or anything more, where there is not enough room; says what is needed where nobody can tell.
pub(crate) async fn require(run: &Run, plan: &Plan, left: Vec<usize>) -> Result<Outlook, Error> {
    let outlook = look(&run.work, &run.control, &run.settings, plan, left).await?;
    if let (Some(short), Known::Free(free)) = (&outlook.shortage, &outlook.free) {
        let message = in_words(short, free, &outlook, &run.settings);
        return Err(no_room(plan, short.step, short.need, short.have, message));
    }
    if let Known::Silent(why) = &outlook.free {
        let step = outlook.left.first().copied().unwrap_or_default();
        return Err(no_room(plan, step, outlook.need(), 0, why.clone()));
    }
    if let Known::Unknown(why) = &outlook.free
        && outlook.need() >= WORTH_TELLING
    {
        run.tell(&Event::Note(format!(
            "{} needs up to {} on the server's disk, and what is free there is not known: {why}. `--disk-free`, or the \
             section [disk] of concertina.toml, says it",
            plan.migration,
            bytes(outlook.need())
        )));
    }
    Ok(outlook)
}

/// Looks again before a step that works on a whole table: things may have changed since the command began.
pub(crate) async fn require_again(
    run: &Run,
    migration: &str,
    ordinal: usize,
    title: &str,
    estimate: &StepEstimate,
) -> Result<(), Error> {
    // What the user said is true of the beginning, and was looked at then.
    if run.settings.disk.free != crate::settings::FreeSpace::Ask || !estimate.load.is_heavy() {
        return Ok(());
    }
    let wal = room::wal_keeping(&run.control).await?;
    let mut estimate = estimate.clone();
    // The same goes for tablespaces.
    for name in run.settings.disk.spaces.keys() {
        if let Some(used) = estimate.elsewhere.remove(name) {
            estimate.room.keeps = estimate.room.keeps.saturating_sub(used.keeps);
            estimate.room.passing = estimate.room.passing.saturating_sub(used.passing);
        }
    }
    let demands = demands(std::slice::from_ref(&estimate), [0], &wal);
    let (need, have, message) = match room::look(&run.control, &run.settings.disk).await? {
        Known::Silent(why) => (demands.iter().map(Demand::total).sum(), 0, why),
        Known::Unknown(_) | Known::Unchecked => return Ok(()),
        Known::Free(free) => match shortage(&demands, &free, run.settings.disk.reserve) {
            None => return Ok(()),
            Some(short) => {
                let words = words(&short, &free, &wal, &run.settings);
                (short.need, short.have, words)
            }
        },
    };
    Err(Error::NoRoom {
        migration: migration.to_owned(),
        step: ordinal + 1,
        title: title.to_owned(),
        need,
        have,
        message,
        hint: hint(),
    })
}

fn no_room(plan: &Plan, step: usize, need: u64, have: u64, message: String) -> Error {
    Error::NoRoom {
        migration: plan.migration.clone(),
        step: step + 1,
        title: plan.steps.get(step).map(|step| step.title.clone()).unwrap_or_default(),
        need,
        have,
        message,
        hint: hint(),
    }
}

pub(crate) fn hint() -> String {
    "What was finished stays finished, and nothing more was begun. Make room, then run the same command again; if more is free than \
     that, say so with --disk-free SIZE, or with --disk-free false to go on without looking."
        .to_owned()
}

fn in_words(short: &Shortage, free: &Free, outlook: &Outlook, settings: &Settings) -> String {
    let before: u64 = outlook
        .left
        .iter()
        .take_while(|step| **step != short.step)
        .filter_map(|step| outlook.steps.get(*step))
        .map(|it| it.room.keeps)
        .sum();
    let mut text = words(short, free, &outlook.wal, settings);
    if before > 0 && short.place == Lacking::Data {
        text.push_str(&format!("; of it {} for steps before it", bytes(before)));
    }
    text
}

fn words(short: &Shortage, free: &Free, wal: &WalKeeping, settings: &Settings) -> String {
    let place = short.place.place();
    let mut text = format!(
        "it may need up to {} {place}, and {} may be used ({} is left alone by disk.reserve; by {})",
        bytes(short.need),
        bytes(short.have),
        bytes(settings.disk.reserve),
        free.source
    );
    if short.wal > 0 && short.place != Lacking::Wal {
        text.push_str(&format!("; {} of it is WAL", bytes(short.wal)));
    }
    if short.wal > 0 && !wal.holders.is_empty() {
        let holders: Vec<&str> = wal.holders.iter().map(|holder| holder.what.as_str()).collect();
        text.push_str(&format!("; WAL is held back by {}", holders.join(", ")));
    }
    text
}

/// Sizes of these tables as the server knows them now.
///
/// # Errors
/// [`Error::Sql`], [`Error::Connection`].
pub async fn sizes(session: &Session, tables: &BTreeSet<Name>) -> Result<Sizes, Error> {
    if tables.is_empty() {
        return Ok(Sizes::default());
    }
    let (schemas, names): (Vec<&str>, Vec<&str>) =
        tables.iter().map(|table| (table.schema.as_str(), table.name.as_str())).unzip();
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&schemas, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)];
    let doing = "measure the tables";
    let rows = session.client.query_typed(include_str!("sql/sizes.sql"), &parameters).await.doing(doing)?;
    let places = session.client.query_typed_one(include_str!("sql/places.sql"), &[]).await.doing(doing)?;
    let place = |at: usize| places.get::<_, Option<String>>(at).map(Ident::new);
    let mut sizes = Sizes { tables: BTreeMap::new(), default_space: place(0), temporary_space: place(1) };
    for row in &rows {
        let Json(row): Json<SizeRow> = row.try_get(0).doing(doing)?;
        let (name, table) = row.table();
        sizes.tables.insert(name, table);
    }
    Ok(sizes)
}

#[derive(Deserialize)]
struct SizeRow {
    schema: Ident,
    name: Ident,
    tuples: f64,
    pages: u64,
    block: u64,
    unlogged: bool,
    space: Option<Ident>,
    index_spaces: BTreeMap<Ident, Ident>,
    heap: Option<u64>,
    toast: u64,
    indexes: BTreeMap<Ident, u64>,
    widths: BTreeMap<Ident, u64>,
}

impl SizeRow {
    fn table(self) -> (Name, Table) {
        let pages_now = self.heap.map(|heap| heap / self.block.max(1));
        let table = Table {
            rows: estimated_rows(self.tuples, self.pages, pages_now, self.block),
            heap: self.heap.unwrap_or(self.pages * self.block),
            toast: self.toast,
            indexes: self.indexes,
            widths: self.widths,
            unlogged: self.unlogged,
            space: self.space,
            index_spaces: self.index_spaces,
        };
        (Name { schema: self.schema, name: self.name }, table)
    }
}
