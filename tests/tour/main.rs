//! The examples print what their documentation says that they print.

use kstreams_tests::program;

/// With `BLESS=1` the documentation is written anew.
#[track_caller]
fn check(example: &str) {
    let output = program::example(example).output().expect("the example starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8_lossy(&output.stdout);
    let path = kstreams_tests::root().join(format!("examples/{example}.rs"));
    let source = std::fs::read_to_string(&path).expect("the example has a source");
    let (before, rest) = source.split_once("//! ```text\n").expect("it says what it prints");
    let (said, after) = rest.split_once("//! ```\n").expect("it says where that ends");
    let said: String = said
        .lines()
        .map(|line| format!("{}\n", line.trim_start_matches("//!")))
        .collect();
    let shown: String = printed.lines().map(|line| format!(" {line}\n")).collect();
    if std::env::var_os("BLESS").is_some() {
        let shown: String = shown.lines().map(|line| format!("//!{line}\n")).collect();
        let blessed = format!("{before}//! ```text\n{shown}//! ```\n{after}");
        std::fs::write(&path, blessed).expect("the source can be written");
        return;
    }
    assert_eq!(said, shown, "{example}");
}

#[test]
fn page_views() {
    check("page_views");
}

#[test]
fn orders_paid() {
    check("orders_paid");
}

#[test]
fn session_clicks() {
    check("session_clicks");
}

#[test]
fn global_lookup() {
    check("global_lookup");
}

#[test]
fn processor_api() {
    check("processor_api");
}

#[test]
fn json_orders() {
    check("json_orders");
}

#[test]
fn dead_letters() {
    check("dead_letters");
}

#[test]
fn late_data() {
    check("late_data");
}

#[test]
fn avro_orders() {
    check("avro_orders");
}

#[test]
fn test_your_topology() {
    check("test_your_topology");
}

#[test]
fn foreign_key_join() {
    check("foreign_key_join");
}
