//! Bytes that nobody should have to read.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Any bytes, and bytes that were right before something happened to them.
pub(crate) fn bytes(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let samples = match samples.is_empty() {
        true => vec![Vec::new()],
        false => samples,
    };
    prop_oneof![
        1 => vec(any::<u8>(), 0..80),
        1 => vec(select(&[0_u8, 1, 2, 0x7f, 0x80, 0xff]), 0..40),
        2 => (select(samples), vec(damage(), 0..4)).prop_map(|(sample, damages)| {
            damages.into_iter().fold(sample, |bytes, damage| damage.apply(bytes))
        }),
    ]
}

/// What may happen to bytes.
#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Append(Vec<u8>),
    Set(Index, u8),
    /// Four bytes become a count.
    Count(Index, i32),
}

fn damage() -> impl Strategy<Value = Damage> {
    let counts = select(&[i32::MIN, -2, -1, 0, 1, 0x10000, i32::MAX]);
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        vec(any::<u8>(), 1..8).prop_map(Damage::Append),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), counts).prop_map(|(at, count)| Damage::Count(at, count)),
    ]
}

impl Damage {
    fn apply(self, mut bytes: Vec<u8>) -> Vec<u8> {
        let length = bytes.len();
        match self {
            Self::Cut(at) => bytes.truncate(at.index(length + 1)),
            Self::Append(more) => bytes.extend(more),
            Self::Set(at, byte) if length > 0 => {
                bytes.get_mut(at.index(length)).into_iter().for_each(|set| *set = byte);
            }
            Self::Count(at, count) if length >= 4 => {
                let at = at.index(length - 3);
                let place = bytes.get_mut(at..at + 4).into_iter();
                place.for_each(|place| place.copy_from_slice(&count.to_be_bytes()));
            }
            Self::Set(..) | Self::Count(..) => {}
        }
        bytes
    }
}
