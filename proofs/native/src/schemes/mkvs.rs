//! `mkvs`, as `proofs/schemes/mkvs.py` defines it.

use sha2::{Digest, Sha512_256};

use crate::Refused;
use crate::fold::{Payload, Reference, Scheme};
use crate::path::BitPath;

pub const KEY_BYTES_MAX: usize = 8191;
/// SHA-512/256 of nothing: the hash of a missing child.
pub const EMPTY: [u8; 32] = [
    0xc6, 0x72, 0xb8, 0xd1, 0xef, 0x56, 0xed, 0x28, 0xab, 0x87, 0xc3, 0x62, 0x2c, 0x51, 0x14, 0x06, 0x9b, 0xdd, 0x3a,
    0xd7, 0xb8, 0xf9, 0x73, 0x74, 0x98, 0xd0, 0xc0, 0x1e, 0xce, 0xf0, 0x96, 0x7a,
];

#[derive(Default)]
pub struct Mkvs {
    buffer: Vec<u8>,
}

impl Mkvs {
    fn digest(&self) -> [u8; 32] {
        Sha512_256::digest(&self.buffer).into()
    }

    pub fn hash_leaf(&mut self, key: &[u8], value: &[u8]) -> [u8; 32] {
        self.buffer.clear();
        self.buffer.push(0);
        self.buffer.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(value);
        self.digest()
    }

    /// From its label, and the hashes of its leaf, left and right child (EMPTY for a missing one).
    pub fn hash_branch(&mut self, label_bits: u16, label: &[u8], children: [&[u8; 32]; 3]) -> [u8; 32] {
        self.buffer.clear();
        self.buffer.push(1);
        self.buffer.extend_from_slice(&label_bits.to_le_bytes());
        self.buffer.extend_from_slice(label);
        for child in children {
            self.buffer.extend_from_slice(child);
        }
        self.digest()
    }
}

impl Scheme<2> for Mkvs {
    type Path = BitPath;

    fn check_leaf(&self, key: &[u8], _value: &[u8]) -> Result<(), Refused> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Refused("an mkvs key is too long"));
        }
        Ok(())
    }

    fn leaf(&mut self, key: &[u8], value: &[u8], _depth: usize) -> Result<Reference, Refused> {
        Ok(Reference::hash(self.hash_leaf(key, value)))
    }

    fn value<'a>(&mut self, key: &[u8], value: &'a [u8]) -> Result<Payload<'a>, Refused> {
        Ok(Payload::Reference(Reference::hash(self.hash_leaf(key, value))))
    }

    fn branch(
        &mut self,
        slots: &[Option<Reference>; 2],
        value: Option<Payload<'_>>,
        key: &[u8],
        start: usize,
        depth: usize,
    ) -> Result<Reference, Refused> {
        let first = start.saturating_sub(1);
        self.buffer.clear();
        self.buffer.push(1);
        self.buffer.extend_from_slice(&((depth - first) as u16).to_le_bytes());
        put_label(&mut self.buffer, key, first, depth);
        match &value {
            Some(payload) => self.buffer.extend_from_slice(payload.bytes()),
            None => self.buffer.extend_from_slice(&EMPTY),
        }
        for slot in slots {
            self.buffer.extend_from_slice(slot.as_ref().map_or(&EMPTY[..], Reference::bytes));
        }
        Ok(Reference::hash(self.digest()))
    }
}

/// Appends bits [first, end) of `key`, left-aligned, zero-padded to whole bytes.
pub fn put_label(buffer: &mut Vec<u8>, key: &[u8], first: usize, end: usize) {
    let shift = first % 8;
    let size = (end - first).div_ceil(8);
    let start = buffer.len();
    for index in first / 8..first / 8 + size {
        let high = key[index] << shift;
        let low = match key.get(index + 1) {
            Some(next) if shift > 0 => next >> (8 - shift),
            _ => 0,
        };
        buffer.push(high | low);
    }
    let spare = size * 8 - (end - first);
    if size > 0 {
        buffer[start + size - 1] &= 0xFF << spare;
    }
}
