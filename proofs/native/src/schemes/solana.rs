//! `solana-lattice`, as `proofs/schemes/solana.py` defines it.
//!
//! A partial sum has 2,048 bytes, far more than a reference, so sums are kept in a table and a reference is an index
//! into it. A branch adds its children up in the place of the first and gives the others' places back, so the table is
//! as long as the answer and the open branches are wide, never as long as the run.

use blake3::Hasher;

use crate::Refused;
use crate::fold::{Payload, Reference, Scheme};
use crate::path::NibblePath;

const KEY_BYTES: usize = 32;
const LAMPORTS_BYTES: usize = 8;
const OWNER_BYTES: usize = 32;
const FIXED_BYTES: usize = LAMPORTS_BYTES + 1 + OWNER_BYTES;
const DATA_BYTES_MAX: usize = 10 << 20;
const LANES: usize = 1024;

type Sum = Vec<u16>;

#[derive(Default)]
pub struct Lattice {
    sums: Vec<Sum>,
    free: Vec<u32>,
}

fn to_reference(index: u32) -> Reference {
    Reference::inline(&index.to_le_bytes())
}

fn to_index(reference: &[u8]) -> usize {
    reference.iter().rev().fold(0, |index, byte| index << 8 | usize::from(*byte))
}

impl Lattice {
    /// A place for one more sum; what is in it does not matter.
    fn place(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.sums.push(vec![0; LANES]);
            (self.sums.len() - 1) as u32
        })
    }
}

impl Scheme<16> for Lattice {
    type Path = NibblePath;

    fn check_leaf(&self, key: &[u8], value: &[u8]) -> Result<(), Refused> {
        if key.len() != KEY_BYTES {
            return Err(Refused("an account address has 32 bytes"));
        }
        if value.len() < FIXED_BYTES || value.len() > FIXED_BYTES + DATA_BYTES_MAX {
            return Err(Refused("an account has another size"));
        }
        if value[..LAMPORTS_BYTES] == [0; LAMPORTS_BYTES] {
            return Err(Refused("an account without lamports does not exist"));
        }
        if value[value.len() - OWNER_BYTES - 1] > 1 {
            return Err(Refused("the executable byte is 0 or 1"));
        }
        Ok(())
    }

    fn leaf(&mut self, key: &[u8], value: &[u8], _depth: usize) -> Result<Reference, Refused> {
        let mut element = [0; 2 * LANES];
        Hasher::new().update(value).update(key).finalize_xof().fill(&mut element);
        let index = self.place();
        for (lane, bytes) in self.sums[index as usize].iter_mut().zip(element.chunks_exact(2)) {
            *lane = u16::from_le_bytes([bytes[0], bytes[1]]);
        }
        Ok(to_reference(index))
    }

    fn value<'a>(&mut self, _key: &[u8], _value: &'a [u8]) -> Result<Payload<'a>, Refused> {
        Err(Refused("an account address cannot be the start of another"))
    }

    fn branch(
        &mut self,
        slots: &[Option<Reference>; 16],
        _value: Option<Payload<'_>>,
        _key: &[u8],
        _start: usize,
        _depth: usize,
    ) -> Result<Reference, Refused> {
        let mut children = slots.iter().flatten().map(|slot| to_index(slot.bytes()));
        let first = children.next().ok_or(Refused("a branch without children"))?;
        let mut sum = std::mem::take(&mut self.sums[first]);
        for child in children {
            for (lane, other) in sum.iter_mut().zip(self.sums[child].iter()) {
                *lane = lane.wrapping_add(*other);
            }
            self.free.push(child as u32);
        }
        self.sums[first] = sum;
        Ok(to_reference(first as u32))
    }

    fn expand(&self, payload: &Payload<'_>) -> Vec<u8> {
        self.sums[to_index(payload.bytes())].iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }
}
