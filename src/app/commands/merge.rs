//! `dingmap merge`: opens a table and the shards of it that runs of `resolve` wrote, has them put together, and tells what is
//! missing. Leaves finding each row to `reconcile::merging`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use tr::tr;

use crate::app::cli::args::Merge;
use crate::app::cli::options;
use crate::app::cli::paths::target;
use crate::app::commands::open_input::Input;
use crate::app::exit::{Exit, Failure};
use crate::app::progress::background::{Course, Working};
use crate::app::progress::terminal::Terminal;
use crate::app::report::text::name;
use crate::domain::shard::Shard;
use crate::engine::io::row_format::Wanted;
use crate::reconcile::merge::{self, Gap, MergeError, Merged, Named, Progress};
use crate::table::detect::layout::Options;
use crate::table::source::{Source, SourceError};
use crate::table::write::sink::{Sink, Style};

/// How many shards that lack something are told one by one.
const TOLD: usize = 10;

/// Runs the command.
///
/// # Errors
/// A [`Failure`] for everything that people have to be told: files that cannot be read or written, and rows that are missing.
pub(crate) fn merge(args: &Merge, terminal: &Terminal) -> Result<Exit, Failure> {
    let standard = Path::new("-");
    if [&args.input]
        .into_iter()
        .chain(&args.shards)
        .filter(|path| path.as_path() == standard)
        .count()
        > 1
    {
        return Err(Failure::new(
            Exit::Usage,
            tr!("only one of the files can be standard input; name the others"),
        ));
    }
    let one = by_names(&args.shards)?;
    let input = open(args, &args.input, options::reading(&args.reading, &Wanted::default()))?;
    let shards = shards(args, &input)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Broken, error))?;
    let progress = Arc::<Progress>::default();
    let place = target(&options::whole(args));
    let sizes = args.shards.iter().filter_map(|path| fs::metadata(path).ok());
    let least = sizes.filter(fs::Metadata::is_file).map(|found| found.len()).sum();
    let input = Named { name: name(&args.input), source: input };
    let rules = options::rules(&args.numbers);
    let merged = runtime.block_on(async {
        let mut working = Working::new(&progress, terminal)?;
        let to = place.clone();
        let work = move |progress: &Progress| {
            let sink = |head: &_| Sink::create(to, head, Style { least, ..Style::default() });
            merge::merge(input, shards, (rules, one), sink, progress)
        };
        working.does(work).await
    });
    terminal.finish(|| progress.object());
    // A thread may still wait for a silent pipe; it has nothing that needs an orderly end.
    runtime.shutdown_background();
    let Merged { rows, gaps } = merged?.map_err(failure)?;
    if !gaps.is_empty() {
        return Err(Failure::new(Exit::Input, lacking(&name(&args.input), &gaps)));
    }
    terminal.say(&tr!(
        "{n} row of {files} files, written to {place}"
            | "{n} rows of {files} files, written to {place}" % rows,
        files = args.shards.len(),
        place
    ));
    Ok(Exit::Done)
}

/// The shard of a file, as its name tells it; none where none does.
///
/// # Errors
/// Unreadable (3) where two files are of a table that was divided into so many, and into so many others.
fn by_names(files: &[PathBuf]) -> Result<Option<Shard>, Failure> {
    let named = |path: &PathBuf| {
        Shard::in_name(path.file_name()?.to_str()?).map(|shard| (name(path), shard))
    };
    let mut named = files.iter().filter_map(named);
    let Some((first, one)) = named.next() else { return Ok(None) };
    if let Some((other, shard)) = named.find(|(_, shard)| !shard.goes_with(one)) {
        let text = tr!(
            "{first} is shard {one} and {other} is shard {shard}: only shards of one division have every row once; merge those of one",
            first,
            one,
            other,
            shard
        );
        return Err(Failure::new(Exit::Input, text));
    }
    Ok(Some(one))
}

fn open(args: &Merge, path: &Path, options: Options) -> Result<Source, Failure> {
    let sheet = args.reading.sheet.as_deref().filter(|_| path == args.input);
    Ok(Input { path, sheet, options, region: args.numbers.region }.open()?.source)
}

/// Opens the shards of an input, which are read as it was, with nothing left to be found out. Where there is no header, one to
/// which no row fell has nothing in it.
fn shards(args: &Merge, input: &Source) -> Result<Vec<Named>, Failure> {
    let dialect = input.dialect();
    let position = |index: usize| (index + 1).to_string().parse().ok();
    let options = Options {
        encoding: Some(args.output_encoding.unwrap_or(dialect.encoding)),
        lossy: args.reading.lossy_cells,
        skip_lines: args.reading.skip_lines,
        flexible: args.reading.flexible,
        delimiter: Some(dialect.delimiter),
        headers: Some(dialect.headers),
        columns: input.columns().iter().filter_map(|column| position(column.index)).collect(),
        ..Options::default()
    };
    let mut shards = Vec::new();
    for path in &args.shards {
        match open(args, path, options.clone()) {
            Ok(source) => shards.push(Named { name: name(path), source }),
            Err(failure) => {
                let nothing =
                    matches!(failure.error.downcast_ref(), Some(SourceError::Empty { .. }));
                if dialect.headers || !nothing {
                    return Err(failure);
                }
            }
        }
    }
    Ok(shards)
}

fn failure(error: MergeError) -> Failure {
    match error {
        MergeError::Sink(error) => Failure::of(Exit::Output, error),
        MergeError::Interrupted => Failure::of(Exit::Broken, error),
        MergeError::Unreadable { .. } | MergeError::Unlike { .. } | MergeError::Foreign { .. } => {
            Failure::of(Exit::Input, error)
        }
    }
}

/// What is missing, shard by shard, and what to do.
fn lacking(input: &str, gaps: &BTreeMap<Option<Shard>, Gap>) -> String {
    let mut text =
        tr!("rows of {input} have no answer in these files; no table was written", input);
    let mut line = |said: String| {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {said}");
    };
    for (shard, Gap { missing, pending }) in gaps.iter().take(TOLD) {
        if missing.count > 0 {
            line(match shard {
                Some(shard) => tr!("missing of shard {shard}: {rows}", shard, rows = missing),
                None => tr!("missing: {rows}", rows = missing),
            });
        }
        if pending.count > 0 {
            line(match shard {
                Some(shard) => tr!("pending in shard {shard}: {rows}", shard, rows = pending),
                None => tr!("pending: {rows}", rows = pending),
            });
        }
    }
    let more = gaps.len().saturating_sub(TOLD);
    if more > 0 {
        line(tr!("and one more shard" | "and {n} more shards" % more));
    }
    line(tr!(
        "Run each of these shards by its own command again, which goes on where it was, and merge anew."
    ));
    text
}

impl Course for Progress {
    fn stop(&self) {
        Progress::stop(self);
    }

    fn told(&self) -> (String, Option<(u64, u64)>) {
        (tr!("{rows} rows merged", rows = self.rows()), None)
    }

    fn object(&self) -> String {
        json!({ "time": Timestamp::now().to_string(), "rows": self.rows() }).to_string()
    }
}
