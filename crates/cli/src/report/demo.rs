//! The page of the demo: what came of both runs, then both over one time axis, then the plan in words.

use maud::{Markup, html};

use super::axis::Axis;
use super::lanes::{self, Look, ROW};
use super::latency::{self, Scale};
use super::timeline::{lanes_of, legend};
use super::{ms, seconds, shell, steps};
use crate::demo::comparison::{self, wrong};
use crate::render::{bytes, count};
use crate::wire::{DemoDocument, HeldLock, Run, Span};

/// The whole file.
pub fn page(seen: &DemoDocument) -> String {
    let body = html! {
        h1 { "One migration, run twice under the same traffic" }
        p {
            (count(seen.rows)) " orders, " (seen.connections) " connections, " (seen.rate) " operations a second. The same file, the \
             same traffic, the same deploy of new code: once " b { "naively" } ", in one transaction, as most tools run it, and once "
            b { "with Concertina" } "."
        }
        (verdict(seen))
        (cards(seen))
        pre aria-label="The migration" { code { (seen.migration.trim_end()) } }
        h2 { "Over time" }
        p { "Both runs on one scale, which is logarithmic. An operation stands where it fell due, as high as it took until it was \
             answered: whoever comes while a lock is held waits for its end, so a long lock is a cliff, and slopes down from there." }
        (charts(seen))
        h2 { "Side by side" }
        (comparison_table(seen))
        p.faint { "before → during: traffic alone → from the migration's first statement to three seconds after its last." }
        h2 { "What Concertina ran" }
        p { "This is the plan that the file was compiled to, with what came of every step. On your own database, " code { "concertina plan" }
            " shows it before anything runs." }
        (steps::table(&seen.steps))
        (steps::details(&seen.steps))
        h2 { "In numbers" }
        (parts(seen))
        (by_second(seen))
        h2 { "How it was measured" }
        (method(seen))
    };
    shell::page("One migration, run naively and with Concertina", &body)
}

/// Sentences made of the figures alone.
fn verdict(seen: &DemoDocument) -> Markup {
    let said = |run: &Run| {
        format!(
            "an operation waited for up to {}, {} of {} failed, and {} orders were left with a wrong total.",
            ms(run.during.worst_ms),
            number(run.during.failed),
            count(run.during.failed + run.during.operations),
            number(wrong(run)),
        )
    };
    let class = |run: &Run| if run.during.failed + wrong(run) == 0 { "good" } else { "bad" };
    html! {
        p.(class(&seen.naive)) { b { "Naively" } " " (said(&seen.naive)) }
        p.(class(&seen.concertina)) { b { "With Concertina" } " " (said(&seen.concertina)) }
        @for fault in &seen.faults { p.bad { b { "This must not be" } ", please report it: " (fault) } }
    }
}

fn number(number: u64) -> String {
    if number == 0 { "none".to_owned() } else { count(number) }
}

/// Reads one figure off a run.
type Figure = fn(&Run) -> String;

/// The figures that matter most, in pairs.
fn cards(seen: &DemoDocument) -> Markup {
    let pairs: [(&str, Figure); 4] = [
        ("longest wait of an operation", |run| ms(run.during.worst_ms)),
        ("operations that failed", |run| count(run.during.failed)),
        ("orders with a wrong total", |run| count(wrong(run))),
        ("time the migration took", |run| seconds(run.seconds)),
    ];
    html! {
        dl.figures {
            @for (name, figure) in pairs {
                div {
                    dt { (name) }
                    dd { (figure(&seen.naive)) span.faint { " naively" } }
                    dd { (figure(&seen.concertina)) span.faint { " with Concertina" } }
                }
            }
        }
    }
}

fn comparison_table(seen: &DemoDocument) -> Markup {
    let rows: Vec<Vec<String>> = comparison::rows(seen).into_iter().map(Vec::from).collect();
    shell::table(
        "What clients felt, and what is in the databases",
        1,
        &["", "naively", "with Concertina"],
        &rows,
    )
}

/// Both runs on one axis.
fn charts(seen: &DemoDocument) -> Markup {
    let runs = [&seen.naive, &seen.concertina];
    let axis = Axis::plain(runs.iter().map(|run| length(run)).fold(0.0, f64::max));
    let scale = Scale::of(runs);
    html! {
        figure aria-label="Both runs over time; the tables below hold the same" {
            h3 { "Naively" }
            (lanes::scale(&axis))
            (latency::chart(&axis, scale, &seen.naive, None))
            (latency::failures(&axis, &seen.naive))
            (phases(&axis, &seen.naive))
            (locks(&axis, &seen.naive))
            (marks(&seen.naive))
            h3 { "With Concertina" }
            (lanes::scale(&axis))
            (latency::chart(&axis, scale, &seen.concertina, Some(seen.max_stall_ms)))
            (latency::failures(&axis, &seen.concertina))
            (phases(&axis, &seen.concertina))
            (locks(&axis, &seen.concertina))
            (marks(&seen.concertina))
            h3 { "The steps of its plan" }
            (legend())
            (lanes::scale(&axis))
            (lanes_of(&axis, &seen.steps))
            (lanes::scale(&axis))
        }
    }
}

/// How long a run was looked at.
fn length(run: &Run) -> f64 {
    let moments = run.moments.last().map_or(0.0, |moment| moment.at_seconds);
    run.spans.last().map_or(0.0, |span| span.to_seconds).max(moments)
}

