//! How many calls may be in flight with the file descriptors that this process may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tr::tr;

use crate::app::cli::args::ResolveArgs;

/// For everything but connections to the API: input, outputs, state, log, signals, a shared server.
const RESERVED: u64 = 32;
/// A call may hold a connection that is being made, in both families of addresses, or an idle one
/// beside it.
const PER_CALL: u64 = 2;

/// Raises the limit of open files to what `--workers` needs, or lowers `--workers` to what the
/// limit allows; the warning if it did that. HTTP/2 needs one connection for all calls, but whether
/// a host offers it is known only after the first ones.
pub(crate) fn limit_workers(args: &mut ResolveArgs) -> Option<String> {
    raise_limit(files_for(args.workers, args.sandbox));
    let limit = getrlimit(Resource::Nofile).current?;
    let workers = max_workers(limit, args.sandbox);
    if args.workers <= workers {
        return None;
    }
    let asked = std::mem::replace(&mut args.workers, workers);
    Some(tr!(
        "warning: --workers {asked} lowered to {workers}, because this process may open only \
         {limit} files; raise the limit (ulimit -n {needed}), or set --workers {workers}",
        asked,
        workers,
        limit,
        needed = files_for(asked, args.sandbox)
    ))
}

/// Raises the soft limit of open files to `needed`, as far as the hard limit allows.
fn raise_limit(needed: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = maximum.map_or(needed, |maximum| needed.min(maximum));
    if current.is_some_and(|current| current < raised) {
        // If the system refuses it, the limit stays, and so does what it allows.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum });
    }
}

/// The built-in sandbox holds the other end of each connection.
fn per_call(is_sandbox: bool) -> u64 {
    if is_sandbox { 2 * PER_CALL } else { PER_CALL }
}

fn max_workers(limit: u64, is_sandbox: bool) -> u16 {
    let workers = limit.saturating_sub(RESERVED) / per_call(is_sandbox);
    u16::try_from(workers).unwrap_or(u16::MAX).max(1)
}

fn files_for(workers: u16, is_sandbox: bool) -> u64 {
    RESERVED + u64::from(workers) * per_call(is_sandbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_fit_into_the_limit_of_open_files() {
        for (limit, workers) in [(64, 16), (256, 112), (1024, 496), (0, 1), (33, 1)] {
            assert_eq!(max_workers(limit, false), workers, "{limit}");
        }
        assert_eq!((max_workers(64, true), max_workers(u64::MAX, false)), (8, u16::MAX));
        for workers in [1, 16, 256, 1024] {
            for is_sandbox in [false, true] {
                let limit = files_for(workers, is_sandbox);
                assert_eq!(max_workers(limit, is_sandbox), workers);
                assert!(workers == 1 || max_workers(limit - 1, is_sandbox) < workers);
            }
        }
    }
}
