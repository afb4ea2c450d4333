//! `dingmap diff`: opens two files that `resolve` wrote, has them compared, and tells what came of it. Leaves the comparison
//! to `reconcile`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use tr::tr;

use crate::app::cli::paths::target;
use crate::app::cli::shared_args::Diff;
use crate::app::commands::open_input::{Input, Opened};
use crate::app::exit::{Exit, Failure, shown};
use crate::app::progress::background::{Course, Working};
use crate::app::progress::terminal::Terminal;
use crate::app::report::text::name;
use crate::domain::diff::Change;
use crate::domain::number::mobile::Rules;
use crate::reconcile::diff::{Tally, compare};
use crate::reconcile::progress::{Side, Watch};
use crate::reconcile::records::{Lines, ReconcileError, Table, beside, key, read};
use crate::table::detect::columns::USUAL;
use crate::table::detect::layout::Options;
use crate::table::source::Source;
use crate::table::write::atomic_file::directory;
use crate::table::write::output::{Output, Target};
use crate::table::write::sink::SinkError;

/// So many bytes of an output that is there already are looked at, for its header.
const HEAD: u64 = 64 << 10;

/// Runs the command: whether there are differences.
///
/// # Errors
/// A [`Failure`] for everything that people have to be told, more differences than were expected among it.
pub(crate) fn diff(args: &Diff, terminal: &Terminal) -> Result<Exit, Failure> {
    let standard = Path::new("-");
    if args.old == standard && args.new == standard {
        return Err(Failure::new(
            Exit::Usage,
            tr!("only one of OLD and NEW can be standard input; name a file"),
        ));
    }
    spared(&args.output)?;
    let (old, new) = (open(args, &args.old)?, open(args, &args.new)?);
    terminal.say(&opening(args, [&old, &new]));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Broken, error))?;
    let watch = Arc::<Watch>::default();
    let tally = runtime.block_on(compared(args, old, new, terminal, &watch));
    terminal.finish(|| watch.object());
    // A thread may still wait for a silent pipe; it has nothing that needs an orderly end.
    runtime.shutdown_background();
    let tally = tally?;
    terminal.say(&closing(args, &tally));
    match args.max_change {
        Some(most) if tally.passes(most) => Err(Failure::new(
            Exit::Suspicious,
            tr!(
                "{harmed} of the {rows} rows of {file} were changed, lost or removed, which is more than --max-change {most}. That is usually a lost permission, a narrower contact scope or the wrong file, and not a mass resignation: look at the differences before anything is done with them.",
                harmed = tally.harmed(),
                rows = tally.rows[0],
                file = name(&args.old),
                most
            ),
        )),
        Some(most) if tally.leaves_open(most) => Err(Failure::new(
            Exit::Suspicious,
            tr!(
                "{open} of the {rows} rows of {file} could not be compared, which is more than --max-change {most}: what became of them is not known. Ask them again with resolve --retry-failed, and compare again.",
                open = tally.unknown,
                rows = tally.rows[0],
                file = name(&args.old),
                most
            ),
        )),
        _ if tally.differs() => Ok(Exit::Differs),
        _ => Ok(Exit::Done),
    }
}

/// Leaves alone a file that `resolve` wrote: the variable of --output is one for both commands, and would have such a file replaced
/// by differences.
fn spared(output: &Path) -> Result<(), Failure> {
    let mut begin = Vec::new();
    // Of a pipe there is nothing to lose. What cannot be read is told where it cannot be written.
    let file =
        fs::metadata(output).is_ok_and(|found| found.is_file()).then(|| File::open(output).ok());
    if let Some(Some(file)) = file {
        let _ = file.take(HEAD).read_to_end(&mut begin);
    }
    // The names are ASCII, of which UTF-16 has a zero beside every byte.
    begin.retain(|byte| *byte != 0);
    let begin = String::from_utf8_lossy(&begin);
    if !begin.lines().any(|line| USUAL.iter().all(|name| line.contains(name))) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        tr!(
            "--output (DINGMAP_OUTPUT, which resolve reads too): {path} is a file that resolve wrote, and differences do not replace it; name another file with -o, or delete this one first",
            path = output.display()
        ),
    ))
}

