//! Runs the oracle's cases on kstreams: a case a line on standard input, a result a line on standard output.

use std::io::{self, BufRead, Write};

mod case;
mod dump;
mod function;
mod notes;
mod processor;
mod program;
mod run;
mod value;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        if !line.trim().is_empty() {
            writeln!(out, "{}", run::run(&line))?;
            out.flush()?;
        }
    }
    Ok(())
}
