//! What the compiler says about a wrong program: the error is at the program's line, and in the program's words.
//!
//! Each program in `cases/` is given to the compiler, and what it says is compared with the `.txt` beside it. With
//! `BLESS=1` the texts are written anew.

#![expect(
    clippy::indexing_slicing,
    reason = "a message without what it must have is to fail the test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use serde_json::Value as Json;

#[test]
fn errors_are_at_the_programs_line() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("compile_fail/cases");
    let mut programs: Vec<_> = std::fs::read_dir(&cases)
        .expect("the cases are there")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    programs.sort();
    assert!(!programs.is_empty());
    let differing: Vec<_> = programs.iter().filter_map(|program| difference(program)).collect();
    assert!(differing.is_empty(), "{}", differing.join("\n\n"));
}

/// What the compiler says, if it is not what is expected.
fn difference(program: &Path) -> Option<String> {
    let output = compile(program);
    let said = told(program, &String::from_utf8_lossy(&output.stderr));
    let expected = program.with_extension("txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&expected, &said).expect("the text can be written");
    }
    let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
    if output.status.success() {
        return Some(format!("{} compiles", program.display()));
    }
    (said != wanted).then(|| format!("{}\n--- expected\n{wanted}\n--- said\n{said}", program.display()))
}

/// A program of fifty operators is checked in the time of a normal one. The time is printed; it decides nothing.
#[test]
fn fifty_operators_compile() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("compile_fail/fifty_operators.rs");
    let begin = Instant::now();
    let output = compile(&program);
    println!("checked in {:?}", begin.elapsed());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Checks the program against the library that this test was built with.
fn compile(program: &Path) -> Output {
    let libraries = std::env::current_exe().expect("a test knows where it is");
    let libraries = libraries.parent().expect("a file is in a folder");
    let library = newest(libraries, "libkstreams-");
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "--edition=2024",
            "--crate-type=bin",
            "--emit=metadata",
            "--error-format=json",
            "--out-dir",
        ])
        .arg(env!("CARGO_TARGET_TMPDIR"))
        .arg("-L")
        .arg(format!("dependency={}", libraries.display()))
        .arg("--extern")
        .arg(format!("kstreams={}", library.display()))
        .arg(program)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("who builds this has a compiler")
}

/// The library that was built last: others of its name are of other features or older.
fn newest(folder: &Path, prefix: &str) -> PathBuf {
    let built = std::fs::read_dir(folder).expect("the test runs from there").flatten();
    let built = built.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(prefix) && name.ends_with(".rlib")
    });
    let when = |path: &PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    built.max_by_key(when).expect("the test depends on it")
}

/// What the compiler said, without what differs from one place to another.
fn told(program: &Path, said: &str) -> String {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let text = std::fs::read_to_string(program).expect("the program is there");
    let errors = said.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let mut told = String::new();
    for error in errors.filter(|error| error["level"] == "error" && error["spans"] != Json::Array(Vec::new())) {
        let code = error["code"]["code"].as_str().unwrap_or("no code");
        told += &format!("error[{code}]: {}\n", error["message"].as_str().unwrap_or_default());
        for span in error["spans"].as_array().into_iter().flatten() {
            let own = span["file_name"].as_str().is_some_and(|file| file.ends_with(&*name));
            let primary = span["is_primary"] == true;
            if primary && !own {
                told += "  in another file\n";
            }
            if own {
                let line = span["line_start"].as_u64().unwrap_or(1) as usize;
                let source = text.lines().nth(line - 1).unwrap_or_default().trim();
                let label = span["label"].as_str().unwrap_or_default();
                let mark = if primary { "-->" } else { "   " };
                told += format!("  {mark} {source}\n      {label}").trim_end();
                told += "\n";
            }
        }
        for child in error["children"].as_array().into_iter().flatten() {
            // Notes with places point into the library; some others into the file system.
            let note = child["message"].as_str().unwrap_or_default();
            let placed = child["spans"] != Json::Array(Vec::new());
            if child["level"] == "note"
                && !placed
                && !note.contains("full name for the type")
                && !note.contains("--verbose")
            {
                told += &format!("  note: {note}\n");
            }
        }
    }
    let folder = program.parent().unwrap_or(program);
    told.replace(&format!("{}/", folder.display()), "")
}
