//! The hash by which a row is recognised again: MurmurHash3 for 64-bit machines, 128 bits wide, as Java seeds it.

const SEED: u64 = 104_729;
const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// A row's hash: two 64-bit numbers, most significant byte first.
pub(super) type RowHash = [u8; 16];

/// The hash of a row's bytes.
pub(super) fn row_hash(bytes: &[u8]) -> RowHash {
    let (mut h1, mut h2) = (SEED, SEED);
    let (blocks, tail) = bytes.as_chunks::<16>();
    for block in blocks {
        let (k1, k2) = words(block);
        h1 = (h1 ^ mixed_first(k1)).rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 = (h2 ^ mixed_second(k2)).rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    // Bytes that are not there count as zeros, which change nothing.
    let mut last = [0; 16];
    last.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
    let (k1, k2) = words(&last);
    h1 ^= mixed_first(k1) ^ bytes.len() as u64;
    h2 ^= mixed_second(k2) ^ bytes.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2) = (finished(h1), finished(h2));
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (u128::from(h1) << 64 | u128::from(h2)).to_be_bytes()
}

fn words(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    (both as u64, (both >> 64) as u64)
}

fn mixed_first(k: u64) -> u64 {
    k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mixed_second(k: u64) -> u64 {
    k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finished(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: u128) {
        assert_eq!(row_hash(bytes), expected.to_be_bytes(), "{bytes:?}");
    }

    #[test]
    fn hashes_are_javas() {
        check(b"", 0x9d27_64a0_18e3_2942_8c3c_f3b0_3593_8518);
        check(b"a", 0x3361_634e_7e0f_5188_e9c7_dda2_4eae_326b);
        check(b"hello", 0x30bf_b4f3_9919_e764_566a_ea85_7401_d1c6);
        check(b"12345678", 0xddec_8f90_2607_4d66_5e35_523e_4a34_fe8c);
        check(b"123456789", 0x5a3e_531c_14a5_f700_faf8_cf22_625f_37e7);
        check(b"123456789012345", 0xae03_7d2b_0896_0000_351a_1e49_bc66_71f5);
        check(b"1234567890123456", 0x7eeb_d4b7_e442_4c98_3d2f_ca56_3571_8acd);
        check(b"12345678901234567", 0xe5ed_af72_8666_05bd_b41f_03a4_e6ca_8a4a);
        let fox = b"The quick brown fox jumps over the lazy dog";
        check(fox, 0xe74c_5921_af0f_99c8_b7f8_5ec8_1df0_6726);
        let high = b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5\xf4\xf3\xf2\xf1\xf0\xff\x80";
        check(high, 0x81cb_bc3a_9e55_356a_1ba9_6aed_5ff0_574f);
    }
}
