//! `dingmap sandbox`: serves the emulated API until it is told to stop, and says how to use it.

use std::io::Write;

use tr::tr;

use crate::app::cli::args::SandboxArgs;
use crate::app::exit::{Exit, Failure};
use crate::app::progress::terminal::Terminal;
use crate::app::signals::Signals;
use crate::app::stdout::with_stdout;
use crate::sandbox::script::Script;
use crate::sandbox::server::Server;

/// Runs the command.
///
/// # Errors
/// Where the port cannot be had.
pub(crate) fn serve(args: &SandboxArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Error, error))?;
    let script = Script {
        limit: Some(args.limit).filter(|limit| *limit > 0),
        latency: args.latency..=args.latency,
        token_lifetime: args.token_lifetime,
        ..Script::default()
    };
    runtime.block_on(async {
        let server = Server::start(script.clone(), args.port).await.map_err(|error| {
            Failure::with_message(
                Exit::Error,
                tr!(
                    "port {port} on 127.0.0.1: {cause}; choose another with --port, or 0 for any",
                    port = args.port,
                    cause = error
                ),
            )
        })?;
        // Heard from before the first word, after which a script may send one.
        let mut signals =
            Signals::new().map_err(|error| Failure::from_error(Exit::Error, error))?;
        with_stdout(|output| output.write_all(usage_text(&server.endpoint(), &script).as_bytes()))?;
        signals.recv().await;
        let ledger = server.call_log();
        terminal.print(&tr!(
            "{lookups} lookups and {tokens} token calls were served",
            lookups = ledger.calls().len(),
            tokens = ledger.token_calls().len()
        ));
        Ok(Exit::Success)
    })
}

fn usage_text(endpoint: &str, script: &Script) -> String {
    let limit =
        script.limit.map_or_else(|| tr!("no limit"), |limit| tr!("{limit} in any second", limit));
    let (key, secret, token) = (&script.app_key, &script.app_secret, &script.static_token);
    format!(
        "{serves}\n\
         \n\
         {resolve}\n\
         \x20 DINGTALK_APP_KEY={key} DINGTALK_APP_SECRET={secret} dingmap resolve INPUT.csv --endpoint {endpoint}\n\
         {ask}\n\
         \x20 curl -d mobile=13800138000 '{endpoint}/topapi/v2/user/getbymobile?access_token={token}'\n",
        serves = tr!(
            "The emulated API serves at {endpoint} until Ctrl-C; calls: {limit}.",
            endpoint,
            limit
        ),
        resolve = tr!("Resolve against it:"),
        ask = tr!("Ask it by hand:"),
    )
}
