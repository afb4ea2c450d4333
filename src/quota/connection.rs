//! The connection to the shared server: made when it is needed, given up at the first trouble, since whatever is late on it
//! is no use. Owns how long anything may take, and what a failure is called. Leaves what is said on it to the others here.

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

/// A word of the server that comes later than this is not waited for: by then a run rests anyway ([`CONFIRMED`]).
///
/// [`CONFIRMED`]: crate::quota::server_clock::CONFIRMED
const REPLY_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that takes longer is not waited for either; it takes some round trips more than a reply.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the shared server is and how to be let in; makes one connection at a time.
pub struct Connection {
    client: Client,
    live: Mutex<Option<LiveConnection>>,
}

/// A connection, and to which server it is: a server that was started anew is another one.
#[derive(Clone)]
struct LiveConnection {
    connection: MultiplexedConnection,
    server_run_id: String,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link(..)")
    }
}

/// Why there is no word of the shared server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unavailable {
    /// What happened, without an address and without a password.
    pub message: String,
    /// Of what kind that is.
    pub cause: Cause,
}

/// What a silence comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It may be over any moment.
    Transient,
    /// The server does not let this user in, or do what is asked.
    Denied,
    /// It is no server with which this can be done.
    Unsupported,
    /// It lacks a script, which can be sent once more.
    ScriptMissing,
}

impl Unavailable {
    fn from_error(error: &RedisError) -> Self {
        // A name that cannot be looked up, a certificate that is not accepted: what the system says is best.
        // Of several commands the first that failed is told.
        let refusal = error
            .clone()
            .into_server_errors()
            .and_then(|all| all.first().map(|(_, one)| one.clone()));
        let detail = refusal.as_ref().map_or(error.detail(), ServerError::details);
        let said = || detail.map_or_else(|| error.to_string(), str::to_owned);
        let (what, kind) = match error.kind() {
            _ if error.is_timeout() => return Self::timed_out(),
            _ if error.is_connection_refusal() => (tr!("connection refused"), Cause::Transient),
            ErrorKind::AuthenticationFailed => return Self::denied(),
            ErrorKind::Server(ServerErrorKind::NoScript) => (said(), Cause::ScriptMissing),
            ErrorKind::Server(ServerErrorKind::NoPerm) => {
                (tr!("its user may not do that: {cause}", cause = said()), Cause::Denied)
            }
            ErrorKind::Server(
                ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot,
            ) => (
                tr!("it is a node of a cluster, and another one has the data; name that one"),
                Cause::Unsupported,
            ),
            ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                (tr!("it is a replica and takes no data"), Cause::Transient)
            }
            ErrorKind::Server(ServerErrorKind::BusyLoading) => {
                (tr!("it is reading its data"), Cause::Transient)
            }
            ErrorKind::Parse => {
                (tr!("what answers there is no Redis or Valkey server"), Cause::Unsupported)
            }
            _ => match refusal.as_ref().map(ServerError::code) {
                Some("NOAUTH" | "WRONGPASS") => return Self::denied(),
                Some("WRONGTYPE") => {
                    (tr!("a key of dingmap has a value of another program"), Cause::Unsupported)
                }
                Some("OOM") => (tr!("it is out of memory"), Cause::Transient),
                _ if said().contains("certificate") => (
                    tr!(
                        "its certificate is not trusted ({cause}); --shared-ca-file names whom to trust",
                        cause = said()
                    ),
                    Cause::Unsupported,
                ),
                _ if said().contains("DB index") => {
                    (tr!("it has no database of that number"), Cause::Unsupported)
                }
                _ => (said(), Cause::Transient),
            },
        };
        Self { message: what, cause: kind }
    }

    fn timed_out() -> Self {
        Self { message: tr!("no answer in time"), cause: Cause::Transient }
    }

    fn denied() -> Self {
        Self { message: tr!("it does not accept the user or the password"), cause: Cause::Denied }
    }
}

impl Connection {
    /// A link that is not connected yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        // For connections that are encrypted. Fails only when a provider was installed before, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { client, live: Mutex::default() }
    }

    /// Which server it is, as the server itself calls its life since it was started; connects where that is needed.
    ///
    /// # Errors
    /// [`Silence`].
    pub async fn server_run_id(&self) -> Result<String, Unavailable> {
        Ok(self.get_or_connect().await?.server_run_id)
    }

    /// Sends commands and waits for their replies, all at once. After a failure the next use connects anew.
    ///
    /// # Errors
    /// [`Silence`], also where the replies are not of the expected kind.
    pub async fn query<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Unavailable> {
        let mut connection = self.get_or_connect().await?.connection;
        let told = timeout(REPLY_TIMEOUT, commands.query_async(&mut connection)).await;
        let failed = match told {
            Ok(Ok(told)) => return Ok(told),
            Ok(Err(error)) => Unavailable::from_error(&error),
            Err(_) => Unavailable::timed_out(),
        };
        if failed.cause != Cause::ScriptMissing {
            self.live.lock().await.take();
        }
        Err(failed)
    }

    async fn get_or_connect(&self) -> Result<LiveConnection, Unavailable> {
        let mut connected = self.live.lock().await;
        if let Some(connected) = &*connected {
            return Ok(connected.clone());
        }
        let new = timeout(CONNECT_TIMEOUT, self.connect())
            .await
            .unwrap_or_else(|_| Err(Unavailable::timed_out()))?;
        *connected = Some(new.clone());
        Ok(new)
    }

    async fn connect(&self) -> Result<LiveConnection, Unavailable> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(REPLY_TIMEOUT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connection.map_err(|error| Unavailable::from_error(&error))?;
        let said: String = redis::cmd("INFO")
            .arg("server")
            .query_async(&mut connection)
            .await
            .map_err(|error| Unavailable::from_error(&error))?;
        let server = said.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or_default();
        Ok(LiveConnection { connection, server_run_id: server.trim().to_owned() })
    }
}
