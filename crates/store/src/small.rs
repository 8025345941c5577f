//! Owned bytes that need no allocation while they are few, as most keys and counts are.

use std::ops::Deref;

/// As many bytes as fit beside their length into the space of a boxed slice and a mark.
const INLINE: usize = 22;

#[derive(Clone, Debug)]
pub(crate) enum Small {
    Inline(u8, [u8; INLINE]),
    Boxed(Box<[u8]>),
}

impl Small {
    /// Replaces the bytes, in place where they fit.
    pub(crate) fn set(&mut self, bytes: &[u8]) {
        match self {
            Self::Inline(len, held) if bytes.len() <= INLINE => {
                if let Some(held) = held.get_mut(..bytes.len()) {
                    held.copy_from_slice(bytes);
                    *len = bytes.len() as u8;
                }
            }
            Self::Boxed(held) if held.len() == bytes.len() => held.copy_from_slice(bytes),
            _ => *self = Self::from(bytes),
        }
    }
}

impl PartialEq for Small {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Small {}

impl Default for Small {
    fn default() -> Self {
        Self::Inline(0, [0; INLINE])
    }
}

impl From<&[u8]> for Small {
    fn from(bytes: &[u8]) -> Self {
        let mut held = [0; INLINE];
        match held.get_mut(..bytes.len()) {
            Some(start) => {
                start.copy_from_slice(bytes);
                Self::Inline(bytes.len() as u8, held)
            }
            None => Self::Boxed(Box::from(bytes)),
        }
    }
}

impl Deref for Small {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline(len, held) => held.get(..usize::from(*len)).unwrap_or_default(),
            Self::Boxed(held) => held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_bytes_of_any_length() {
        assert_eq!(size_of::<Option<Small>>(), 24);
        let long = [7; 100];
        let mut small = Small::from(&[][..]);
        for len in [0, 1, 22, 23, 23, 5, 100, 22, 0] {
            small.set(&long[..len]);
            assert_eq!(*small, long[..len]);
            assert_eq!(*Small::from(&long[..len]), long[..len]);
        }
    }
}
