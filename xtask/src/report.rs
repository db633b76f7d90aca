//! What a lane of several steps ran, what failed and what it could not run, told at its end.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

/// What a lane that passed could not run on this machine, a line each.
pub(crate) struct NotRun(Vec<String>);

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
    /// With what a lane that passed could not run here.
    Passed(NotRun),
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
        self.lane(name, || run().map(|()| NotRun(Vec::new())));
    }

    /// Runs another lane as a step. What it could not run is told in this report too.
    pub(crate) fn lane(&mut self, name: impl Into<String>, run: impl FnOnce() -> Outcome<NotRun>) {
        let name = name.into();
        eprintln!("== {}: {name}", self.lane);
        let begun = Instant::now();
        let result = match run() {
            Ok(not_run) => StepResult::Passed(not_run),
            Err(failure) => StepResult::Failed(failure),
        };
        self.steps.push(Step { name, result, took: begun.elapsed() });
    }

    /// Notes a step that could not run here, and why.
    pub(crate) fn not_run(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.steps.push(Step { name: name.into(), result: StepResult::NotRun(reason.into()), took: Duration::ZERO });
    }

    /// Prints one line for each step and tells what could not run; fails if a step failed.
    pub(crate) fn finish(self) -> Outcome<NotRun> {
        let (mut failed, mut gaps) = (0, Vec::new());
        eprintln!("== {}", self.lane);
        for step in &self.steps {
            let seconds = step.took.as_secs();
            match &step.result {
                StepResult::Passed(NotRun(not_run)) => {
                    eprintln!("  passed   {:<28} {seconds} s", step.name);
                    for gap in not_run {
                        eprintln!("  NOT RUN  {gap}");
                        gaps.push(format!("{}: {gap}", step.name));
                    }
                }
                StepResult::NotRun(reason) => {
                    eprintln!("  NOT RUN  {:<28} {reason}", step.name);
                    gaps.push(format!("{}: {reason}", step.name));
                }
                StepResult::Failed(failure) => {
                    failed += 1;
                    eprintln!("  FAILED   {:<28} {failure}", step.name);
                }
            }
        }
        if failed == 0 {
            Ok(NotRun(gaps))
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
        let failure = report.finish().err().expect("one step failed");
        assert_eq!(failure.to_string(), "lane: 1 of 2 steps failed");
    }

    #[test]
    fn what_could_not_run_fails_nothing_and_is_told_up_to_the_top() {
        let mut top = Report::new("top");
        top.lane("lane", || {
            let mut lane = Report::new("lane");
            lane.step("python", || Ok(()));
            lane.not_run("java", "no java here");
            lane.finish()
        });
        let NotRun(gaps) = top.finish().expect("nothing failed");
        assert_eq!(gaps, ["lane: java: no java here"]);
    }
}
