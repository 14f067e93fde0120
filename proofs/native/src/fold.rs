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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Node = 1,
    Value = 2,
}

/// A closed subtree: `leaves` of the run's, the last of which has `key`.
pub struct Item<'a> {
    pub key: &'a [u8],
    pub payload: Payload<'a>,
    pub kind: Kind,
    pub depth: usize,
    pub leaves: usize,
}

/// A scheme's encodings: the methods of `proofs.scheme.Scheme` that a fold of leaves needs.
pub trait Scheme<const RADIX: usize> {
    type Path: Path;

    fn check_leaf(&self, key: &[u8], value: &[u8]) -> Result<(), Refused>;
    fn leaf(&mut self, key: &[u8], value: &[u8], depth: usize) -> Result<Reference, Refused>;
    fn value<'a>(&mut self, key: &[u8], value: &'a [u8]) -> Result<Payload<'a>, Refused>;

    /// `leaf` of a `HashedValue`.
    fn hashed_leaf(&mut self, _key: &[u8], _value_hash: &[u8], _depth: usize) -> Result<Reference, Refused> {
        Err(Refused("a leaf of this scheme does not commit to a hash of its value"))
    }

    fn branch(
        &mut self,
        slots: &[Option<Reference>; RADIX],
        value: Option<Payload<'_>>,
        key: &[u8],
        start: usize,
        depth: usize,
    ) -> Result<Reference, Refused>;

    /// The bytes that a payload stands for, where it is not these bytes itself.
    fn expand(&self, payload: &Payload<'_>) -> Vec<u8> {
        payload.bytes().to_vec()
    }
}

/// A branch that may still get children. What it holds so far are the items from `position` on.
struct Branch<'a, const RADIX: usize> {
    depth: isize,
    slots: [Option<Reference>; RADIX],
    value: Option<Payload<'a>>,
    first: usize,
    position: usize,
}

const OUTSIDE: isize = -1;

/// The maximal closed subtrees of at most `leaves_max` leaves, in key order; a leaf by itself is always one.
///
/// With no limit that is `proofs.fold.fold`, with one it is `proofs.cut.pieces` and their references: the same walk,
/// in which a completed branch replaces its children in the answer if it is small enough.
pub fn fold<'a, const RADIX: usize, S: Scheme<RADIX>>(
    scheme: &mut S,
    run: &LeafRun<'a>,
    before: Option<&[u8]>,
    after: Option<&[u8]>,
    leaves_max: usize,
) -> Result<Vec<Item<'a>>, Refused> {
    let mut out = Vec::new();
    let count = run.len();
    if run.is_empty() {
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
        reach(&mut stack, parent, index, out.len());
        if run.is_hashed(index) {
            let reference = scheme.hashed_leaf(key, value, (parent + 1) as usize)?;
            out.push(node(key, reference, parent, 1));
            hang::<RADIX, S>(&mut stack, key, reference);
        } else if parent == S::Path::digits(key) as isize {
            let payload = scheme.value(key, value)?;
            out.push(Item { key, payload, kind: Kind::Value, depth: 0, leaves: 1 });
            if let Some(branch) = stack.last_mut() {
                branch.value = Some(payload);
            }
        } else {
            let reference = scheme.leaf(key, value, (parent + 1) as usize)?;
            out.push(node(key, reference, parent, 1));
            hang::<RADIX, S>(&mut stack, key, reference);
        }
        while let Some(branch) = stack.pop_if(|branch| branch.depth > below) {
            if branch.depth <= left {
                continue;
            }
            let parent = stack.last().map_or(OUTSIDE, |top| top.depth).max(below).max(left);
            reach(&mut stack, parent, branch.first, branch.position);
            // Where this one is too large, so is every branch above it: nobody will ask for its reference.
            let leaves = index + 1 - branch.first;
            if leaves <= leaves_max {
                let (start, depth) = ((parent + 1) as usize, branch.depth as usize);
                let reference = scheme.branch(&branch.slots, branch.value, key, start, depth)?;
                out.truncate(branch.position);
                out.push(node(key, reference, parent, leaves));
                hang::<RADIX, S>(&mut stack, key, reference);
            }
        }
        left = left.min(below);
        above = below;
    }
    Ok(out)
}

fn node<'a>(key: &'a [u8], reference: Reference, parent: isize, leaves: usize) -> Item<'a> {
    let (payload, depth) = (Payload::Reference(reference), (parent + 1) as usize);
    Item { key, payload, kind: Kind::Node, depth, leaves }
}

/// Makes the branch at `depth` the top of the stack. The root has no parent: OUTSIDE is not a branch.
fn reach<const RADIX: usize>(stack: &mut Vec<Branch<'_, RADIX>>, depth: isize, first: usize, position: usize) {
    if depth > stack.last().map_or(OUTSIDE, |top| top.depth) {
        stack.push(Branch { depth, slots: [None; RADIX], value: None, first, position });
    }
}

/// Puts a child of the branch on top into its slot.
fn hang<const RADIX: usize, S: Scheme<RADIX>>(stack: &mut [Branch<'_, RADIX>], key: &[u8], reference: Reference) {
    if let Some(branch) = stack.last_mut() {
        branch.slots[S::Path::digit(key, branch.depth as usize)] = Some(reference);
    }
}
