//! `dingmap merge`: opens a table and the shards of it that runs of `resolve` wrote, has them put together, and tells what is
//! missing. Leaves finding each row to `reconcile::merging`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde_json::json;
use tr::tr;

use crate::app::cli::Merge;
use crate::app::config;
use crate::app::exit::{Exit, Failure};
use crate::app::files::target;
use crate::app::opening::Input;
use crate::app::summary::name;
use crate::app::terminal::Terminal;
use crate::app::working::{Course, Working};
use crate::domain::shard::Shard;
use crate::engine::manner::Wanted;
use crate::reconcile::merging::{self, MergeError, Named, Progress};
use crate::table::layout::Options;
use crate::table::sink::{Sink, Style};
use crate::table::source::Source;

/// Runs the command.
///
/// # Errors
/// A [`Failure`] for everything that people have to be told: files that cannot be read or written, and rows that are missing.
pub fn merge(args: &Merge, terminal: &Terminal) -> Result<Exit, Failure> {
    let standard = Path::new("-");
    if [&args.input].into_iter().chain(&args.shards).filter(|path| path.as_path() == standard).count() > 1 {
        return Err(Failure::new(Exit::Usage, tr!("only one of the files can be standard input; name the others")));
    }
    let options = config::reading(&args.reading, &Wanted::default());
    let input = open(args, &args.input, options)?;
    let options = alike(args, &input);
    let shards = args.shards.iter().filter(|path| !bare(path));
    let shards = shards
        .map(|path| Ok(Named { name: name(path), source: open(args, path, options.clone())? }))
        .collect::<Result<Vec<_>, Failure>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Broken, error))?;
    let progress = Arc::<Progress>::default();
    let place = target(&config::whole(args));
    let least = shards.iter().filter_map(|shard| fs::metadata(&shard.name).ok()).map(|found| found.len()).sum();
    let input = Named { name: name(&args.input), source: input };
    let merged = runtime.block_on(async {
        let mut working = Working::new(&progress, terminal)?;
        let to = place.clone();
        let work = move |progress: &Progress| {
            let sink = |head: &_| Sink::create(to, head, Style { least, ..Style::default() });
            merging::merge(input, shards, sink, progress)
        };
        working.does(work).await
    });
    terminal.finish(|| progress.object());
    // A thread may still wait for a silent pipe; it has nothing that needs an orderly end.
    runtime.shutdown_background();
    let rows = merged?.map_err(|error| failure(args, error))?;
    terminal.say(&tr!(
        "{n} row of {shards} shards, written to {place}" | "{n} rows of {shards} shards, written to {place}" % rows,
        shards = args.shards.len(),
        place
    ));
    Ok(Exit::Done)
}

/// Whether a file is empty: the shard of a table without header to which no row fell.
fn bare(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0)
}

fn open(args: &Merge, path: &Path, options: Options) -> Result<Source, Failure> {
    let sheet = args.reading.sheet.as_deref().filter(|_| path == args.input);
    Ok(Input { path, sheet, options, region: args.region }.open()?.source)
}

/// How the shards of an input are read: as it was, with nothing left to be found out.
fn alike(args: &Merge, input: &Source) -> Options {
    let dialect = input.dialect();
    let position = |index: usize| (index + 1).to_string().parse().ok();
    Options {
        encoding: Some(args.output_encoding.unwrap_or(dialect.encoding)),
        lossy: args.reading.lossy_cells,
        skip_lines: args.reading.skip_lines,
        flexible: args.reading.flexible,
        delimiter: Some(dialect.delimiter),
        headers: Some(dialect.headers),
        columns: input.columns().iter().filter_map(|column| position(column.index)).collect(),
        ..Options::default()
    }
}

fn failure(args: &Merge, error: MergeError) -> Failure {
    match error {
        MergeError::Sink(error) => Failure::of(Exit::Output, error),
        MergeError::Interrupted => Failure::of(Exit::Broken, error),
        MergeError::Missing(lines) => {
            let input = name(&args.input);
            let mut text = tr!("{rows} of {input} are in none of these shards; nothing was written", rows = lines, input);
            let absent = absent(&args.shards);
            if !absent.is_empty() {
                let list = absent.iter().map(Shard::to_string).collect::<Vec<_>>().join(&tr!("list" => ", "));
                text = tr!("{text}. By their names, shard {list} is missing: run resolve with that --shard, and merge again", text, list);
            }
            Failure::new(Exit::Input, text)
        }
        MergeError::Unreadable { .. } | MergeError::Unlike { .. } | MergeError::Foreign { .. } => {
            Failure::of(Exit::Input, error)
        }
    }
}

/// The shards that are not among files which are named as `resolve` does; none where one has another name.
fn absent(files: &[impl AsRef<Path>]) -> Vec<Shard> {
    let named = |path: &Path| Shard::in_name(path.file_name()?.to_str()?);
    let Some(there) = files.iter().map(|path| named(path.as_ref())).collect::<Option<Vec<_>>>() else { return Vec::new() };
    let Some(first) = there.first() else { return Vec::new() };
    first.and_others().filter(|shard| !there.contains(shard)).collect()
}

impl Course for Progress {
    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn told(&self) -> (String, Option<(u64, u64)>) {
        (tr!("{rows} rows merged", rows = self.rows.load(Ordering::Relaxed)), None)
    }

    fn object(&self) -> String {
        json!({ "time": Timestamp::now().to_string(), "rows": self.rows.load(Ordering::Relaxed) }).to_string()
    }
}
