//! The entries of Oasis checkpoint chunks, as `proofs/oasis/entries.py` defines them.

use crate::Refused;
use crate::run::LeafRun;
use crate::schemes::mkvs::put_label;

const LEFT: i32 = 0;
const RIGHT: i32 = 1;
const EMBEDDED: i32 = -1;
const ITEM_BYTES_SMALL: usize = 65536;
const NULL: u8 = 0xf6;

/// A branch that is still open: end of its label, side of the last leaf, its first leaf (-1: before the run).
pub type Open = (u16, i32, i64);

/// CBOR items joined, where the large ones are, and the path after the last leaf.
pub struct Entries {
    pub plain: Vec<u8>,
    pub large: Vec<(usize, usize)>,
    pub path: Vec<Open>,
}

/// What the shape says of the run's leaves.
pub struct Shape<'a> {
    pub shared: &'a [u16],
    pub opened: &'a [u16],
    pub ends: &'a [u16],
}

/// Entries of the run's leaves and of every branch that begins among them.
pub fn write_entries(
    run: &LeafRun<'_>,
    shape: &Shape<'_>,
    path: &[(u16, i32)],
    inside: bool,
) -> Result<Entries, Refused> {
    let total: usize = shape.opened.iter().map(|count| *count as usize).sum();
    if shape.shared.len() != run.len() || shape.opened.len() != run.len() || shape.ends.len() != total {
        return Err(Refused("a shape of other leaves than the run's"));
    }
    let mut out = Entries {
        plain: Vec::new(),
        large: Vec::new(),
        path: path.iter().map(|&(end, side)| (end, side, -1)).collect(),
    };
    let (mut branch, mut at) = (Vec::new(), 0);
    for leaf in 0..run.len() {
        let (key, value) = (run.key(leaf), run.value(leaf));
        if key.len() >= 8192 {
            return Err(Refused("an mkvs key is too long"));
        }
        if leaf > 0 || inside {
            move_to(&mut out, shape.shared[leaf], key)?;
        }
        let mut parent = out.path.last().map_or(0, |open| open.0);
        let mut embedded = false;
        for &end in &shape.ends[at..at + shape.opened[leaf] as usize] {
            if end < parent || end as usize > key.len() * 8 {
                return Err(Refused("a branch that does not lie on its leaf's path"));
            }
            embedded = key.len() * 8 == end as usize;
            branch.clear();
            branch.extend_from_slice(&[1, 1]);
            branch.extend_from_slice(&(end - parent).to_le_bytes());
            put_label(&mut branch, key, parent as usize, end as usize);
            if embedded {
                put_leaf(&mut branch, key, value);
            } else {
                branch.push(2);
            }
            put_entry(&mut out, &branch);
            out.path.push((end, if embedded { EMBEDDED } else { LEFT }, leaf as i64));
            parent = end;
        }
        at += shape.opened[leaf] as usize;
        if !embedded {
            branch.clear();
            branch.push(1);
            put_leaf(&mut branch, key, value);
            put_entry(&mut out, &branch);
        }
    }
    Ok(out)
}

/// Leaves the branches that end behind `common`, and changes sides in the one that ends there.
fn move_to(out: &mut Entries, common: u16, key: &[u8]) -> Result<(), Refused> {
    while let Some(done) = out.path.pop_if(|open| open.0 > common) {
        if done.1 != RIGHT {
            out.plain.push(NULL);
        }
    }
    let top = out.path.last_mut().ok_or(Refused("leaves without a branch above them"))?;
    if top.1 == LEFT {
        top.1 = RIGHT;
        return Ok(());
    }
    let byte = key.get(common as usize / 8).ok_or(Refused("a leaf that ends in front of its branch"))?;
    top.1 = (byte >> (7 - common % 8) & 1) as i32;
    if top.1 == RIGHT {
        out.plain.push(NULL);
    }
    Ok(())
}

fn put_leaf(buffer: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    buffer.push(0);
    buffer.extend_from_slice(&(key.len() as u16).to_le_bytes());
    buffer.extend_from_slice(key);
    buffer.extend_from_slice(&(value.len() as u32).to_le_bytes());
    buffer.extend_from_slice(value);
}

/// Appends one canonical CBOR byte string.
fn put_entry(out: &mut Entries, data: &[u8]) {
    let start = out.plain.len();
    match data.len() {
        size @ 0..24 => out.plain.push(0x40 + size as u8),
        size @ 24..0x100 => out.plain.extend_from_slice(&[0x58, size as u8]),
        size @ 0x100..0x1_0000 => {
            out.plain.push(0x59);
            out.plain.extend_from_slice(&(size as u16).to_be_bytes());
        }
        size => {
            out.plain.push(0x5a);
            out.plain.extend_from_slice(&(size as u32).to_be_bytes());
        }
    }
    out.plain.extend_from_slice(data);
    let size = out.plain.len() - start;
    if size > ITEM_BYTES_SMALL {
        out.large.push((start, size));
    }
}
