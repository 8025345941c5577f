//! The default partitioner against values of the Java client.

use kstreams_wire::partition::{murmur2, partition_for_key};

#[test]
fn keys_go_where_java_sends_them() {
    let cases = [
        ("", 0x106e_08d9, 1, 0),
        ("a", 0xa2d0_b27c, 4, 1),
        ("key", 0xbfa1_76a9, 1, 1),
        ("hello", 0x7f1d_dbbd, 9, 0),
        ("kafka-streams", 0xa3ce_7af5, 3, 2),
        ("21", 0xc5f2_f8ec, 0, 0),
    ];
    for (key, hash, of_ten, of_three) in cases {
        assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        assert_eq!(partition_for_key(key.as_bytes(), 10), of_ten, "{key}");
        assert_eq!(partition_for_key(key.as_bytes(), 3), of_three, "{key}");
    }
    assert_eq!(murmur2(&1i64.to_be_bytes()), 0x7d32_dfac);
    assert_eq!(partition_for_key(&1i64.to_be_bytes(), 10), 0);
}

#[test]
fn without_partitions_there_is_only_the_first() {
    assert_eq!(partition_for_key(b"key", 0), 0);
}
