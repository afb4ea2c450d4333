//! Answers that outlive their run: resume, damage, kills, state commands.

mod clock;
mod commands;
mod damage;
mod edited_outputs;
mod kills;
mod output_errors;
mod resume;
mod state_path;
