//! The leaf run, as `proofs/leafrun.py` writes it: count, key sizes, value sizes (u32 little-endian), keys, values.

use crate::Refused;

/// A borrowed run: offsets are found once, leaves are slices of the input.
pub struct LeafRun<'a> {
    data: &'a [u8],
    hashed: &'a [u8],
    key_ends: Vec<usize>,
    value_ends: Vec<usize>,
}

impl<'a> LeafRun<'a> {
    /// Checks every size against the bytes that are there, and that keys ascend strictly.
    pub fn decode(data: &'a [u8]) -> Result<Self, Refused> {
        let count = word(data, 0)? as usize;
        let body = count
            .checked_mul(8)
            .and_then(|sizes| sizes.checked_add(4))
            .filter(|body| *body <= data.len())
            .ok_or(Refused("a leaf run ends inside its sizes"))?;
        let key_ends = ends(&data[4..4 + 4 * count], body);
        let value_ends = ends(&data[4 + 4 * count..body], key_ends.last().copied().unwrap_or(body));
        if value_ends.last().copied().unwrap_or(body) != data.len() {
            return Err(Refused("the sizes of a leaf run do not add up to its bytes"));
        }
        let run = LeafRun { data, hashed: &[], key_ends, value_ends };
        if (1..count).any(|index| run.key(index - 1) >= run.key(index)) {
            return Err(Refused("keys of a leaf run do not ascend"));
        }
        Ok(run)
    }

    /// The same run, with a mark for each leaf: where it is not 0, the value is the hash of the leaf's value.
    pub fn with_hashed(self, hashed: &'a [u8]) -> Result<Self, Refused> {
        if hashed.len() != self.len() {
            return Err(Refused("a leaf run has a mark for each leaf"));
        }
        Ok(LeafRun { hashed, ..self })
    }

    pub fn is_hashed(&self, index: usize) -> bool {
        self.hashed.get(index).is_some_and(|mark| *mark != 0)
    }

    pub fn len(&self) -> usize {
        self.key_ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.key_ends.is_empty()
    }

    pub fn key(&self, index: usize) -> &'a [u8] {
        let start = if index == 0 { 4 + 8 * self.len() } else { self.key_ends[index - 1] };
        &self.data[start..self.key_ends[index]]
    }

    pub fn value(&self, index: usize) -> &'a [u8] {
        let start = if index == 0 { self.key_ends[self.len() - 1] } else { self.value_ends[index - 1] };
        &self.data[start..self.value_ends[index]]
    }
}

fn word(data: &[u8], at: usize) -> Result<u32, Refused> {
    let bytes = data.get(at..at + 4).ok_or(Refused("a leaf run begins with its count"))?;
    Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| Refused("a leaf run begins with its count"))?))
}

/// Where each of the joined parts ends. Sizes have 32 bits, so the sums stay far below 64.
fn ends(sizes: &[u8], start: usize) -> Vec<usize> {
    let mut end = start;
    sizes
        .chunks_exact(4)
        .map(|size| {
            end += u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
            end
        })
        .collect()
}
