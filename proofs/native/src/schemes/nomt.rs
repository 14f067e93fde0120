//! `nomt-blake3` and `nomt-sha2`, as `proofs/schemes/nomt.py` defines them.

use std::marker::PhantomData;

use sha2::{Digest, Sha256};

use crate::Refused;
use crate::fold::{Payload, Reference, Scheme};
use crate::path::{BitPath, Path};

const KEY_BYTES: usize = 32;
const VALUE_BYTES_MAX: usize = 1 << 29;
const TERMINATOR: [u8; 32] = [0; 32];

/// The binary hash function under a NOMT trie.
pub trait Hasher {
    fn digest(data: &[u8]) -> [u8; 32];
}

pub struct Blake3;
pub struct Sha2;

impl Hasher for Blake3 {
    fn digest(data: &[u8]) -> [u8; 32] {
        blake3::hash(data).into()
    }
}

impl Hasher for Sha2 {
    fn digest(data: &[u8]) -> [u8; 32] {
        Sha256::digest(data).into()
    }
}

pub struct Nomt<H>(PhantomData<H>);

impl<H> Default for Nomt<H> {
    fn default() -> Self {
        Nomt(PhantomData)
    }
}

fn pair<H: Hasher>(left: &[u8], right: &[u8; 32]) -> [u8; 32] {
    let mut node = [0; 64];
    node[..32].copy_from_slice(left);
    node[32..].copy_from_slice(right);
    H::digest(&node)
}

fn leaf_node<H: Hasher>(key: &[u8], value_hash: &[u8; 32]) -> Reference {
    let mut node = pair::<H>(key, value_hash);
    node[0] |= 0x80;
    Reference::hash(node)
}

fn internal<H: Hasher>(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut node = pair::<H>(left, right);
    node[0] &= 0x7F;
    node
}

fn child(slot: &Option<Reference>) -> [u8; 32] {
    slot.as_ref().and_then(|reference| reference.bytes().try_into().ok()).unwrap_or(TERMINATOR)
}

impl<H: Hasher> Scheme<2> for Nomt<H> {
    type Path = BitPath;

    fn check_leaf(&self, key: &[u8], value: &[u8]) -> Result<(), Refused> {
        if key.len() != KEY_BYTES || value.len() > VALUE_BYTES_MAX {
            return Err(Refused("a leaf that no NOMT trie holds"));
        }
        Ok(())
    }

    fn leaf(&mut self, key: &[u8], value: &[u8], _depth: usize) -> Result<Reference, Refused> {
        Ok(leaf_node::<H>(key, &H::digest(value)))
    }

    fn hashed_leaf(&mut self, key: &[u8], value_hash: &[u8], _depth: usize) -> Result<Reference, Refused> {
        let value_hash = value_hash.try_into().map_err(|_| Refused("the hash of a value has 32 bytes"))?;
        Ok(leaf_node::<H>(key, value_hash))
    }

    fn value<'a>(&mut self, _key: &[u8], _value: &'a [u8]) -> Result<Payload<'a>, Refused> {
        Err(Refused("a key path cannot be the start of another"))
    }

    fn branch(
        &mut self,
        slots: &[Option<Reference>; 2],
        _value: Option<Payload<'_>>,
        key: &[u8],
        start: usize,
        depth: usize,
    ) -> Result<Reference, Refused> {
        let mut node = internal::<H>(&child(&slots[0]), &child(&slots[1]));
        for at in (start..depth).rev() {
            node = match BitPath::digit(key, at) {
                0 => internal::<H>(&node, &TERMINATOR),
                _ => internal::<H>(&TERMINATOR, &node),
            };
        }
        Ok(Reference::hash(node))
    }
}
