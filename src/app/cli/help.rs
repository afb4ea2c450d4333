//! What help says beside the flags: examples, exit statuses; and which flags the short one shows. Leaves the flags
//! themselves to `flags`, `input` and `cli`.

use std::ffi::OsString;

use clap::{Arg, Command};

/// Behind the short help of the program.
pub(crate) const TOP: &str = "Example:
  dingmap resolve staff.csv --sandbox     a rehearsal; needs no credentials";

/// Behind the long help of the program.
pub(crate) const EXAMPLES: &str = "Examples:
  dingmap resolve staff.csv --sandbox             a rehearsal; needs no credentials
  dingmap plan staff.csv                          what it would ask, and how long that takes; no network
  dingmap resolve staff.csv -o mapped.csv         the real thing, with DINGTALK_APP_KEY and DINGTALK_APP_SECRET set
  dingmap resolve - -o - < staff.csv > out.csv    in a pipe
  dingmap diff old.csv new.csv --key 工号         what is different between two resolved files
  dingmap sandbox --port 8600                     the emulated API alone

Every flag can also be set by an environment variable, DINGMAP_<FLAG> (--max-calls by DINGMAP_MAX_CALLS), or in the file
that --config names. A flag beats its variable, and that the file.";

/// Behind the long help of `resolve`.
pub(crate) const RESOLVE: &str = "Examples:
  dingmap resolve staff.csv --sandbox
          a rehearsal against invented people; needs no credentials
  dingmap resolve staff.csv -o mapped.csv -c 手机号 --rate 10
          the column by name, and half of the usual pace, since another program uses the app too
  dingmap resolve staff.xlsx --sheet 在职 --failed again.csv
          a sheet of a workbook; what may succeed on another try goes to again.csv
  dingmap resolve big.csv --max-calls 5000
          5000 calls today; the same command tomorrow goes on from there
  dingmap resolve staff.csv --config dingmap.toml --profile nightly --print-config
          which values a nightly run would have, and where each comes from

Every flag can also be set by an environment variable, DINGMAP_<FLAG>, or in the file that --config names.

Exit status:
  0  every row has a definitive answer          5  credentials or permission
  1  could not go on                            6  stopped by a limit: --max-calls, --patience
  2  usage or configuration                     7  output cannot be written
  3  input unreadable                           130/143  interrupted
  4  some rows failed and may succeed on another try";

/// Behind the long help of `plan`.
pub(crate) const PLAN: &str = "Examples:
  dingmap plan staff.csv                       what was detected, what is invalid, how many calls and how long
  dingmap plan staff.csv -c 手机号 --rate 40   with that column, at the pace of the professional edition
  dingmap plan staff.csv --json                the same for programs

Exit status:
  0  told                       3  input unreadable
  2  usage or configuration     7  standard output cannot be written";

/// Behind the long help of `diff`.
pub(crate) const DIFF: &str = "Examples:
  dingmap diff monday.csv tuesday.csv                       the differences, joined by number
  dingmap diff monday.csv tuesday.csv -k 工号 -o diff.csv   joined by the staff number, into a file
  dingmap diff monday.csv tuesday.csv --max-change 5%       for a nightly job: 11 where too much is different

Exit status:
  0  no difference              3  input unreadable
  1  could not go on            7  output cannot be written
  2  usage                     10  differences
                               11  more than --max-change
                               130/143  interrupted";

/// Behind the long help of `merge`.
pub(crate) const MERGE: &str = "Examples:
  dingmap merge staff.csv staff.resolved.*-of-4.csv   the four shards of staff.csv, into staff.resolved.csv
  dingmap merge staff.csv a.csv b.csv -o mapped.csv   two shards, into a file of this name

The flags are those that the runs had.

Exit status:
  0  the table is whole         3  input unreadable, or rows missing
  1  could not go on            7  output cannot be written
  2  usage                      130/143  interrupted";

/// Behind the long help of `sandbox`.
pub(crate) const SANDBOX: &str = "Examples:
  dingmap sandbox --port 8600 --limit 5        an API that refuses more than 5 calls a second
  dingmap resolve staff.csv --endpoint http://127.0.0.1:8600
          a run against it, from another terminal, with DINGTALK_APP_KEY=sandbox-key, DINGTALK_APP_SECRET=sandbox-secret
  dingmap sandbox --tls                        the same over HTTPS; it prints the --ca-file to use";

/// Behind the long help of `state`.
pub(crate) const STATE: &str = "Examples:
  dingmap state info                           how many answers are kept, and how old they are
  dingmap state forget --older-than 90d        what the law or your rules want forgotten
  dingmap state forget --number - < left.txt   the numbers in that file, one a line
  dingmap state export > kept.csv              everything, with full numbers: personal data
  dingmap state info --shared redis://HOST/DB
          what the server has that runs share, app by app, and how it paces them
  dingmap state forget --app KEY --shared redis://HOST/DB
          the answers and the token that it has of one app";

/// Behind the long help of `completions`.
pub(crate) const COMPLETIONS: &str = "Examples:
  dingmap completions bash > ~/.local/share/bash-completion/completions/dingmap
  dingmap completions zsh > /usr/local/share/zsh/site-functions/_dingmap
  dingmap completions fish > ~/.config/fish/completions/dingmap.fish

The script asks the program itself for what fits, columns of the named input among it.";

/// Behind the long help of `man`.
pub(crate) const MAN: &str = "Examples:
  dingmap man | man -l -                                     the manual, read at once
  dingmap man --directory /usr/local/share/man/man1          a page for each command, for man dingmap-resolve";

/// The topics of the guide, in the order of [`TOPICS`](crate::guide::TOPICS).
pub(crate) const TOPICS: &str = "Topics:
  first-run     from the app's credentials to the first result
  numbers       which spellings are read, which cells are refused, and why
  files         encodings, delimiters, rows, the output
  columns       the column with the numbers, and the columns that are appended
  workbooks     Excel workbooks and compressed files
  dry-run       what `dingmap plan` shows
  resume        the state file: what it keeps, and how a run continues
  retry         asking the failed rows again
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

/// After the long help of the program: examples, and the topics of the guide.
pub(crate) fn for_program() -> String {
    format!("{EXAMPLES}\n\n{TOPICS}")
}

/// Arranges the help that these arguments ask for: what stands under a heading of its own is for those who look for it, and
/// is left to `--help`; and the short one does not repeat the names of variables, which follow from those of the flags.
#[must_use]
pub(crate) fn arrange_help(command: Command, args: &[OsString]) -> Command {
    let long = args.iter().any(|arg| arg == "--help" || arg == "help");
    let each = |arg: Arg| {
        let special = arg.get_help_heading().is_some() || arg.is_hide_short_help_set();
        arg.hide_env(!long).hide_short_help(special)
    };
    command.mut_args(each).mut_subcommands(|below| arrange_help(below, args))
}
