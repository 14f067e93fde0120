//! `jam`, as `proofs/schemes/jam.py` defines it.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};

use crate::Refused;
use crate::fold::{Payload, Reference, Scheme};
use crate::path::{BitPath, Path};

const KEY_BYTES: usize = 31;
const EMBEDDED_BYTES_MAX: usize = 32;
const EMPTY: [u8; 32] = [0; 32];

pub struct Jam;

fn blake2b_256(data: &[u8]) -> [u8; 32] {
    Blake2b::<U32>::digest(data).into()
}

/// The identity of a branch; the first bit of `left` is lost.
fn branch_identity(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut node = [0; 64];
    node[..32].copy_from_slice(left);
    node[32..].copy_from_slice(right);
    node[0] &= 0x7F;
    blake2b_256(&node)
}

/// A left slot holds an identity without its first bit.
fn in_slot(mut identity: [u8; 32], key: &[u8], position: usize) -> Reference {
    if position > 0 && BitPath::digit(key, position - 1) == 0 {
        identity[0] &= 0x7F;
    }
    Reference::hash(identity)
}

fn identity(slot: &Option<Reference>) -> [u8; 32] {
    slot.as_ref().and_then(|reference| reference.bytes().try_into().ok()).unwrap_or(EMPTY)
}

impl Scheme<2> for Jam {
    type Path = BitPath;

    fn check_leaf(&self, key: &[u8], _value: &[u8]) -> Result<(), Refused> {
        if key.len() != KEY_BYTES {
            return Err(Refused("a state key of JAM has 31 bytes"));
        }
        Ok(())
    }

    fn leaf(&mut self, key: &[u8], value: &[u8], depth: usize) -> Result<Reference, Refused> {
        let mut node = [0; 64];
        node[1..32].copy_from_slice(key);
        if value.len() <= EMBEDDED_BYTES_MAX {
            node[0] = 0x80 | value.len() as u8;
            node[32..32 + value.len()].copy_from_slice(value);
        } else {
            node[0] = 0xC0;
            node[32..].copy_from_slice(&blake2b_256(value));
        }
        Ok(in_slot(blake2b_256(&node), key, depth))
    }

    fn value<'a>(&mut self, _key: &[u8], _value: &'a [u8]) -> Result<Payload<'a>, Refused> {
        Err(Refused("a state key cannot be the start of another"))
    }

    fn branch(
        &mut self,
        slots: &[Option<Reference>; 2],
        _value: Option<Payload<'_>>,
        key: &[u8],
        start: usize,
        depth: usize,
    ) -> Result<Reference, Refused> {
        let mut hash = branch_identity(&identity(&slots[0]), &identity(&slots[1]));
        for at in (start..depth).rev() {
            hash = match BitPath::digit(key, at) {
                0 => branch_identity(&hash, &EMPTY),
                _ => branch_identity(&EMPTY, &hash),
            };
        }
        Ok(in_slot(hash, key, start))
    }
}
