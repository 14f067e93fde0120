//! The fold over the leaves of one run. `proofs/fold.py` holds the argument why it is right.

use crate::Refused;
use crate::path::Path;
use crate::run::LeafRun;

/// What a parent's slot holds for a child: at most 32 bytes.
#[derive(Clone, Copy)]
pub struct Reference {
    size: u8,
    data: [u8; 32],
}

impl Reference {
    pub fn hash(data: [u8; 32]) -> Self {
        Reference { size: 32, data }
    }

    /// An encoded node shorter than 32 bytes, as its own reference.
    pub fn inline(node: &[u8]) -> Self {
        let mut data = [0; 32];
        data[..node.len()].copy_from_slice(node);
        Reference { size: node.len() as u8, data }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.data[..self.size as usize]
    }
}

/// What a branch holds as its own value: a hash, or the leaf's value itself.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    Reference(Reference),
    Value(&'a [u8]),
}

impl Payload<'_> {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Reference(reference) => reference.bytes(),
            Payload::Value(value) => value,
        }
    }
}

/// Kinds of items, numbered as in `proofs/fold.py`.
#[derive(Clone, Copy)]
pub enum Kind {
    Node = 1,
    Value = 2,
}

pub struct Item<'a> {
    pub key: &'a [u8],
    pub payload: Payload<'a>,
    pub kind: Kind,
    pub depth: usize,
}

/// A scheme's encodings: the methods of `proofs.scheme.Scheme` that a fold of leaves needs.
pub trait Scheme<const RADIX: usize> {
    type Path: Path;

    fn check_leaf(&self, key: &[u8], value: &[u8]) -> Result<(), Refused>;
    fn leaf(&mut self, key: &[u8], value: &[u8], depth: usize) -> Result<Reference, Refused>;
    fn value<'a>(&mut self, key: &[u8], value: &'a [u8]) -> Payload<'a>;
    fn branch(
        &mut self,
        slots: &[Option<Reference>; RADIX],
        value: Option<Payload<'_>>,
        key: &[u8],
        start: usize,
        depth: usize,
    ) -> Result<Reference, Refused>;
}

struct Branch<'a, const RADIX: usize> {
    depth: isize,
    slots: [Option<Reference>; RADIX],
    keys: [&'a [u8]; RADIX],
    value: Option<(&'a [u8], Payload<'a>)>,
}

impl<'a, const RADIX: usize> Branch<'a, RADIX> {
    fn new(depth: isize) -> Self {
        Branch { depth, slots: [None; RADIX], keys: [&[]; RADIX], value: None }
    }

    fn spill(&self, out: &mut Vec<Item<'a>>) {
        if let Some((key, payload)) = self.value {
            out.push(Item { key, payload, kind: Kind::Value, depth: 0 });
        }
        for (key, slot) in self.keys.iter().zip(&self.slots) {
            if let Some(reference) = slot {
                out.push(Item {
                    key,
                    payload: Payload::Reference(*reference),
                    kind: Kind::Node,
                    depth: (self.depth + 1) as usize,
                });
            }
        }
    }
}

const OUTSIDE: isize = -1;

/// Hashes what lies wholly inside and returns the maximal closed subtrees in key order.
pub fn fold<'a, const RADIX: usize, S: Scheme<RADIX>>(
    scheme: &mut S,
    run: &LeafRun<'a>,
    before: Option<&[u8]>,
    after: Option<&[u8]>,
) -> Result<Vec<Item<'a>>, Refused> {
    let mut out = Vec::new();
    let count = run.len();
    if count == 0 {
        return Ok(out);
    }
    if before.is_some_and(|key| key >= run.key(0)) || after.is_some_and(|key| key <= run.key(count - 1)) {
        return Err(Refused("a neighbour does not lie outside the run"));
    }
    let mut stack: Vec<Branch<'a, RADIX>> = Vec::new();
    let mut above = before.map_or(OUTSIDE, |key| S::Path::parting(key, run.key(0)) as isize);
    let mut left = above;
    for index in 0..count {
        let (key, value) = (run.key(index), run.value(index));
        scheme.check_leaf(key, value)?;
        let following = if index + 1 < count { Some(run.key(index + 1)) } else { after };
        let below = following.map_or(OUTSIDE, |other| S::Path::parting(key, other) as isize);
        let parent = above.max(below);
        if parent == S::Path::digits(key) as isize {
            let payload = scheme.value(key, value);
            reach(&mut stack, parent).value = Some((key, payload));
        } else {
            let reference = scheme.leaf(key, value, (parent + 1) as usize)?;
            if parent == OUTSIDE {
                return Ok(vec![whole(key, reference)]);
            }
            hang::<RADIX, S>(&mut stack, parent, key, reference);
        }
        while let Some(branch) = stack.pop_if(|branch| branch.depth > below) {
            if branch.depth <= left {
                branch.spill(&mut out);
                continue;
            }
            let parent = stack.last().map_or(OUTSIDE, |top| top.depth).max(below).max(left);
            let payload = branch.value.map(|(_, payload)| payload);
            let (start, depth) = ((parent + 1) as usize, branch.depth as usize);
            let reference = scheme.branch(&branch.slots, payload, key, start, depth)?;
            if parent == OUTSIDE {
                return Ok(vec![whole(key, reference)]);
            }
            hang::<RADIX, S>(&mut stack, parent, key, reference);
        }
        left = left.min(below);
        above = below;
    }
    for branch in &stack {
        branch.spill(&mut out);
    }
    Ok(out)
}

fn whole<'a>(key: &'a [u8], reference: Reference) -> Item<'a> {
    Item { key, payload: Payload::Reference(reference), kind: Kind::Node, depth: 0 }
}

/// The open branch at `depth`, pushed if the stack does not reach it yet.
fn reach<'s, 'a, const RADIX: usize>(
    stack: &'s mut Vec<Branch<'a, RADIX>>,
    depth: isize,
) -> &'s mut Branch<'a, RADIX> {
    if stack.last().is_none_or(|top| top.depth < depth) {
        stack.push(Branch::new(depth));
    }
    stack.last_mut().expect("a branch was just pushed")
}

fn hang<'a, const RADIX: usize, S: Scheme<RADIX>>(
    stack: &mut Vec<Branch<'a, RADIX>>,
    depth: isize,
    key: &'a [u8],
    reference: Reference,
) {
    let slot = S::Path::digit(key, depth as usize);
    let branch = reach(stack, depth);
    branch.slots[slot] = Some(reference);
    branch.keys[slot] = key;
}
