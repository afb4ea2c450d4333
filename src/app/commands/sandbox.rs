//! `dingmap sandbox`: serves the emulated API until a signal stops it, and prints how to use it.

use std::io::{self, Write};

use tempfile::NamedTempFile;
use tr::tr;

use crate::app::cli::args::{IdChoice, SandboxArgs};
use crate::app::exit::{Exit, Failure};
use crate::app::progress::terminal::Terminal;
use crate::app::signals::Signals;
use crate::app::stdout::with_stdout;
use crate::sandbox::directory::IdForm;
use crate::sandbox::script::Script;
use crate::sandbox::server::Server;

/// Runs the command.
///
/// # Errors
/// Error (1) if the port is not available or the certificate cannot be written.
pub(crate) fn serve(args: &SandboxArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Error, error))?;
    let script = Script {
        limit: Some(args.limit).filter(|limit| *limit > 0),
        latency: args.latency..=args.latency,
        token_lifetime: args.token_lifetime,
        id_form: match args.ids {
            IdChoice::Short => IdForm::Short,
            IdChoice::Numeric => IdForm::Numeric,
        },
        ..Script::default()
    };
    runtime.block_on(async {
        let server = if args.tls {
            Server::start_tls(script.clone(), args.port).await
        } else {
            Server::start(script.clone(), args.port).await
        };
        let server = server.map_err(|error| {
            Failure::with_message(
                Exit::Error,
                tr!(
                    "port {port} on 127.0.0.1: {cause}; choose another with --port, or 0 for any",
                    port = args.port,
                    cause = error
                ),
            )
        })?;
        // Registered before the first output: a script may send a signal once it has read that.
        let mut signals =
            Signals::new().map_err(|error| Failure::from_error(Exit::Error, error))?;
        // Removed at the end of this block.
        let ca_file = server.ca_certificate().map(write_ca_file).transpose()?;
        let usage = usage_text(&server.endpoint(), ca_file.as_ref(), &script);
        with_stdout(|output| output.write_all(usage.as_bytes()))?;
        signals.recv().await;
        let call_log = server.call_log();
        terminal.print(&tr!(
            "{lookups} lookups and {tokens} token calls were served",
            lookups = call_log.calls().len(),
            tokens = call_log.token_calls().len()
        ));
        Ok(Exit::Success)
    })
}

/// A file in the directory for temporary files, with mode 0600.
fn write_ca_file(pem: &str) -> Result<NamedTempFile, Failure> {
    let write = || -> io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        let mut file = builder.prefix("dingmap-sandbox-ca-").suffix(".pem").tempfile()?;
        file.write_all(pem.as_bytes())?;
        file.flush()?;
        Ok(file)
    };
    write().map_err(|error| {
        let directory = std::env::temp_dir();
        let text = tr!(
            "cannot write the CA certificate to {path}: {cause}",
            path = directory.display(),
            cause = error
        );
        Failure::with_message(Exit::Error, text)
    })
}

fn usage_text(endpoint: &str, ca_file: Option<&NamedTempFile>, script: &Script) -> String {
    let limit = script.limit.map_or_else(|| tr!("none"), |limit| format!("{limit}/s"));
    let serving = match ca_file {
        None => tr!(
            "Serving the emulated API at {endpoint} (rate limit: {limit}). Press Ctrl-C to stop.",
            endpoint,
            limit
        ),
        Some(file) => tr!(
            "Serving the emulated API at {endpoint} (rate limit: {limit}; CA certificate: {path}). \
             Press Ctrl-C to stop.",
            endpoint,
            limit,
            path = file.path().display()
        ),
    };
    let option = |flag: &str| {
        ca_file.map_or_else(String::new, |file| format!(" {flag} {}", file.path().display()))
    };
    let (key, secret, token) = (&script.app_key, &script.app_secret, &script.static_token);
    format!(
        "{serving}\n\
         \n\
         {resolve}\n\
         \x20 DINGTALK_APP_KEY={key} DINGTALK_APP_SECRET={secret} \
         dingmap resolve INPUT.csv --endpoint {endpoint}{ca_file}\n\
         {by_hand}\n\
         \x20 curl{cacert} -d mobile=13800138000 \
         '{endpoint}/topapi/v2/user/getbymobile?access_token={token}'\n",
        resolve = tr!("Resolve a file against it:"),
        by_hand = tr!("Call it by hand:"),
        ca_file = option("--ca-file"),
        cacert = option("--cacert"),
    )
}
