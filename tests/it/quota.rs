//! Several runs that share one quota through a Redis server.

mod answer_cache;
mod outages;
mod patience;
mod pauses;
mod privacy;
mod rate;
mod script_slots;
mod server_url;
mod state_command;
