//! Runs that share one quota over a server, black-box: several real processes, one API whose ledger tells what arrived there
//! from all of them together, and a Redis server to which everything may happen.
