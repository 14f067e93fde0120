//! Oasis checkpoint chunks opened, as `proofs/oasis/chunk.py` defines it.
//!
//! The reference folds the items of the walk. Here every node is hashed where the walk closes it: with each label
//! beginning with its side, each leaf on its path and two children below each node, the walk is the trie that the
//! fold would find (`proofs/oasis/proof.py`), so the hashes are the same.

use crate::Refused;
use crate::schemes::mkvs::{EMPTY, KEY_BYTES_MAX, Mkvs};

const NULL: u8 = 0xf6;

type Hash = [u8; 32];
type Leaf<'a> = (&'a [u8], &'a [u8]);

/// A subtree that is only named: its position (first bits, zero-padded; how many) and hash.
pub struct Named {
    pub path: Vec<u8>,
    pub bits: usize,
    pub hash: Hash,
}

/// What a chunk shows, in key order, and the root that it folds to.
#[derive(Default)]
pub struct Opened<'a> {
    pub root: Hash,
    pub leaves: Vec<Leaf<'a>>,
    pub named: Vec<Named>,
}

/// An included node whose children are still to come. It ends at bit `end` of the path.
struct Branch<'a> {
    end: usize,
    label_bits: u16,
    label: &'a [u8],
    leaf: Hash,
    left: Option<Hash>,
    children: usize,
}

/// The CBOR items of a chunk, decompressed: at most `entries_max`, none below more than `depth_max` edges.
pub fn open_chunk(plain: &[u8], entries_max: usize, depth_max: usize) -> Result<Opened<'_>, Refused> {
    let mut walk = Walk { depth_max, ..Walk::default() };
    let mut rest = plain;
    for _ in 0..entries_max {
        if rest.is_empty() {
            break;
        }
        let entry = take_entry(&mut rest)?;
        if walk.is_done {
            return Err(Refused("entries after the end of the walk"));
        }
        walk.step(entry)?;
    }
    if !rest.is_empty() {
        return Err(Refused("too many entries"));
    }
    if !walk.is_done {
        return Err(Refused("the walk ends early"));
    }
    Ok(walk.opened)
}

/// Takes one byte string off the front, its size in the shortest form; None for null.
fn take_entry<'a>(data: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Refused> {
    const MALFORMED: Refused = Refused("neither a byte string in its shortest form nor null");
    let (&head, rest) = data.split_first().ok_or(MALFORMED)?;
    let (width, least) = match head {
        NULL => {
            *data = rest;
            return Ok(None);
        }
        0x40..0x58 => (0, 0),
        0x58 => (1, 24),
        0x59 => (2, 1 << 8),
        0x5a => (4, 1 << 16),
        _ => return Err(MALFORMED),
    };
    let (size, rest) = rest.split_at_checked(width).ok_or(MALFORMED)?;
    let size = match width {
        0 => (head - 0x40) as usize,
        _ => size.iter().fold(0, |size, byte| size << 8 | *byte as usize),
    };
    let (entry, rest) = rest.split_at_checked(size).filter(|_| size >= least).ok_or(MALFORMED)?;
    *data = rest;
    Ok(Some(entry))
}

/// The pre-order walk. `path` holds the bits down to where the next entry belongs, zero-padded to bytes.
#[derive(Default)]
struct Walk<'a> {
    opened: Opened<'a>,
    stack: Vec<Branch<'a>>,
    path: Vec<u8>,
    scheme: Mkvs,
    depth_max: usize,
    is_done: bool,
}

impl<'a> Walk<'a> {
    fn step(&mut self, entry: Option<&'a [u8]>) -> Result<(), Refused> {
        if self.stack.len() > self.depth_max {
            return Err(Refused("too deep"));
        }
        let side = self.stack.last_mut().map(|node| {
            node.children += usize::from(entry.is_some());
            u8::from(node.left.is_some())
        });
        if side == Some(1) && self.stack.last().is_some_and(|node| node.children < 2) {
            return Err(Refused("a node with fewer than two children"));
        }
        let end = self.stack.last().map_or(0, |node| node.end);
        cut(&mut self.path, end);
        match entry {
            None => self.close(EMPTY),
            Some([2, hash @ ..]) => {
                let hash = self.name(hash, end, side)?;
                self.close(hash);
            }
            Some([1, node @ ..]) if node.first() == Some(&0) => {
                let leaf = decode_leaf(node)?;
                let bits = put_side(&mut self.path, end, side);
                let hash = self.show(leaf, bits)?;
                self.close(hash);
            }
            Some([1, node @ ..]) if node.first() == Some(&1) => self.descend(node, end, side)?,
            _ => return Err(Refused("an entry of no known form")),
        }
        Ok(())
    }

    fn name(&mut self, hash: &[u8], end: usize, side: Option<u8>) -> Result<Hash, Refused> {
        let hash: Hash = hash.try_into().map_err(|_| Refused("a hash has 32 bytes"))?;
        if hash == EMPTY {
            return Err(Refused("nothing is null, not a hash"));
        }
        if self.opened.named.len() > self.depth_max.saturating_mul(2) {
            return Err(Refused("more subtrees left open than lie around one run of leaves"));
        }
        let bits = put_side(&mut self.path, end, side);
        self.opened.named.push(Named { path: self.path.clone(), bits, hash });
        Ok(hash)
    }

