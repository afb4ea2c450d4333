//! `dingmap state` where `--shared` is given: what lies on the server that runs share, told without numbers, and forgetting it.
//! Leaves looking to `shared::tenants`, and the state file to `state`.

use std::io::Write as _;

use jiff::Zoned;
use tr::tr;

use crate::api::rate::Rate;
use crate::app::cli::shared_args::StateCommand;
use crate::app::commands::resolve::join_quota::{SharedServer, unavailable_failure};
use crate::app::commands::resolve::start_at::format_timestamp;
use crate::app::commands::state::messages::group_thousands;
use crate::app::exit::{Exit, Failure, format_whole_seconds, sanitize};
use crate::app::progress::terminal::Terminal;
use crate::app::signals::Signals;
use crate::app::stdout::with_stdout;
use crate::quota::connection::{Connection, Unavailable};
use crate::quota::inventory::{AppInventory, Inventory, forget, inspect};

/// What was done.
enum Completed {
    Listed(Inventory),
    Forgotten(u64),
}

/// Runs the command.
///
/// # Errors
/// As [`refused`]; interrupted, by a signal; output (7).
pub(crate) fn shared_state(
    command: &StateCommand,
    server: &SharedServer,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    for remark in &server.warnings {
        terminal.print(remark);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Error, error))?;
    let done = runtime.block_on(async {
        let mut signals = Signals::new().map_err(|error| Failure::from_error(Exit::Error, error))?;
        let link = Connection::new(server.client.clone());
        tokio::select! {
            biased;
            signal = signals.recv() => Err(Failure::with_message(Exit::Interrupted(signal), tr!("interrupted"))),
            done = execute(command, &link) => done.map_err(|silence| unavailable_failure(server, &silence)),
        }
    });
    // A name may still be looked up, for which nobody waits.
    runtime.shutdown_background();
    match done? {
        Completed::Listed(survey) => {
            let text = format_inventory(&survey);
            with_stdout(|output| write!(output, "{}\n{text}", server.name))?;
        }
        Completed::Forgotten(count) => {
            terminal.print(&tr!("{count} answers were forgotten", count));
            terminal.print(&tr!(
                "what paces the runs of an app stays until it expires: it has nothing of any number in it"
            ));
        }
    }
    Ok(Exit::Success)
}

async fn execute(command: &StateCommand, link: &Connection) -> Result<Completed, Unavailable> {
    match command {
        StateCommand::Forget(choice) => {
            Ok(Completed::Forgotten(forget(link, choice.app.as_deref()).await?))
        }
        _ => Ok(Completed::Listed(inspect(link).await?)),
    }
}

/// What lies there, app by app.
fn format_inventory(Inventory { apps: tenants, foreign_keys: foreign }: &Inventory) -> String {
    let mut lines = Vec::new();
    if tenants.is_empty() {
        lines.push(tr!("nothing is kept there"));
    }
    for tenant in tenants.values() {
        lines.push(String::new());
        lines.push(format_title(tenant));
        lines.extend(format_details(tenant).into_iter().map(|line| format!("  {line}")));
    }
    if *foreign > 0 {
        lines.push(String::new());
        lines.push(tr!("{n} key there is of another version of dingmap, which alone can tell and forget it"
            | "{n} keys there are of another version of dingmap, which alone can tell and forget them"
                % *foreign));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Whose it is. What stands there was written by whoever may write there, so that it is shown as the API's texts are.
fn format_title(AppInventory { endpoint, app, .. }: &AppInventory) -> String {
    let app = sanitize(app);
    match endpoint {
        Some(endpoint) => tr!("{endpoint}, app {app}", endpoint = sanitize(endpoint), app),
        None => tr!("app {app}, whose name is not there any more", app),
    }
}

fn format_details(tenant: &AppInventory) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match tenant.min_rate {
        None => tr!("no run now"),
        Some(least) if least == Rate::UNLIMITED => {
            tr!("{n} run now, without a limit"
                | "{n} runs now, none with a limit" % tenant.session_count)
        }
        Some(rate) => {
            tr!(
                "{n} run now, at {rate} calls/s"
                    | "{n} runs now, at {rate} calls/s together, the lowest that any asks for"
                        % tenant.session_count,
                rate
            )
        }
    });
    if let Some(share) = tenant.rate_factor {
        let percent = format!("{:.0}", share * 100.0);
        lines.push(tr!("only {percent}% of the rate is used since the API complained", percent));
    }
    if let Some((rest, cause)) = tenant.pause {
        let time = format_timestamp(&Zoned::now().saturating_add(rest));
        lines.push(tr!("no call until {time} ({cause})", time, cause));
    }
    let answers = group_thousands(tenant.answers);
    let claims = group_thousands(tenant.claims);
    lines.push(tr!("answers: {answers}; numbers claimed: {claims}", answers, claims));
    lines.push(match tenant.token_ttl {
        Some(left) => tr!("a token for another {left}", left = format_whole_seconds(left)),
        None => tr!("no token"),
    });
    lines.push(tr!(
        "all of it expires within {left}",
        left = format_whole_seconds(tenant.expires_in)
    ));
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
        let tenants = [("a".to_owned(), busy), ("b".to_owned(), left)].into();
        let text = format_inventory(&Inventory { apps: tenants, foreign_keys: 3 });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "https://oapi.dingtalk.io, app ding abc");
        assert_eq!(lines[2], "  2 runs now, at 20 calls/s together, the lowest that any asks for");
        assert_eq!(lines[3], "  only 80% of the rate is used since the API complained");
        assert!(
            lines[4].starts_with("  no call until ") && lines[4].ends_with(" (the calls a minute)")
        );
        assert_eq!(lines[5], "  answers: 12 345; numbers claimed: 7");
        assert_eq!(lines[6], "  a token for another 1h 30m");
        assert_eq!(lines[7], "  all of it expires within 1day");
        assert_eq!(
            lines[9..12],
            [
                "app 0a1b, whose name is not there any more",
                "  no run now",
                "  answers: 1; numbers claimed: 0"
            ]
        );
        assert_eq!(
            lines[15],
            "3 keys there are of another version of dingmap, which alone can tell and forget them"
        );
        assert_eq!(format_inventory(&Inventory::default()), "nothing is kept there\n");
    }
}
