//! What a lane of several steps ran, what failed and what it could not run, told at its end.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

/// The steps of a lane so far.
pub(crate) struct Report {
    lane: &'static str,
    steps: Vec<Step>,
}

struct Step {
    name: String,
    result: StepResult,
    took: Duration,
}

enum StepResult {
    Passed,
    Failed(Failure),
    NotRun(String),
}

impl Report {
    /// A report with no steps yet.
    pub(crate) fn new(lane: &'static str) -> Self {
        Self { lane, steps: Vec::new() }
    }

    /// Runs a step; a failure is kept and the lane goes on, so that one run shows everything that is wrong.
    pub(crate) fn step(&mut self, name: impl Into<String>, run: impl FnOnce() -> Outcome) {
        let name = name.into();
        eprintln!("== {}: {name}", self.lane);
        let begun = Instant::now();
        let result = match run() {
            Ok(()) => StepResult::Passed,
            Err(failure) => StepResult::Failed(failure),
        };
        self.steps.push(Step { name, result, took: begun.elapsed() });
    }

    /// Notes a step that could not run here, and why.
    pub(crate) fn not_run(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.steps.push(Step { name: name.into(), result: StepResult::NotRun(reason.into()), took: Duration::ZERO });
    }

    /// Prints one line for each step; fails if a step failed.
    pub(crate) fn finish(self) -> Outcome {
        let mut failed = 0;
        eprintln!("== {}", self.lane);
        for step in &self.steps {
            let seconds = step.took.as_secs();
            match &step.result {
                StepResult::Passed => eprintln!("  passed   {:<28} {seconds} s", step.name),
                StepResult::NotRun(reason) => eprintln!("  NOT RUN  {:<28} {reason}", step.name),
                StepResult::Failed(failure) => {
                    failed += 1;
                    eprintln!("  FAILED   {:<28} {failure}", step.name);
                }
            }
        }
        if failed == 0 {
            Ok(())
        } else {
            Err(Failure::new(format!("{}: {failed} of {} steps failed", self.lane, self.steps.len())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_does_not_hide_the_next_and_fails_the_lane() {
        let mut report = Report::new("lane");
        let mut ran = Vec::new();
        report.step("first", || Err(Failure::new("broken")));
        report.step("second", || {
            ran.push("second");
            Ok(())
        });
        assert_eq!(ran, ["second"]);
        let failure = report.finish().expect_err("one step failed");
        assert_eq!(failure.to_string(), "lane: 1 of 2 steps failed");
    }

    #[test]
    fn a_step_that_could_not_run_does_not_fail_the_lane() {
        let mut report = Report::new("lane");
        report.not_run("java", "no java here");
        assert!(report.finish().is_ok());
    }
}
