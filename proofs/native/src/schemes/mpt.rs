//! `mpt`, as `proofs/schemes/mpt.py` defines it; its nodes serve `ethereum` too.

use keccak_asm::Keccak256;

use crate::Refused;
use crate::fold::{Payload, Reference, Scheme};
use crate::path::NibblePath;
use crate::rlp::{put_list_header, put_string, string_size};

const KEY_BYTES_MAX: usize = 1024;
const VALUE_BYTES_MAX: usize = 1 << 24;
const LEAF_FLAG: u8 = 0x20;

pub fn keccak256(data: &[u8]) -> [u8; 32] {
    Keccak256::digest(data).into()
}

/// Encodes nodes into one reused buffer and refers to them.
#[derive(Default)]
pub struct Nodes {
    buffer: Vec<u8>,
    path: Vec<u8>,
}

impl Nodes {
    pub fn leaf(&mut self, key: &[u8], value: &[u8], depth: usize) -> Reference {
        self.hex_prefix(key, depth, key.len() * 2, LEAF_FLAG);
        self.buffer.clear();
        put_list_header(&mut self.buffer, string_size(&self.path) + string_size(value));
        put_string(&mut self.buffer, &self.path);
        put_string(&mut self.buffer, value);
        self.reference()
    }

    pub fn extension(&mut self, child: Reference, key: &[u8], start: usize, end: usize) -> Reference {
        self.hex_prefix(key, start, end, 0);
        self.buffer.clear();
        put_list_header(&mut self.buffer, string_size(&self.path) + slot_size(&Some(child)));
        put_string(&mut self.buffer, &self.path);
        self.put_slot(&Some(child));
        self.reference()
    }

    pub fn branch(&mut self, slots: &[Option<Reference>; 16], value: &[u8]) -> Reference {
        self.buffer.clear();
        put_list_header(&mut self.buffer, slots.iter().map(slot_size).sum::<usize>() + string_size(value));
        for slot in slots {
            self.put_slot(slot);
        }
        put_string(&mut self.buffer, value);
        self.reference()
    }

    fn reference(&self) -> Reference {
        if self.buffer.len() < 32 { Reference::inline(&self.buffer) } else { Reference::hash(keccak256(&self.buffer)) }
    }

    fn put_slot(&mut self, slot: &Option<Reference>) {
        match slot {
            None => self.buffer.push(0x80),
            Some(reference) => {
                if reference.bytes().len() == 32 {
                    self.buffer.push(0xA0);
                }
                self.buffer.extend_from_slice(reference.bytes());
            }
        }
    }

    /// The hex-prefix form of nibbles [start, end) of `key`.
    fn hex_prefix(&mut self, key: &[u8], start: usize, end: usize, flag: u8) {
        let nibble = |index: usize| if index % 2 == 1 { key[index / 2] & 0x0F } else { key[index / 2] >> 4 };
        self.path.clear();
        let odd = (end - start) % 2 == 1;
        let mut at = start;
        if odd {
            self.path.push(flag | 0x10 | nibble(at));
            at += 1;
        } else {
            self.path.push(flag);
        }
        if at.is_multiple_of(2) {
            self.path.extend_from_slice(&key[at / 2..end / 2]);
        } else {
            self.path.extend((at..end).step_by(2).map(|index| nibble(index) << 4 | nibble(index + 1)));
        }
    }
}

fn slot_size(slot: &Option<Reference>) -> usize {
    match slot {
        None => 1,
        Some(reference) if reference.bytes().len() == 32 => 33,
        Some(reference) => reference.bytes().len(),
    }
}

#[derive(Default)]
pub struct Mpt {
    nodes: Nodes,
}

impl Scheme<16> for Mpt {
    type Path = NibblePath;

    fn check_leaf(&self, key: &[u8], value: &[u8]) -> Result<(), Refused> {
        if key.len() > KEY_BYTES_MAX || value.is_empty() || value.len() > VALUE_BYTES_MAX {
            return Err(Refused("a leaf that no plain trie holds"));
        }
        Ok(())
    }

    fn leaf(&mut self, key: &[u8], value: &[u8], depth: usize) -> Result<Reference, Refused> {
        Ok(self.nodes.leaf(key, value, depth))
    }

    fn value<'a>(&mut self, _key: &[u8], value: &'a [u8]) -> Result<Payload<'a>, Refused> {
        Ok(Payload::Value(value))
    }

    fn branch(
        &mut self,
        slots: &[Option<Reference>; 16],
        value: Option<Payload<'_>>,
        key: &[u8],
        start: usize,
        depth: usize,
    ) -> Result<Reference, Refused> {
        let branch = self.nodes.branch(slots, value.as_ref().map_or(&[], |payload| payload.bytes()));
        Ok(if depth > start { self.nodes.extension(branch, key, start, depth) } else { branch })
    }
}