/// What went on: each part with its mark, where there is room for it.
fn phases(axis: &Axis, run: &Run) -> Markup {
    let at_work: Vec<&Span> = run.spans.iter().filter(|span| span.mark != '.').collect();
    let words: Vec<String> = at_work.iter().map(|span| said(span)).collect();
    let drawn = html! {
        (lanes::grid(axis, ROW))
        @for (span, words) in at_work.iter().zip(&words) {
            @let (left, right) = (axis.at(span.from_seconds), axis.at(span.to_seconds));
            rect.span x=(lanes::per_cent(left)) y="3" width=(lanes::per_cent(right - left)) height="20" { title { (words) } }
            @if right - left > 4.0 {
                text.in-bar x=(lanes::per_cent(f64::midpoint(left, right))) y="17" text-anchor="middle" { (span.mark) }
            }
        }
    };
    lanes::lane(&html! { b { "What ran" } }, &words.join("; "), ROW, &drawn)
}

/// `b backfill: 60.1 s`
fn said(span: &Span) -> String {
    format!("{} {}: {}", span.mark, span.what, seconds(span.to_seconds - span.from_seconds))
}

/// What the marks stand for, with the time of each.
fn marks(run: &Run) -> Markup {
    html! {
        ul.marks {
            @for span in run.spans.iter().filter(|span| span.mark != '.') {
                li { b { (span.mark) } " " (span.what) " " span.faint { (seconds(span.to_seconds - span.from_seconds)) } }
            }
        }
    }
}

/// A row a table that was locked against readers or writers.
fn locks(axis: &Axis, run: &Run) -> Markup {
    let mut relations: Vec<&str> = Vec::new();
    for held in &run.locks {
        if !relations.contains(&held.lock.relation.as_str()) {
            relations.push(&held.lock.relation);
        }
    }
    html! { @for relation in relations { (locks_of(axis, run, relation)) } }
}

fn locks_of(axis: &Axis, run: &Run, relation: &str) -> Markup {
    // The strongest is drawn last, over the others.
    let mut held: Vec<&HeldLock> = run.locks.iter().filter(|held| held.lock.relation == relation).collect();
    held.sort_by_key(|held| held.lock.blocks_reads);
    let length = |held: &HeldLock| held.to_seconds - held.from_seconds;
    let longest = held.iter().map(|held| length(held)).fold(0.0, f64::max);
    let words = format!(
        "locks on {relation} that keep readers or writers waiting: held {} times, {} at most",
        held.len(),
        seconds(longest)
    );
    let drawn = html! {
        (lanes::grid(axis, ROW))
        @for held in &held {
            @let look = Look::lock(held.lock.blocks_reads, held.lock.blocks_writes);
            @let words = format!("{} on {relation}, held for {}", held.lock.mode, seconds(length(held)));
            (lanes::stretch(axis, held.from_seconds, held.to_seconds, look, &words))
        }
    };
    let name =
        html! { b { "Locks on " (relation) } br; span.faint { "held for " (seconds(longest)) " at most" } };
    lanes::lane(&name, &words, ROW + 4.0, &drawn)
}

/// What ran when, and the locks.
fn parts(seen: &DemoDocument) -> Markup {
    let runs = [("naively", &seen.naive), ("with Concertina", &seen.concertina)];
    let at = |seconds: f64| format!("{seconds:.2}");
    let mut rows = Vec::new();
    for (name, run) in runs {
        let spans = run.spans.iter().map(|span| (span.what.clone(), span.from_seconds, span.to_seconds));
        let locks = run.locks.iter().map(|held| {
            let what = format!("{} on {} held", held.lock.mode, held.lock.relation);
            (what, held.from_seconds, held.to_seconds)
        });
        for (what, from, to) in spans.chain(locks) {
            rows.push(vec![name.to_owned(), what, at(from), at(to), seconds(to - from)]);
        }
    }
    let head = ["run", "what", "from second", "to second", "took"];
    shell::table("What ran when, and locks that keep readers or writers waiting", 2, &head, &rows)
}

/// What the charts show, for who cannot see them.
fn by_second(seen: &DemoDocument) -> Markup {
    let [naive, online] =
        [&seen.naive, &seen.concertina].map(|run| latency::merged(&run.moments, length(run).ceil() as usize));
    let cells = |columns: &[latency::Column], at: usize| match columns.get(at) {
        Some(column) => [ms(column.worst_ms), count(column.failed)],
        None => [String::new(), String::new()],
    };
    let rows = (0..naive.len().max(online.len())).map(|at| {
        let second = naive.get(at).or(online.get(at)).map_or(0.0, |column| column.at);
        let mut row = vec![format!("{second:.1}")];
        row.extend(cells(&naive, at));
        row.extend(cells(&online, at));
        row
    });
    let head = ["from second", "naively: longest", "failed", "with Concertina: longest", "failed"];
    html! {
        details {
            summary { "The charts as a table, second by second" }
            (shell::table("Operations by the second in which they fell due", 0, &head, &rows.collect::<Vec<_>>()))
        }
    }
}

fn method(seen: &DemoDocument) -> Markup {
    let settings: Vec<String> = seen.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
    html! {
        ul.method {
            li { "PostgreSQL " (seen.server_version) " on a machine with " (seen.cores) " cores that the clients share; fsync on, "
                 (settings.join(", ")) "; a database of " (bytes(seen.database_bytes)) ", copied file by file, so that both runs begin alike." }
            li { "Operations fall due at a fixed rate, whether or not earlier ones were answered, and each is timed from when it was due: \
                  a stall counts for everybody who came while it lasted." }
            li { "Right after COMMIT, or after expand, new code is deployed, connection by connection; contract follows." }
            li { "The naive run's locks are what the server's pg_locks shows inside its transaction; Concertina's are from its own ledger." }
            li { "In the end every row is looked at, every write that was acknowledged is searched for, and both schemas are compared." }
        }
    }
}