/// Opens one of the files. It has a header, since its columns are found by that.
fn open(args: &Diff, path: &Path) -> Result<Source, Failure> {
    let options = Options {
        encoding: args.encoding,
        delimiter: args.delimiter,
        skip_lines: args.skip_lines,
        resolved: true,
        columns: args.column.clone(),
        beside: beside(args.key.as_ref()),
        ..Options::default()
    };
    let Opened { source, .. } =
        Input { path, sheet: args.sheet.as_deref(), options, region: args.region }.open()?;
    Ok(source)
}

/// What is compared, and by what.
fn opening(args: &Diff, sources: [&Source; 2]) -> String {
    let by = |source: &Source| match (key(source), source.columns().first()) {
        (Some(place), _) => tr!("column {position}", position = place + 1),
        (None, Some(column)) => {
            let position = column.index + 1;
            match column.name.as_deref().map(shown) {
                Some(name) => tr!("the number in column {position} ({name})", position, name),
                None => tr!("the number in column {position}", position),
            }
        }
        (None, None) => tr!("the number"),
    };
    let [by, by_too] = sources.map(by);
    let (old, new) = (name(&args.old), name(&args.new));
    if by == by_too {
        tr!("comparing {old} with {new}, both by {by}", old, new, by)
    } else {
        tr!("comparing {old} with {new}, by {by}, and by {by_too}", old, new, by, by_too)
    }
}

/// Compares the two, which a signal ends.
async fn compared(
    args: &Diff,
    old: Source,
    new: Source,
    terminal: &Terminal,
    watch: &Arc<Watch>,
) -> Result<Tally, Failure> {
    let mut run = Working::new(watch, terminal)?;
    // Sorting may take minutes: a place that cannot be written to is told before.
    let place = target(&args.output);
    let flag = "--output";
    let at = place.clone();
    let unwritable = |error: SinkError| Failure::of(Exit::Output, error);
    let scratch = scratch(&place);
    let opened = run.does(move |_| Output::open(&place, 0)).await?;
    let mut output = opened
        .map_err(|cause| unwritable(SinkError::Create { target: at.clone(), cause, flag }))?;
    // What is merely unlikely as a number has a canonical form all the same.
    let rules = Rules { home: args.region, strict: false };
    let tables = run.does(move |watch| -> Result<[Table; 2], (Side, ReconcileError)> {
        let table = |source, side| {
            read(source, side, rules, &scratch, watch).map_err(|error| (side, error))
        };
        Ok([table(old, Side::Old)?, table(new, Side::New)?])
    });
    let title = |side| name(if side == Side::Old { &args.old } else { &args.new });
    let [old, new] = tables.await?.map_err(|(side, error)| failure(error, title(side)))?;
    let told = run
        .does(move |watch| compare(old, new, &mut output, watch).map(|tally| (tally, output)))
        .await?;
    let (tally, output) = told.map_err(|error| match error {
        ReconcileError::Output(cause) => {
            unwritable(SinkError::Write { target: at.clone(), cause, flag })
        }
        ReconcileError::Crowded { side, .. } => failure(error, title(side)),
        error => failure(error, title(Side::New)),
    })?;
    let finished = run.does(move |_| output.finish()).await?;
    finished.map_err(|cause| unwritable(SinkError::Finish { target: at, cause, flag }))?;
    Ok(tally)
}

/// How the program ends by an error, which is in the file called `title` where it is in one.
fn failure(error: ReconcileError, title: String) -> Failure {
    let exit = match error {
        ReconcileError::Source(_) | ReconcileError::NoStatus(_) => Exit::Input,
        ReconcileError::Crowded { .. } => Exit::Usage,
        ReconcileError::Scratch(_) | ReconcileError::Output(_) => {
            return Failure::of(Exit::Output, error);
        }
        ReconcileError::Interrupted => return Failure::of(Exit::Broken, error),
    };
    Failure { exit, error: anyhow::Error::new(error).context(title) }
}

/// Where temporary files go: beside the output where that is a file, so that they have the room that was planned for.
fn scratch(output: &Target) -> PathBuf {
    match output {
        Target::File(path) if fs::metadata(path).map_or(true, |found| found.is_file()) => {
            directory(path).to_owned()
        }
        _ => std::env::temp_dir(),
    }
}

impl Course for Watch {
    fn stop(&self) {
        Watch::stop(self);
    }

