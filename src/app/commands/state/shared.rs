//! `dingmap state` where `--shared` is given: what lies on the server that runs share, told without numbers, and forgetting it.
//! Leaves looking to `shared::tenants`, and the state file to `state`.

use std::io::Write as _;

use jiff::Zoned;
use tr::tr;

use crate::api::rate::Rate;
use crate::app::cli::shared_args::StateCommand;
use crate::app::commands::resolve::join_quota::{Server, refused};
use crate::app::commands::resolve::start_at::clock;
use crate::app::commands::state::messages::grouped;
use crate::app::exit::{Exit, Failure, rounded, shown};
use crate::app::progress::terminal::Terminal;
use crate::app::signals::Signals;
use crate::app::stdout::tell;
use crate::quota::connection::{Link, Silence};
use crate::quota::inventory::{Survey, Tenant, forget, survey};

/// What was done.
enum Done {
    Told(Survey),
    Forgotten(u64),
}

/// Runs the command.
///
/// # Errors
/// As [`refused`]; interrupted, by a signal; output (7).
pub(crate) fn tenants(
    command: &StateCommand,
    server: &Server,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    for remark in &server.remarks {
        terminal.say(remark);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Broken, error))?;
    let done = runtime.block_on(async {
        let mut signals = Signals::new().map_err(|error| Failure::of(Exit::Broken, error))?;
        let link = Link::to(server.client.clone());
        tokio::select! {
            biased;
            signal = signals.next() => Err(Failure::new(Exit::Interrupted(signal), tr!("interrupted"))),
            done = done(command, &link) => done.map_err(|silence| refused(server, &silence)),
        }
    });
    // A name may still be looked up, for which nobody waits.
    runtime.shutdown_background();
    match done? {
        Done::Told(survey) => {
            let text = info(&survey);
            tell(|output| write!(output, "{}\n{text}", server.name))?;
        }
        Done::Forgotten(count) => {
            terminal.say(&tr!("{count} answers were forgotten", count));
            terminal.say(&tr!(
                "what paces the runs of an app stays until it expires: it has nothing of any number in it"
            ));
        }
    }
    Ok(Exit::Done)
}

async fn done(command: &StateCommand, link: &Link) -> Result<Done, Silence> {
    match command {
        StateCommand::Forget(choice) => {
            Ok(Done::Forgotten(forget(link, choice.app.as_deref()).await?))
        }
        _ => Ok(Done::Told(survey(link).await?)),
    }
}

/// What lies there, app by app.
fn info(Survey { tenants, foreign }: &Survey) -> String {
    let mut lines = Vec::new();
    if tenants.is_empty() {
        lines.push(tr!("nothing is kept there"));
    }
    for tenant in tenants.values() {
        lines.push(String::new());
        lines.push(title(tenant));
        lines.extend(standing(tenant).into_iter().map(|line| format!("  {line}")));
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
fn title(Tenant { endpoint, app, .. }: &Tenant) -> String {
    let app = shown(app);
    match endpoint {
        Some(endpoint) => tr!("{endpoint}, app {app}", endpoint = shown(endpoint), app),
        None => tr!("app {app}, whose name is not there any more", app),
    }
}

fn standing(tenant: &Tenant) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(match tenant.least {
        None => tr!("no run now"),
        Some(least) if least == Rate::UNLIMITED => {
            tr!("{n} run now, without a limit" | "{n} runs now, none with a limit" % tenant.runs)
        }
        Some(rate) => {
            tr!(
                "{n} run now, at {rate} calls/s"
                    | "{n} runs now, at {rate} calls/s together, the lowest that any asks for"
                        % tenant.runs,
                rate
            )
        }
    });
    if let Some(share) = tenant.share {
        let percent = format!("{:.0}", share * 100.0);
        lines.push(tr!("only {percent}% of the rate is used since the API complained", percent));
    }
    if let Some((rest, cause)) = tenant.rest {
        let time = clock(&Zoned::now().saturating_add(rest));
        lines.push(tr!("no call until {time} ({cause})", time, cause));
    }
    let answers = grouped(tenant.answers);
    let claims = grouped(tenant.claims);
    lines.push(tr!("answers: {answers}; numbers claimed: {claims}", answers, claims));
    lines.push(match tenant.token {
        Some(left) => tr!("a token for another {left}", left = rounded(left)),
        None => tr!("no token"),
    });
    lines.push(tr!("all of it expires within {left}", left = rounded(tenant.expires)));
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::verdict::Limit;

    #[test]
    fn what_is_there_is_told_app_by_app() {
        let busy = Tenant {
            endpoint: Some("https://oapi.dingtalk.io".into()),
            app: "ding\u{1b}abc".into(),
            runs: 2,
            least: Some(Rate::of(20.0)),
            share: Some(0.8),
            rest: Some((Duration::from_mins(1), Limit::Minute)),
            answers: 12_345,
            claims: 7,
            token: Some(Duration::from_mins(90)),
            expires: Duration::from_hours(24),
        };
        let left = Tenant { app: "0a1b".into(), answers: 1, ..Tenant::default() };
        let tenants = [("a".to_owned(), busy), ("b".to_owned(), left)].into();
        let text = info(&Survey { tenants, foreign: 3 });
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
        assert_eq!(info(&Survey::default()), "nothing is kept there\n");
    }
}
