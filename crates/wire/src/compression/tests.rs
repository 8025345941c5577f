//! Round trips of every codec, and bounds.

use super::*;

const ALL: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

fn compressed(compression: Compression, plain: &[u8]) -> Bytes {
    let mut output = Vec::new();
    let mut compressor = Compressor::new(Codec::new(compression));
    compressor.compress(plain, &mut output).expect("memory takes all");
    output.into()
}

#[test]
fn what_was_compressed_comes_back() {
    for length in [0, 1, 1000, 32 * 1024, 100_000] {
        let plain: Vec<u8> = (0..length).map(|index: u32| (index / 7 % 251) as u8).collect();
        for codec in ALL {
            let output = decompress(codec, compressed(codec, &plain), 100_000).expect("within the limit");
            assert_eq!(output, plain, "{codec}");
        }
    }
}

#[test]
fn more_than_the_limit_is_refused() {
    let plain = vec![7; 100_000];
    for codec in ALL.into_iter().skip(1) {
        let error = decompress(codec, compressed(codec, &plain), 99_999).expect_err("one byte too many");
        assert!(
            matches!(error, Error::TooLarge { limit: 99_999, .. }),
            "{codec}: {error}"
        );
    }
}

#[test]
fn a_plain_snappy_block_is_read() {
    let block = snap::raw::Encoder::new()
        .compress_vec(b"hello hello hello")
        .expect("memory takes all");
    let output = decompress(Compression::Snappy, block.into(), 100).expect("a plain block");
    assert_eq!(output, "hello hello hello");
}

#[test]
fn a_level_outside_the_codecs_scale_is_refused() {
    assert!(Codec::with_level(Compression::Gzip, 9).is_ok());
    assert!(Codec::with_level(Compression::Gzip, 10).is_err());
    assert!(Codec::with_level(Compression::Zstd, 22).is_ok());
    let error = Codec::with_level(Compression::Lz4, 9).expect_err("lz4 has one level");
    assert_eq!(
        error.to_string(),
        "compression level 9 is not allowed for lz4, allowed are 0 to 0"
    );
}

#[test]
fn codecs_have_kafkas_names_and_numbers() {
    for (code, codec) in (0..).zip(ALL) {
        assert_eq!(Compression::from_code(code).expect("known"), codec);
        assert_eq!(codec.name().parse(), Ok(codec));
    }
    assert!(Compression::from_code(5).is_err());
    assert_eq!("brotli".parse::<Compression>(), Err(UnknownName));
}
