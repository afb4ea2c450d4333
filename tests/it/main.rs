//! The integration tests: the real executable against a real HTTP server, the sandbox in this process, whose ledger
//! tells what arrived there.

#![cfg(test)]

mod account;
mod advice;
mod answers;
mod chinese;
mod clients;
mod columns;
mod completion;
mod config;
mod containers;
mod corpus;
mod departure;
mod dialects;
mod diff;
mod encodings;
mod endings;
mod expect;
mod failed;
mod faults;
mod harness;
mod help;
mod languages;
mod leaving;
mod licences;
mod log;
mod manual;
mod network;
mod numbers;
mod pacing;
mod plan;
mod progress;
mod readme;
mod redis;
mod refusals;
mod report;
mod retry;
mod rows;
mod samples;
mod served;
mod shards;
mod shared;
mod signals;
mod simulation;
mod stage;
mod state;
mod terminal;
mod throttling;
mod tidy;
mod tokens;
mod unattended;
mod weather;
mod workbooks;
