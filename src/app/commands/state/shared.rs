//! `dingmap state --shared`: shows what the shared server has, without numbers, and deletes
//! answers.

use std::io::Write as _;

use tr::tr;

use crate::api::rate::Rate;
use crate::app::cli::shared_args::StateCommand;
use crate::app::commands::resolve::join_quota::{SharedServer, unavailable_failure};
use crate::app::exit::{Exit, Failure, format_whole_seconds};
use crate::app::format::{format_timestamp, group_thousands};
use crate::app::progress::terminal::Terminal;
use crate::app::signals::Signals;
use crate::app::stdout::with_stdout;
use crate::clock;
use crate::domain::redact::sanitize;
use crate::quota::connection::{Connection, Unavailable};
use crate::quota::inventory::{AppInventory, Inventory, forget, inspect};

enum Completed {
    Listed(Inventory),
    Forgotten(u64),
}

/// # Errors
/// As [`unavailable_failure`]; interrupted by a signal; output (7).
pub(crate) fn shared_state(
    command: &StateCommand,
    server: &SharedServer,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    for warning in &server.warnings {
        terminal.print_warning(warning);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Error, error))?;
    let done = runtime.block_on(async {
        let mut signals =
            Signals::new().map_err(|error| Failure::from_error(Exit::Error, error))?;
        let connection = Connection::new(server.client.clone());
        tokio::select! {
            biased;
            signal = signals.recv() => {
                Err(Failure::with_message(Exit::Interrupted(signal), tr!("interrupted")))
            }
            done = execute(command, &connection) => {
                done.map_err(|error| unavailable_failure(server, &error))
            }
        }
    });
    // A name lookup may still be running; nothing waits for it.
    runtime.shutdown_background();
    match done? {
        Completed::Listed(inventory) => {
            let text = format_inventory(&inventory);
            with_stdout(|output| write!(output, "{}\n{text}", server.name))?;
        }
        Completed::Forgotten(count) => {
            terminal.print(&tr!("{count} answers were deleted", count));
            terminal.print(&tr!(
                "the data of the rate limiter is kept until it expires; it contains no numbers"
            ));
        }
    }
    Ok(Exit::Success)
}

async fn execute(
    command: &StateCommand,
    connection: &Connection,
) -> Result<Completed, Unavailable> {
    match command {
        StateCommand::Forget(choice) => {
            Ok(Completed::Forgotten(forget(connection, choice.app.as_deref()).await?))
        }
        _ => Ok(Completed::Listed(inspect(connection).await?)),
    }
}

fn format_inventory(Inventory { apps, foreign_keys }: &Inventory) -> String {
    let mut lines = Vec::new();
    if apps.is_empty() {
        lines.push(tr!("no answers are stored there"));
    }
    for app in apps.values() {
        lines.push(String::new());
        lines.push(format_title(app));
        lines.extend(format_details(app).into_iter().map(|line| format!("  {line}")));
    }
    if *foreign_keys > 0 {
        lines.push(String::new());
        lines.push(tr!(
            "{n} key belongs to another version of dingmap; only that version can show \
             and delete it"
                | "{n} keys belong to another version of dingmap; only that version can show and \
                   delete them"
                    % *foreign_keys
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The texts on the server may have been written by anybody, and are sanitized like those of the
/// API.
fn format_title(AppInventory { endpoint, app, .. }: &AppInventory) -> String {
    let app = sanitize(app);
    match endpoint {
        Some(endpoint) => tr!("{endpoint}, app {app}", endpoint = sanitize(endpoint), app),
        None => tr!("app {app} (its name has expired)", app),
    }
}

fn format_details(app: &AppInventory) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match app.min_rate {
        None => tr!("no active run"),
        Some(least) if least == Rate::UNLIMITED => {
            tr!("{n} active run, without a limit"
                | "{n} active runs, none with a limit" % app.session_count)
        }
        Some(rate) => {
            tr!(
                "{n} active run, at {rate} calls/s"
                    | "{n} active runs, at {rate} calls/s together (the lowest of their rates)"
                        % app.session_count,
                rate
            )
        }
    });
    if let Some(share) = app.rate_factor {
        let percent = format!("{:.0}", share * 100.0);
        lines.push(tr!("rate lowered to {percent}% after throttling", percent));
    }
    if let Some((remaining, cause)) = app.pause {
        let time = format_timestamp(&clock::now_local().saturating_add(remaining));
        lines.push(tr!("paused until {time} ({cause})", time, cause));
    }
    let answers = group_thousands(app.answers);
    let claims = group_thousands(app.claims);
    lines.push(tr!("answers: {answers}; numbers claimed: {claims}", answers, claims));
    lines.push(match app.token_ttl {
        Some(left) => tr!("access token, valid for {left}", left = format_whole_seconds(left)),
        None => tr!("no token"),
    });
    lines
        .push(tr!("everything expires within {left}", left = format_whole_seconds(app.expires_in)));
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::verdict::Limit;

    #[test]
    fn the_shared_inventory_is_printed_per_app() {
        let busy = AppInventory {
            endpoint: Some("https://oapi.dingtalk.io".into()),
            app: "ding\u{1b}abc".into(),
            session_count: 2,
            min_rate: Some(Rate::from_per_second(20.0)),
            rate_factor: Some(0.8),
            pause: Some((Duration::from_mins(1), Limit::Minute)),
            answers: 12_345,
            claims: 7,
            token_ttl: Some(Duration::from_mins(90)),
            expires_in: Duration::from_hours(24),
        };
        let left = AppInventory { app: "0a1b".into(), answers: 1, ..AppInventory::default() };
        let apps = [("a".to_owned(), busy), ("b".to_owned(), left)].into();
        let text = format_inventory(&Inventory { apps, foreign_keys: 3 });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "https://oapi.dingtalk.io, app ding abc");
        assert_eq!(lines[2], "  2 active runs, at 20 calls/s together (the lowest of their rates)");
        assert_eq!(lines[3], "  rate lowered to 80% after throttling");
        assert!(
            lines[4].starts_with("  paused until ")
                && lines[4].ends_with(" (the calls per minute)")
        );
        assert_eq!(lines[5], "  answers: 12 345; numbers claimed: 7");
        assert_eq!(lines[6], "  access token, valid for 1h 30m");
        assert_eq!(lines[7], "  everything expires within 1day");
        assert_eq!(
            lines[9..12],
            [
                "app 0a1b (its name has expired)",
                "  no active run",
                "  answers: 1; numbers claimed: 0"
            ]
        );
        assert_eq!(
            lines[15],
            "3 keys belong to another version of dingmap; only that version can show and delete \
             them"
        );
        assert_eq!(format_inventory(&Inventory::default()), "no answers are stored there\n");
    }
}
