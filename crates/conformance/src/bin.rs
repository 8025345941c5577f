//! The command line: `run` turns cases into results, `check` compares them with the oracle's.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::ExitCode;

use kstreams_conformance::{Engine, check, read_lines, run};

const USAGE: &str = "usage: kstreams-conformance [--engine memory|fjall|rocksdb] run < CASES > RESULTS
       kstreams-conformance [--engine memory|fjall|rocksdb] check CASES EXPECTED
Without --engine, run keeps persistent stores in memory, and check tries every engine that is compiled in.";

fn main() -> io::Result<ExitCode> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut engine = None;
    if let Some(at) = arguments.iter().position(|argument| argument == "--engine") {
        let named = arguments.drain(at..arguments.len().min(at + 2)).nth(1);
        engine = named.and_then(|name| Engine::named(&name));
        if engine.is_none() {
            return usage();
        }
    }
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run"] => answer(engine.unwrap_or(Engine::Memory)),
        ["check", cases, expected] => {
            let engines = engine.map_or_else(Engine::all, |engine| vec![engine]);
            let (cases, expected) = (read_lines(Path::new(cases))?, read_lines(Path::new(expected))?);
            let mut good = true;
            for engine in engines {
                let tally = check(&cases, &expected, engine);
                for failure in &tally.failures {
                    println!("FAIL {failure}");
                }
                println!("{engine}: {tally}");
                good &= tally.is_clean();
            }
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => usage(),
    }
}

fn usage() -> io::Result<ExitCode> {
    eprintln!("{USAGE}");
    Ok(ExitCode::from(2))
}

/// A result for each line, at once: a caller may wait for it before it sends the next.
fn answer(engine: Engine) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        if !line.trim().is_empty() {
            writeln!(out, "{}", run(&line, engine))?;
            out.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
