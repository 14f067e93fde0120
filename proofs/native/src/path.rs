//! Digit geometry, as `proofs/path.py` defines it.

/// How a scheme reads a key as digits. `RADIX` bounds the children of any branch.
pub trait Path {
    fn digits(key: &[u8]) -> usize;
    fn digit(key: &[u8], depth: usize) -> usize;
    fn parting(a: &[u8], b: &[u8]) -> usize;
}

pub struct BitPath;
pub struct NibblePath;
pub struct AccountPath;

pub const ACCOUNT_SIZE: usize = 32;
pub const ACCOUNT_DIGITS: usize = 64;
pub const STORAGE_DEPTH: usize = ACCOUNT_DIGITS + 1;

/// Index of the first byte in which two keys differ, or the length of the shorter one.
fn shared_bytes(a: &[u8], b: &[u8]) -> usize {
    let size = a.len().min(b.len());
    let (a, b) = (&a[..size], &b[..size]);
    let words = a.chunks_exact(8).zip(b.chunks_exact(8)).take_while(|(x, y)| x == y).count() * 8;
    words + a[words..].iter().zip(&b[words..]).take_while(|(x, y)| x == y).count()
}

impl Path for BitPath {
    fn digits(key: &[u8]) -> usize {
        key.len() * 8
    }

    fn digit(key: &[u8], depth: usize) -> usize {
        (key[depth / 8] >> (7 - depth % 8) & 1) as usize
    }

    fn parting(a: &[u8], b: &[u8]) -> usize {
        let shared = shared_bytes(a, b);
        match (a.get(shared), b.get(shared)) {
            (Some(x), Some(y)) => shared * 8 + (x ^ y).leading_zeros() as usize,
            _ => shared * 8,
        }
    }
}

impl Path for NibblePath {
    fn digits(key: &[u8]) -> usize {
        key.len() * 2
    }

    fn digit(key: &[u8], depth: usize) -> usize {
        (if depth % 2 == 1 { key[depth / 2] & 0x0F } else { key[depth / 2] >> 4 }) as usize
    }

    fn parting(a: &[u8], b: &[u8]) -> usize {
        let shared = shared_bytes(a, b);
        match (a.get(shared), b.get(shared)) {
            (Some(x), Some(y)) => shared * 2 + usize::from(x >> 4 == y >> 4),
            _ => shared * 2,
        }
    }
}

impl Path for AccountPath {
    fn digits(key: &[u8]) -> usize {
        key.len() * 2 + usize::from(key.len() > ACCOUNT_SIZE)
    }

    fn digit(key: &[u8], depth: usize) -> usize {
        match depth.cmp(&ACCOUNT_DIGITS) {
            std::cmp::Ordering::Less => NibblePath::digit(key, depth),
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => NibblePath::digit(key, depth - 1),
        }
    }

    fn parting(a: &[u8], b: &[u8]) -> usize {
        let shared = NibblePath::parting(a, b);
        let inside = shared >= ACCOUNT_DIGITS && a.len() > ACCOUNT_SIZE && b.len() > ACCOUNT_SIZE;
        shared + usize::from(inside)
    }
}
