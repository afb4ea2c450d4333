//! Examples and exit statuses after the help of each command, and which flags `-h` shows.

use std::ffi::OsString;

use clap::{Arg, Command};

/// After the program's `-h`.
pub(crate) const TOP: &str = "Example:
  dingmap resolve staff.csv --sandbox     a rehearsal; needs no credentials";

/// After the program's `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  dingmap resolve staff.csv --sandbox             rehearse; needs no credentials
  dingmap plan staff.csv                          show calls and time needed; uses no network
  dingmap resolve staff.csv -o mapped.csv         run; needs DINGTALK_APP_KEY, DINGTALK_APP_SECRET
  dingmap resolve - -o - < staff.csv > out.csv    run in a pipe
  dingmap diff old.csv new.csv --key 工号         compare two resolved files
  dingmap sandbox --port 8600                     serve the emulated API

Every flag can also be set by an environment variable, DINGMAP_<FLAG> (DINGMAP_MAX_CALLS for
--max-calls), or in the file that --config names. A flag overrides its variable, and a variable
overrides the file.";

/// After `resolve --help`.
pub(crate) const RESOLVE: &str = "Examples:
  dingmap resolve staff.csv --sandbox
          rehearse with invented people; needs no credentials
  dingmap resolve staff.csv -o mapped.csv -c 手机号 --rate 10
          name the column, and use half the default rate because another program uses the app too
  dingmap resolve staff.xlsx --sheet 在职 --failed again.csv
          read one sheet of a workbook; rows that may succeed on a retry go to again.csv
  dingmap resolve big.csv --max-calls 5000
          make 5000 calls today; the same command resumes tomorrow
  dingmap resolve staff.csv --config dingmap.toml --profile nightly --print-config
          show the values that a nightly run would use, and their sources

Every flag can also be set by an environment variable, DINGMAP_<FLAG>, or in the file that --config
names.

Exit status:
  0  every row has a definitive answer          5  credentials or permission
  1  the run could not continue                 6  stopped by a limit: --max-calls, --patience
  2  usage or configuration error               7  output cannot be written
  3  input unreadable                           130/143  interrupted
  4  some rows failed and may succeed on a retry";

/// After `plan --help`.
pub(crate) const PLAN: &str = "Examples:
  dingmap plan staff.csv                       show format, invalid rows, calls and time needed
  dingmap plan staff.csv -c 手机号 --rate 40   use this column, and the professional edition's rate
  dingmap plan staff.csv --json                print the same for programs

Exit status:
  0  plan printed               3  input unreadable
  2  usage or configuration     7  standard output cannot be written";

/// After `diff --help`.
pub(crate) const DIFF: &str = "Examples:
  dingmap diff monday.csv tuesday.csv                       match rows by mobile number
  dingmap diff monday.csv tuesday.csv -k 工号 -o diff.csv   match by staff number, write to a file
  dingmap diff monday.csv tuesday.csv --max-change 5%       exit with 11 above 5%, for nightly jobs

Exit status:
  0  no difference              7  output cannot be written
  1  could not continue        10  differences
  2  usage error               11  more than --max-change
  3  input unreadable          130/143  interrupted";

/// After `merge --help`.
pub(crate) const MERGE: &str = "Examples:
  dingmap merge staff.csv staff.resolved.*-of-4.csv   four shards, into staff.resolved.csv
  dingmap merge staff.csv a.csv b.csv -o mapped.csv   two shards, into mapped.csv

Use the same flags as for the runs.

Exit status:
  0  table is complete          3  input unreadable, or rows missing
  1  could not continue         7  output cannot be written
  2  usage error                130/143  interrupted";

/// After `sandbox --help`.
pub(crate) const SANDBOX: &str = "Examples:
  dingmap sandbox --port 8600 --limit 5        serve an API that allows 5 calls in any second
  dingmap resolve staff.csv --endpoint http://127.0.0.1:8600
          use it from another terminal, with
          DINGTALK_APP_KEY=sandbox-key and DINGTALK_APP_SECRET=sandbox-secret
  dingmap sandbox --tls                        serve HTTPS; prints the file for --ca-file";

/// After `state --help`.
pub(crate) const STATE: &str = "Examples:
  dingmap state info                           show the number and age of answers
  dingmap state forget --older-than 90d        delete old answers, for the law or your own rules
  dingmap state forget --number - < left.txt   delete the numbers in that file, one per line
  dingmap state export > kept.csv              export everything, with full numbers: personal data
  dingmap state info --shared redis://HOST/DB
          show what the shared server keeps for each app, and the rate of its runs
  dingmap state forget --app KEY --shared redis://HOST/DB
          delete the answers and the token of one app from the shared server";

/// After `completions --help`.
pub(crate) const COMPLETIONS: &str = "Examples:
  dingmap completions bash > ~/.local/share/bash-completion/completions/dingmap
  dingmap completions zsh > /usr/local/share/zsh/site-functions/_dingmap
  dingmap completions fish > ~/.config/fish/completions/dingmap.fish

The script calls dingmap for suggestions, including the columns of the input file.";

/// After `man --help`.
pub(crate) const MAN: &str = "Examples:
  dingmap man | man -l -                                show the manual
  dingmap man --directory /usr/local/share/man/man1     write a page for each command";

/// The topics of the guide, in the order of [`TOPICS`](crate::guide::TOPICS).
pub(crate) const TOPICS: &str = "Topics:
  first-run     from the app's credentials to the first result
  numbers       which spellings are read, which cells are refused, and why
  files         encodings, delimiters, rows, the output
  columns       the column with the numbers, and the columns that are appended
  workbooks     Excel workbooks and compressed files
  dry-run       what `dingmap plan` shows
  resume        the state file: what it keeps, and how a run continues
  retry         correcting numbers, asking failed rows again
  expect        comparing with user ids on file
  compare       what `dingmap diff` shows: two results, row by row
  shards        one table in parts, on several machines
  quota         several runs that share one rate limit
  calls         rate, retries, pauses, tokens, proxies, memory
  faults        what goes wrong, what it costs, what to do
  config        the configuration file and environment variables
  report        summary, metrics, report, progress, logs, hints
  unattended    timers, cron, Kubernetes, packages, completions
  exit-status   what each exit status means
  changelog     what changed in each version";

/// After the program's `--help`: examples, and the topics of the guide.
pub(crate) fn for_program() -> String {
    format!("{EXAMPLES}\n\n{TOPICS}")
}

/// Prepares the help for these arguments. `-h` hides flags under a heading, which are rarely used,
/// and the names of environment variables, which follow from those of the flags.
#[must_use]
pub(crate) fn arrange_help(command: Command, args: &[OsString]) -> Command {
    let is_long = args.iter().any(|arg| arg == "--help" || arg == "help");
    let arrange = |arg: Arg| {
        let is_rare = arg.get_help_heading().is_some() || arg.is_hide_short_help_set();
        arg.hide_env(!is_long).hide_short_help(is_rare)
    };
    command.mut_args(arrange).mut_subcommands(|subcommand| arrange_help(subcommand, args))
}
