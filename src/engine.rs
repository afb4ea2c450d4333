//! The run: reads rows, makes calls, and writes the rows in input order. Only this module starts
//! tasks and creates queues.

pub(crate) mod backoff;
pub(crate) mod candidates;
pub(crate) mod dispatcher;
pub(crate) mod end;
pub(crate) mod event;
pub(crate) mod fail_fast;
pub(crate) mod in_flight;
pub(crate) mod io;
pub(crate) mod limits;
pub(crate) mod lookup;
pub(crate) mod recent_answers;
pub(crate) mod reorder;
pub(crate) mod retry_queue;
pub(crate) mod run;
pub(crate) mod single_flight;
pub(crate) mod suspect_connections;
pub(crate) mod throttle;
pub(crate) mod token_state;
