//! Writes what a migration left in the archive into a file: streamed, in one snapshot, and under its name only when it is whole.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use concertina_plan::plan::{Noun, Phase};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::TryStreamExt;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio_postgres::Client;
use tokio_postgres::types::{Json, Type};

use super::ArchivedObject;
use super::file::{
    Contents, Definition, END_OF_ROWS, Header, Line, Meter, Rows, VERSION, WHAT, has_rows, hex,
};
use crate::engine::Stop;
use crate::error::{Doing, Error};
use crate::event::{Event, Observer};
use crate::ledger::{self, MigrationRow};

/// Settings under which values are written so that they read back the same everywhere, and rows come in the order of the heap.
pub(super) const SETTINGS: &str = "SET LOCAL search_path = ''; SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres';
    SET LOCAL timezone = 'UTC'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 3;
    SET LOCAL lc_monetary = 'C'; SET LOCAL xmloption = 'content'; SET LOCAL synchronize_seqscans = off;
    SET LOCAL row_security = off; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// What makes an object again, as the queries say it.
#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    partitioned: bool,
    columns: Vec<(String, String)>,
    before: Vec<String>,
    after: Vec<String>,
    sequences: Vec<String>,
    cannot: Option<String>,
}

/// Who wants to know, and who may stop it.
pub(crate) struct Around<'a> {
    pub(crate) observer: &'a dyn Observer,
    pub(crate) stop: &'a Stop,
    pub(crate) who: &'a str,
}

