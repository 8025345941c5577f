//! A program of fifty operators, for the time that it takes to check one.

use kstreams::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let stream = builder
        .stream::<String, i64>("in")
        .filter(|_, v| *v > 0)
        .map_values(|_, v| v + 1)
        .peek(|_, _| ())
        .filter_not(|_, v| *v == 3)
        .select_key(|k, v| format!("{k}{v}"))
        .flat_map_values(|_, v| vec![v, v + 5])
        .map(|k, v| (k, v + 6))
        .flat_map(|k, v| [(k, v)])
        .filter(|_, v| *v > 8)
        .map_values(|_, v| v + 9)
        .peek(|_, _| ())
        .filter_not(|_, v| *v == 11)
        .select_key(|k, v| format!("{k}{v}"))
        .flat_map_values(|_, v| vec![v, v + 13])
        .map(|k, v| (k, v + 14))
        .flat_map(|k, v| [(k, v)])
        .filter(|_, v| *v > 16)
        .map_values(|_, v| v + 17)
        .peek(|_, _| ())
        .filter_not(|_, v| *v == 19)
        .select_key(|k, v| format!("{k}{v}"))
        .flat_map_values(|_, v| vec![v, v + 21])
        .map(|k, v| (k, v + 22))
        .flat_map(|k, v| [(k, v)])
        .filter(|_, v| *v > 24)
        .map_values(|_, v| v + 25)
        .peek(|_, _| ())
        .filter_not(|_, v| *v == 27)
        .select_key(|k, v| format!("{k}{v}"))
        .flat_map_values(|_, v| vec![v, v + 29])
        .map(|k, v| (k, v + 30))
        .flat_map(|k, v| [(k, v)])
        .filter(|_, v| *v > 32)
        .map_values(|_, v| v + 33)
        .peek(|_, _| ())
        .filter_not(|_, v| *v == 35)
        .select_key(|k, v| format!("{k}{v}"))
        .flat_map_values(|_, v| vec![v, v + 37])
        .map(|k, v| (k, v + 38))
        .flat_map(|k, v| [(k, v)]);
    let counts = stream.group_by_key().count();
    let sums = stream.group_by(|key, _| key.clone()).reduce(|a, b| a + b);
    let most = stream.group_by_key().aggregate(|| 0, |_, value, most: i64| value.max(most));
    stream.join_table(&counts, |_, value, count| value + count).to("counted");
    stream.left_join_table(&sums, |_, value, sum| value + sum.unwrap_or(0)).to("summed");
    most.filter(|_, most| *most > 0).map_values(|_, most| most * 2).to_stream().to("most");
    assert!(builder.build().is_ok());
}