    fn told(&self) -> (String, Option<(u64, u64)>) {
        let ([old, new], compared) = (self.read(), self.compared());
        let rows = old + new;
        if compared > 0 {
            (tr!("{compared} of {rows} rows compared", compared, rows), Some((compared, rows)))
        } else if new > 0 {
            (tr!("reading NEW: {rows} rows", rows = new), None)
        } else {
            (tr!("reading OLD: {rows} rows", rows = old), None)
        }
    }

    fn object(&self) -> String {
        let ([old, new], compared) = (self.read(), self.compared());
        json!({ "time": Timestamp::now().to_string(), "old_rows": old, "new_rows": new, "compared": compared })
            .to_string()
    }
}

/// What came of it: counts, what could not be compared, and where the differences are.
fn closing(args: &Diff, tally: &Tally) -> String {
    let [old, new] = tally.rows;
    let mut text = tr!("{n} row before, {new} now" | "{n} rows before, {new} now" % old, new);
    let counts = Change::ALL.map(|change| (change.name(), tally.of(change), meaning(change)));
    let others = [
        ("same", tally.same, String::new()),
        (
            "unknown",
            tally.unknown,
            tr!("failed or pending in one of the files, so that nothing can be said of them"),
        ),
    ];
    for (name, count, meaning) in counts.into_iter().chain(others) {
        let line = format!("  {name:<13}{count:>9}  {meaning}");
        // Writing to a string does not fail.
        let _ = write!(text, "\n{}", line.trim_end());
    }
    let harmed = tally.harmed();
    let share = percent(harmed, old);
    text.push('\n');
    text.push_str(&tr!(
        "changed, lost or removed: {harmed} of {all} rows ({share})",
        harmed,
        all = old,
        share
    ));
    if tally.unknown > 0 {
        text.push('\n');
        text.push_str(&tr!(
            "could not be compared: {open} of {all} rows ({share}); resolve --retry-failed asks them again",
            open = tally.unknown,
            all = old,
            share = percent(tally.unknown, old)
        ));
    }
    let tables = [(&args.old, 0), (&args.new, 1)];
    for (path, place) in tables {
        let mut warn = |lines: &Lines, what: String| {
            if lines.count > 0 {
                let _ = write!(text, "\n{}: {what}: {lines}", name(path));
            }
        };
        warn(&tally.keyless[place], tr!("rows without a key, which were left out"));
        let in_order = tr!("rows with the key of an earlier one, which were compared in order");
        warn(&tally.repeated[place], in_order);
    }
    let _ = write!(text, "\n{}", tr!("written to {place}", place = target(&args.output)));
    text
}

/// A share in hundredths of a percent, rounded to the nearest; what is not nothing or not everything does not look like it.
fn percent(part: u64, all: u64) -> String {
    let whole = u128::from(all.max(1));
    match (u128::from(part) * 10_000 + whole / 2) / whole {
        0 if part > 0 => "<0.01 %".to_owned(),
        10_000 if part < all => ">99.99 %".to_owned(),
        hundredths => format!("{}.{:02} %", hundredths / 100, hundredths % 100),
    }
}

fn meaning(change: Change) -> String {
    match change {
        Change::Added => tr!("in the new file alone"),
        Change::Removed => tr!("in the old file alone"),
        Change::Changed => tr!("another user id"),
        Change::Lost => tr!("found before, not any more"),
        Change::Gained => tr!("not found before, found now"),
        Change::SharedUserid => tr!("rows of the new file whose user id stands at another key too"),
        Change::SharedNumber => tr!("rows of the new file whose number stands at another key too"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_to_hundredths() {
        let told = [
            (0, 0),
            (0, 5),
            (5, 100),
            (1, 3),
            (2, 3),
            (32, 100_000),
            (1, 1_000_000),
            (99_999_999, 100_000_000),
            (3, 3),
        ]
        .map(|(part, all)| percent(part, all));
        let expected = [
            "0.00 %", "0.00 %", "5.00 %", "33.33 %", "66.67 %", "0.03 %", "<0.01 %", ">99.99 %",
            "100.00 %",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn temporary_files_stand_beside_a_file_alone() {
        assert_eq!(scratch(&Target::File("a/b.csv".into())), Path::new("a"));
        assert_eq!(scratch(&Target::File("b.csv".into())), Path::new("."));
        assert_eq!(scratch(&Target::File("/dev/null".into())), std::env::temp_dir());
        assert_eq!(scratch(&Target::Stdout), std::env::temp_dir());
    }
}
