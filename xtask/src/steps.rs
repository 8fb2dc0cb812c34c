//! Named steps: one line each, output only on failure, a summary at the end.

use crate::clock::Stopwatch;
use std::io::Write;
use std::process::ExitCode;

/// The steps of one task, run one after the other. A failure does not stop the rest: one run shows all.
pub struct Steps {
    watch: Stopwatch,
    run: usize,
    failed: Vec<&'static str>,
}

impl Steps {
    pub fn new() -> Self {
        Self { watch: Stopwatch::start(), run: 0, failed: Vec::new() }
    }

    /// Runs `step`: `Ok` holds a remark for its line (or nothing), `Err` the output to show.
    pub fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<String, String>) {
        let watch = Stopwatch::start();
        print!("{name:<10}");
        // The name should be seen while the step runs; a terminal that is gone is no reason to stop.
        let _ = std::io::stdout().flush();
        let result = step();
        let seconds = watch.seconds();
        self.run += 1;
        match result {
            Ok(remark) => println!("ok     {seconds:6.1} s  {remark}"),
            Err(output) => {
                println!("FAILED {seconds:6.1} s\n{}\n", output.trim_end());
                self.failed.push(name);
            }
        }
    }

    pub fn finish(self) -> ExitCode {
        let Self { watch, run, failed } = self;
        let seconds = watch.seconds();
        if failed.is_empty() {
            println!("{run} steps, all ok, {seconds:.1} s");
            return ExitCode::SUCCESS;
        }
        println!("{run} steps, {} failed ({}), {seconds:.1} s", failed.len(), failed.join(", "));
        ExitCode::FAILURE
    }
}
