//! Floor 3, the run: the only place where tasks and queues are made.

pub mod backoff;
pub mod candidates;
pub mod dispatcher;
pub mod dispatcher_start;
pub mod end;
pub mod event;
pub mod fail_fast;
pub mod flush_timer;
pub mod in_flight;
pub mod io;
pub mod limits;
pub mod lookup;
pub mod reorder;
pub mod retry_queue;
pub mod run;
pub mod single_flight;
pub mod throttle;
pub mod token_state;