/// Saves these objects of one migration into `path`, which must not exist.
pub(crate) async fn save(
    client: &Client,
    row: &MigrationRow,
    objects: Vec<ArchivedObject>,
    path: &Path,
    around: &Around<'_>,
) -> Result<Contents, Error> {
    let cannot = |what: &str, error: &dyn std::fmt::Display| Error::File {
        message: format!("{} cannot be {what}: {error}", path.display()),
    };
    if path.exists() {
        return Err(cannot("written", &"it exists already; nothing was changed"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Readable for us alone: it holds what was in the tables. It vanishes unless it gets its name at the end.
    let temporary = NamedTempFile::new_in(folder).map_err(|error| cannot("written", &error))?;
    let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {SETTINGS}");
    client.batch_execute(&begin).await.doing("begin to save the archive")?;
    // After an error the session is given up with its transaction: it may be in the middle of a large answer.
    let objects = in_order(client, objects).await?;
    let (contents, temporary) = all(client, row, &objects, temporary, around).await?;
    client.batch_execute("ROLLBACK").await.doing("end saving the archive")?;
    temporary.as_file().sync_all().map_err(|error| cannot("written", &error))?;
    temporary.persist_noclobber(path).map_err(|error| cannot("written", &error.error))?;
    let names: Vec<String> = objects.iter().map(|object| object.archived.name.to_string()).collect();
    let data = serde_json::json!({ "file": path.display().to_string(), "objects": names });
    let said = format!("{} of the archive saved in {}", names.join(", "), path.display());
    ledger::event(client, Some(&row.name), "archive_saved", &said, Some(&data), around.who).await?;
    Ok(contents)
}

/// Order in which objects are made: what others may need comes first, a partitioned table before its partitions.
async fn in_order(client: &Client, objects: Vec<ArchivedObject>) -> Result<Vec<ArchivedObject>, Error> {
    let mut placed = Vec::new();
    for object in objects {
        let name = object.archived.name.to_string();
        let depth = match object.archived.noun {
            Noun::Table => client.query_one(DEPTH, &[&name]).await.doing("order what is to be saved")?.get(0),
            Noun::Type | Noun::Sequence | Noun::Routine | Noun::Index => 0_i64,
        };
        placed.push((place(object.archived.noun), depth, object));
    }
    placed.sort_by_key(|(place, depth, _)| (*place, *depth));
    Ok(placed.into_iter().map(|(_, _, object)| object).collect())
}

fn place(noun: Noun) -> u8 {
    match noun {
        Noun::Type => 0,
        Noun::Sequence => 1,
        Noun::Routine => 2,
        Noun::Table | Noun::Index => 3,
    }
}

struct Output {
    gzip: GzEncoder<BufWriter<NamedTempFile>>,
    digest: Sha256,
}

impl Output {
    fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        self.digest.update(data);
        self.gzip.write_all(data).map_err(|error| not_written(&error))
    }

    fn line<T: serde::Serialize>(&mut self, line: &T) -> Result<(), Error> {
        let mut text = serde_json::to_vec(line).map_err(|error| not_written(&error))?;
        text.push(b'\n');
        self.write(&text)
    }
}

fn not_written(error: &dyn std::fmt::Display) -> Error {
    Error::File { message: format!("the file cannot be written: {error}; nothing of it is left") }
}

async fn all(
    client: &Client,
    row: &MigrationRow,
    objects: &[ArchivedObject],
    temporary: NamedTempFile,
    around: &Around<'_>,
) -> Result<(Contents, NamedTempFile), Error> {
    let told = client.query_one(WHERE, &[]).await.doing("look at the server")?;
    let header = Header {
        concertina: WHAT.to_owned(),
        version: VERSION,
        migration: row.name.clone(),
        checksum: row.checksum.clone(),
        database: told.get(0),
        server_version: told.get(1),
        saved_at: told.get(2),
    };
    let mut output = Output {
        gzip: GzEncoder::new(BufWriter::new(temporary), Compression::default()),
        digest: Sha256::new(),
    };
    output.line(&header)?;
    let started = Instant::now();
    let (migration, steps) = (row.name.clone(), objects.len());
    around.observer.event(&Event::MigrationStarted { migration, command: "archive save", steps });
    let mut saved = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        let title = format!("Save {}", object.archived.of);
        let begun = Event::StepStarted {
            step: at + 1,
            phase: Phase::Contract,
            title,
            resumed: false,
            expected: None,
        };
        around.observer.event(&begun);
        let begun = Instant::now();
        let definition = definition(client, object).await?;
        output.line(&Line::Object(definition.clone()))?;
        let rows = if has_rows(&definition) {
            let rows = copy(client, &definition, at + 1, around, &mut output).await?;
            output.write(END_OF_ROWS)?;
            output.line(&Line::Rows(rows.clone()))?;
            Some(rows)
        } else {
            None
        };
        around.observer.event(&Event::StepDone { step: at + 1, took: begun.elapsed(), already: false });
        saved.push((definition, rows));
    }
    let end = Line::End { objects: saved.len(), sha256: hex(output.digest.clone()) };
    output.line(&end)?;
    let buffer = output.gzip.finish().map_err(|error| not_written(&error))?;
    let temporary = buffer.into_inner().map_err(|error| not_written(&error))?;
    let done = Event::MigrationDone { migration: row.name.clone(), took: started.elapsed() };
    around.observer.event(&done);
    Ok((Contents { header, objects: saved }, temporary))
}

async fn definition(client: &Client, object: &ArchivedObject) -> Result<Definition, Error> {
    let archived = &object.archived;
    let (sql, oid) = match archived.noun {
        Noun::Table => (include_str!("../sql/archive/table.sql"), RELATION),
        Noun::Sequence => (include_str!("../sql/archive/sequence.sql"), RELATION),
        Noun::Routine => (include_str!("../sql/archive/routine.sql"), ROUTINE),
        Noun::Type => (include_str!("../sql/archive/type.sql"), TYPE),
        Noun::Index => return Err(cannot(object, "it is an index of its own")),
    };
    let (schema, name) = (archived.name.schema.as_str(), archived.name.name.as_str());
    let doing = format!("read the definition of {}", archived.name);
    let found = client.query(oid, &[&schema, &name]).await.doing(&doing)?;
    let [found] = found.as_slice() else {
        return Err(cannot(object, "it is not there any more, or there are several of the name"));
    };
    let oid: u32 = found.get(0);
    let row = client.query_typed_one(sql, &[(&oid, Type::OID)]).await.doing(&doing)?;
    let Json(mut found): Json<Found> = row.try_get(0).doing(&doing)?;
    if let Some(why) = found.cannot {
        return Err(cannot(object, &why));
    }
    for sequence in &found.sequences {
        let at: String = client
            .query_one(&format!("SELECT format('%s, %L', last_value, is_called) FROM {sequence}"), &[])
            .await
            .doing(&doing)?
            .get(0);
        let name = sequence.replace('\'', "''");
        found.after.push(format!("SELECT pg_catalog.setval('{name}', {at})"));
    }
    Ok(Definition {
        archived: archived.clone(),
        partitioned: found.partitioned,
        columns: found.columns,
        before: found.before,
        after: found.after,
    })
}

fn cannot(object: &ArchivedObject, why: &str) -> Error {
    Error::File {
        message: format!(
            "{} ({}) cannot be saved into a file: {why}. Nothing was written; `pg_dump --schema=concertina_archive` saves the whole \
             archive",
            object.archived.of, object.archived.name
        ),
    }
}

/// Statement that reads all rows of a table.
pub(super) fn copy_out(definition: &Definition) -> String {
    format!("COPY {} ({}) TO STDOUT", definition.archived.name, columns(definition))
}

/// Its columns, in their order.
pub(super) fn columns(definition: &Definition) -> String {
    let names = definition.columns.iter().map(|(name, _)| format!("\"{}\"", name.replace('"', "\"\"")));
    names.collect::<Vec<_>>().join(", ")
}

async fn copy(
    client: &Client,
    definition: &Definition,
    step: usize,
    around: &Around<'_>,
    output: &mut Output,
) -> Result<Rows, Error> {
    let name = &definition.archived.name;
    let doing = format!("read {name}");
    let total: i64 =
        client.query_one(&format!("SELECT count(*) FROM ONLY {name}"), &[]).await.doing(&doing)?.get(0);
    let mut told = Told::new(step, u64::try_from(total).unwrap_or_default());
    let stream = client.copy_out(&copy_out(definition)).await.doing(&doing)?;
    let mut stream = std::pin::pin!(stream);
    let mut meter = Meter::default();
    while let Some(data) = stream.try_next().await.doing(&doing)? {
        if around.stop.requested() {
            return Err(Error::Interrupted);
        }
        meter.pass(&data);
        output.write(&data)?;
        told.tell(around.observer, meter.rows_so_far());
    }
    let rows = meter.end();
    if i64::try_from(rows.rows) != Ok(total) {
        return Err(not_written(&format!("{name} has {total} rows, and {} came", rows.rows)));
    }
    Ok(rows)
}

/// Tells how far it is, a few times a second.
pub(super) struct Told {
    step: usize,
    total: u64,
    began: Instant,
    last: Instant,
}

impl Told {
    pub(super) fn new(step: usize, total: u64) -> Self {
        Self { step, total, began: Instant::now(), last: Instant::now() }
    }

    pub(super) fn tell(&mut self, observer: &dyn Observer, rows: u64) {
        if self.last.elapsed() < Duration::from_millis(200) {
            return;
        }
        self.last = Instant::now();
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = rows as f64 / seconds.max(0.001);
        let done = rows as f64 / self.total.max(rows).max(1) as f64;
        let eta =
            (rate > 0.0).then(|| Duration::from_secs_f64(self.total.saturating_sub(rows) as f64 / rate));
        observer.event(&Event::Progress { step: self.step, rows, done, rate, eta });
    }
}

const WHERE: &str = "
SELECT current_database()::text, current_setting('server_version_num')::int, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";

/// A partition has more ancestors than what it is a part of.
const DEPTH: &str = "SELECT count(*) FROM pg_catalog.pg_partition_ancestors(pg_catalog.to_regclass($1))";

const RELATION: &str = "
SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2";

const ROUTINE: &str = "
SELECT p.oid FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = $1 AND p.proname = $2";

const TYPE: &str = "
SELECT t.oid FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
WHERE n.nspname = $1 AND t.typname = $2";
