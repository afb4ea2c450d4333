//! The connection to the shared server. It is made when needed and dropped after any failure, since
//! a late reply is of no use.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, Pipeline, RedisError, ServerError,
    ServerErrorKind,
};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tr::tr;

/// A later reply is of no use: by then the run has paused, since the last reply is valid for as
/// long ([`REPLY_VALID_FOR`](crate::quota::server_clock::REPLY_VALID_FOR)).
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);
/// Longer than [`REPLY_TIMEOUT`], since connecting takes several round trips.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A client of the shared server with at most one connection.
pub struct Connection {
    client: Client,
    live: Mutex<Option<LiveConnection>>,
}

/// A connection and the `run_id` of its server, which changes when the server is restarted.
#[derive(Clone)]
struct LiveConnection {
    connection: MultiplexedConnection,
    server_run_id: String,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection(..)")
    }
}

/// Why the shared server did not reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unavailable {
    /// For people, without address and password.
    pub message: String,
    pub cause: Cause,
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The next attempt may succeed.
    Transient,
    /// Wrong user or password, or missing permission.
    Denied,
    /// The server cannot be used for this.
    Unsupported,
    /// The script must be sent again.
    ScriptMissing,
}

impl Unavailable {
    fn from_error(error: &RedisError) -> Self {
        // Of a pipeline, the first command that failed.
        let server_error = error
            .clone()
            .into_server_errors()
            .and_then(|errors| errors.first().map(|(_, error)| error.clone()));
        let detail = server_error.as_ref().map_or(error.detail(), ServerError::details);
        // The system's or server's own text is the best one for most failures (DNS, TLS).
        let detail = || detail.map_or_else(|| error.to_string(), str::to_owned);
        let (message, cause) = match error.kind() {
            _ if error.is_timeout() => return Self::timed_out(),
            _ if error.is_connection_refusal() => (tr!("connection refused"), Cause::Transient),
            ErrorKind::AuthenticationFailed => return Self::denied(),
            ErrorKind::Server(ServerErrorKind::NoScript) => (detail(), Cause::ScriptMissing),
            ErrorKind::Server(ServerErrorKind::NoPerm) => {
                (tr!("permission denied (ACL): {cause}", cause = detail()), Cause::Denied)
            }
            ErrorKind::Server(
                ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot,
            ) => (
                tr!("another node of this cluster has the data; use the address of that node"),
                Cause::Unsupported,
            ),
            ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                (tr!("server is a read-only replica"), Cause::Transient)
            }
            ErrorKind::Server(ServerErrorKind::BusyLoading) => {
                (tr!("server is loading its dataset"), Cause::Transient)
            }
            ErrorKind::Parse => (tr!("not a Redis or Valkey server"), Cause::Unsupported),
            _ => match server_error.as_ref().map(ServerError::code) {
                Some("NOAUTH" | "WRONGPASS") => return Self::denied(),
                Some("WRONGTYPE") => {
                    (tr!("a key of dingmap has a value of another program"), Cause::Unsupported)
                }
                Some("OOM") => (tr!("server is out of memory"), Cause::Transient),
                _ if detail().contains("certificate") => (
                    tr!(
                        "TLS certificate not trusted ({cause}); use --shared-ca-file for a \
                         private CA",
                        cause = detail()
                    ),
                    Cause::Unsupported,
                ),
                _ if detail().contains("DB index") => {
                    (tr!("no database with this number"), Cause::Unsupported)
                }
                _ => (detail(), Cause::Transient),
            },
        };
        Self { message, cause }
    }

    fn timed_out() -> Self {
        Self { message: tr!("timed out"), cause: Cause::Transient }
    }

    fn denied() -> Self {
        Self { message: tr!("authentication failed"), cause: Cause::Denied }
    }
}

impl Connection {
    /// Does not connect yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        // Needed for TLS. Fails only if a provider was installed before, which is just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { client, live: Mutex::default() }
    }

    /// The `run_id` of the server, which changes when it is restarted. Connects if needed.
    pub async fn server_run_id(&self) -> Result<String, Unavailable> {
        Ok(self.get_or_connect().await?.server_run_id)
    }

    /// Sends a pipeline and waits for all replies. After a failure, the next use reconnects.
    pub async fn query<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Unavailable> {
        let mut connection = self.get_or_connect().await?.connection;
        let reply = timeout(REPLY_TIMEOUT, commands.query_async(&mut connection)).await;
        let error = match reply {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(error)) => Unavailable::from_error(&error),
            Err(_) => Unavailable::timed_out(),
        };
        if error.cause != Cause::ScriptMissing {
            self.live.lock().await.take();
        }
        Err(error)
    }

    async fn get_or_connect(&self) -> Result<LiveConnection, Unavailable> {
        let mut live = self.live.lock().await;
        if let Some(live) = &*live {
            return Ok(live.clone());
        }
        let new = timeout(CONNECT_TIMEOUT, self.connect())
            .await
            .unwrap_or_else(|_| Err(Unavailable::timed_out()))?;
        *live = Some(new.clone());
        Ok(new)
    }

    async fn connect(&self) -> Result<LiveConnection, Unavailable> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(REPLY_TIMEOUT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connection.map_err(|error| Unavailable::from_error(&error))?;
        let info: String = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut connection)
            .await
            .map_err(|error| Unavailable::from_error(&error))?;
        // A server without a run id cannot be distinguished from its successor. Its state is then
        // recognized as lost by the missing keys alone.
        let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or("");
        Ok(LiveConnection { connection, server_run_id: run_id.trim().to_owned() })
    }
}