    /// A leaf whose key must begin with the first `bits` bits of the path.
    fn show(&mut self, leaf: Leaf<'a>, bits: usize) -> Result<Hash, Refused> {
        let (whole, spare) = (bits / 8, bits % 8);
        let lies_below = leaf.0.len() >= bits.div_ceil(8)
            && leaf.0[..whole] == self.path[..whole]
            && (spare == 0 || (leaf.0[whole] ^ self.path[whole]) >> (8 - spare) == 0);
        if !lies_below {
            return Err(Refused("a leaf that is not where its key says"));
        }
        self.opened.leaves.push(leaf);
        Ok(self.scheme.hash_leaf(leaf.0, leaf.1))
    }

    fn descend(&mut self, node: &'a [u8], start: usize, side: Option<u8>) -> Result<(), Refused> {
        let (label_bits, label, leaf) = decode_branch(node)?;
        if side.is_some_and(|side| label.first().is_none_or(|byte| byte >> 7 != side)) {
            return Err(Refused("a label that does not begin with its side"));
        }
        let end = start + label_bits as usize;
        if end > 8 * KEY_BYTES_MAX {
            return Err(Refused("a path that is longer than any key"));
        }
        put_bits(&mut self.path, start, label, end);
        let mut branch = Branch { end, label_bits, label, leaf: EMPTY, left: None, children: 0 };
        if let Some(leaf) = leaf {
            if leaf.0.len() * 8 != end {
                return Err(Refused("an embedded leaf that does not end with its node"));
            }
            branch.leaf = self.show(leaf, end)?;
            branch.children = 1;
        }
        self.stack.push(branch);
        Ok(())
    }

    /// A child is closed, and with every right child the node above it.
    fn close(&mut self, mut hash: Hash) {
        while let Some(node) = self.stack.last_mut() {
            match node.left {
                None => {
                    node.left = Some(hash);
                    return;
                }
                Some(left) => {
                    hash = self.scheme.hash_branch(node.label_bits, node.label, [&node.leaf, &left, &hash]);
                    self.stack.pop();
                }
            }
        }
        self.opened.root = hash;
        self.is_done = true;
    }
}

/// Cuts a path to its first `end` bits.
fn cut(path: &mut Vec<u8>, end: usize) {
    path.truncate(end.div_ceil(8));
    if let (Some(last), 1..) = (path.last_mut(), end % 8) {
        *last &= 0xFF << (8 - end % 8);
    }
}

/// Appends the bit of a side to a path of `end` bits, if there is one; how many bits it has then.
fn put_side(path: &mut Vec<u8>, end: usize, side: Option<u8>) -> usize {
    let Some(side) = side else { return end };
    put_bits(path, end, &[side << 7], end + 1);
    end + 1
}

/// Appends left-aligned, zero-padded bits to a path of `start` bits; it has `end` then.
fn put_bits(path: &mut Vec<u8>, start: usize, bits: &[u8], end: usize) {
    let shift = start % 8;
    for byte in bits {
        if shift > 0
            && let Some(last) = path.last_mut()
        {
            *last |= byte >> shift;
            path.push(byte << (8 - shift));
        } else {
            path.push(*byte);
        }
    }
    path.truncate(end.div_ceil(8));
}

const TRUNCATED: Refused = Refused("a node and its sizes differ");

/// The leaf that fills `data`: tag, u16 key size, key, u32 value size, value.
fn decode_leaf(data: &[u8]) -> Result<Leaf<'_>, Refused> {
    let (head, rest) = data.split_at_checked(3).ok_or(TRUNCATED)?;
    let key_size = u16::from_le_bytes([head[1], head[2]]) as usize;
    let (key, rest) = rest.split_at_checked(key_size).filter(|_| key_size <= KEY_BYTES_MAX).ok_or(TRUNCATED)?;
    let (value_size, value) = rest.split_first_chunk::<4>().ok_or(TRUNCATED)?;
    if value.len() != u32::from_le_bytes(*value_size) as usize {
        return Err(TRUNCATED);
    }
    Ok((key, value))
}

/// The node that fills `data`: tag, u16 label bits, label, an embedded leaf or 02.
fn decode_branch(data: &[u8]) -> Result<(u16, &[u8], Option<Leaf<'_>>), Refused> {
    let (head, rest) = data.split_at_checked(3).ok_or(TRUNCATED)?;
    let label_bits = u16::from_le_bytes([head[1], head[2]]);
    let (label, rest) = rest.split_at_checked(label_bits.div_ceil(8) as usize).ok_or(TRUNCATED)?;
    let spare = label_bits.wrapping_neg() % 8;
    if label.last().is_some_and(|last| last & !(0xFF << spare) != 0) {
        return Err(Refused("label with bits behind its end"));
    }
    match rest {
        [2] => Ok((label_bits, label, None)),
        [0, ..] => Ok((label_bits, label, Some(decode_leaf(rest)?))),
        _ => Err(Refused("neither an embedded leaf nor none")),
    }
}
