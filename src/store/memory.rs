//! What this run knows already, in memory: every answer it was given, by number. Leaves answers of earlier runs to
//! the embedded database that takes its place beside this file.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::mobile::Mobile;
use crate::domain::outcome::Outcome;

/// The answers of one run. A number that failed is known too: its repeats in the same run are not asked again.
#[derive(Debug, Default)]
pub struct Answers(HashMap<Mobile, Arc<Outcome>>);

impl Answers {
    /// The answer to a number, if there is one.
    #[must_use]
    pub fn get(&self, mobile: Mobile) -> Option<&Arc<Outcome>> {
        self.0.get(&mobile)
    }

    /// Keeps an answer.
    pub fn keep(&mut self, mobile: Mobile, outcome: Arc<Outcome>) {
        self.0.insert(mobile, outcome);
    }
}
