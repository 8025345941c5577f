//! The list layout: all values put under one key, in order. Java's list serde writes it so for values of any length.

/// The mark of a list whose values each come with their length.
const VARIABLE: u8 = 1;
const HEAD: usize = 5;

/// Adds a value at the end of a list. No bytes are an empty list.
pub fn push(list: &mut Vec<u8>, value: &[u8]) {
    if list.is_empty() {
        list.extend_from_slice(&[VARIABLE, 0, 0, 0, 0]);
    }
    let length = count(list).unwrap_or_default() + 1;
    if let Some(place) = list.get_mut(1..HEAD) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    list.extend_from_slice(&(value.len() as u32).to_be_bytes());
    list.extend_from_slice(value);
}

/// The values of a list, in order; an error where the bytes are none.
pub fn values(list: &[u8]) -> impl Iterator<Item = Result<&[u8], Damaged>> {
    let count = count(list).filter(|_| list.first() == Some(&VARIABLE));
    let mut rest = list.get(HEAD..).unwrap_or_default();
    let mut left = count.unwrap_or(1);
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let value = count.and_then(|_| {
            let (length, behind) = rest.split_first_chunk()?;
            let (value, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            rest = behind;
            Some(value)
        });
        if value.is_none() {
            left = 0;
        }
        Some(value.ok_or(Damaged))
    })
}

/// Bytes that are no list of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes are no list of values")]
pub struct Damaged;

fn count(list: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*list.get(1..)?.first_chunk()?))
}
