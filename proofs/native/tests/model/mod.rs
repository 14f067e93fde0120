//! An independent, slow and obvious model of every scheme: tries are built from the top by looking at all leaves at
//! once, keys are lists of digits, and other crates do the hashing (but for BLAKE3, of which there is one).

use tiny_keccak::Hasher;

/// A leaf with its key spelled out as digits.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    path: Vec<u8>,
}

/// A closed subtree: payload, kind (1 node, 2 value), depth, leaf count, last key.
pub type Piece = (Vec<u8>, u8, usize, usize, Vec<u8>);

pub struct Model {
    scheme: &'static str,
}

impl Model {
    pub fn new(scheme: &'static str) -> Self {
        Model { scheme }
    }

    pub fn leaves(&self, state: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<Leaf> {
        state.into_iter().map(|(key, value)| Leaf { path: self.path(&key), key, value }).collect()
    }

    /// The maximal subtrees of at most `leaves_max` leaves that hold leaves [first, last) only.
    pub fn pieces(&self, leaves: &[Leaf], first: usize, last: usize, leaves_max: usize) -> Vec<Piece> {
        let mut found = Vec::new();
        self.collect(leaves, 0, 0, (first, last), leaves_max, &mut found);
        found
    }

    fn collect(
        &self,
        leaves: &[Leaf],
        offset: usize,
        at: usize,
        range: (usize, usize),
        leaves_max: usize,
        found: &mut Vec<Piece>,
    ) {
        let end = offset + leaves.len();
        if leaves.is_empty() || end <= range.0 || offset >= range.1 {
            return;
        }
        let inside = range.0 <= offset && end <= range.1;
        if inside && leaves.len() <= leaves_max {
            found.push((self.reference(leaves, at), 1, at, leaves.len(), leaves[leaves.len() - 1].key.clone()));
            return;
        }
        let depth = shared(leaves);
        let mut offset = offset;
        if leaves[0].path.len() == depth {
            if range.0 <= offset && offset < range.1 {
                found.push((self.value(&leaves[0]), 2, 0, 1, leaves[0].key.clone()));
            }
            offset += 1;
        }
        for digit in 0..16 {
            let below = children(leaves, depth, digit);
            self.collect(&below, offset, depth + 1, range, leaves_max, found);
            offset += below.len();
        }
    }

    fn path(&self, key: &[u8]) -> Vec<u8> {
        let nibbles = |part: &[u8]| part.iter().flat_map(|byte| [byte / 16, byte % 16]).collect::<Vec<u8>>();
        match self.scheme {
            "mpt" | "solana-lattice" => nibbles(key),
            "ethereum" if key.len() > 32 => [nibbles(&key[..32]), vec![0], nibbles(&key[32..])].concat(),
            "ethereum" => nibbles(key),
            _ => key.iter().flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1)).collect(),
        }
    }

    /// What a parent holds for the subtree of `leaves` (all it has) whose position is `at` digits deep.
    fn reference(&self, leaves: &[Leaf], at: usize) -> Vec<u8> {
        match self.scheme {
            "mkvs" => mkvs(leaves, at),
            "mpt" => inline_or_hash(mpt(leaves, at)),
            "ethereum" => inline_or_hash(ethereum(leaves, at)),
            "jam" => {
                let mut identity = jam(leaves, at);
                if at > 0 && leaves[0].path[at - 1] == 0 {
                    identity[0] &= 0x7F;
                }
                identity
            }
            "solana-lattice" => lattice(leaves),
            scheme => nomt(leaves, at, |data| value_hash(scheme, data)),
        }
    }

    fn value(&self, leaf: &Leaf) -> Vec<u8> {
        if self.scheme == "mkvs" { mkvs(std::slice::from_ref(leaf), 0) } else { leaf.value.clone() }
    }
}

/// A slim account whose storage root is that of its slots.
pub fn slim_account(nonce: u8, balance: &[u8], slots: &[(Vec<u8>, Vec<u8>)], code: &[u8]) -> Vec<u8> {
    let model = Model::new("mpt");
    let leaves = model.leaves(slots.iter().cloned());
    let root = if leaves.is_empty() { vec![] } else { root_of_storage(&leaves, 0) };
    let nonce: &[u8] = if nonce == 0 { &[] } else { &[nonce] };
    list(&[string(nonce), string(balance), string(&root), string(code)])
}

pub fn string(data: &[u8]) -> Vec<u8> {
    if data.len() == 1 && data[0] < 0x80 { data.to_vec() } else { [header(0x80, data.len()), data.to_vec()].concat() }
}

fn shared(leaves: &[Leaf]) -> usize {
    let mut depth = 0;
    while leaves.iter().all(|leaf| leaf.path.len() > depth && leaf.path[depth] == leaves[0].path[depth]) {
        depth += 1;
    }
    depth
}

fn children(leaves: &[Leaf], depth: usize, digit: u8) -> Vec<Leaf> {
    leaves.iter().filter(|leaf| leaf.path.get(depth) == Some(&digit)).cloned().collect()
}

/// The sum of all elements, lane by lane.
fn lattice(leaves: &[Leaf]) -> Vec<u8> {
    let mut lanes = vec![0u64; 1024];
    for leaf in leaves {
        let mut element = [0; 2048];
        blake3::Hasher::new().update(&leaf.value).update(&leaf.key).finalize_xof().fill(&mut element);
        for (lane, bytes) in lanes.iter_mut().zip(element.chunks(2)) {
            *lane += u64::from(bytes[0]) + 256 * u64::from(bytes[1]);
        }
    }
    lanes.iter().flat_map(|lane| ((lane % 65536) as u16).to_le_bytes()).collect()
}

fn sha512_256(data: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA512_256, data).as_ref().to_vec()
}

fn keccak(data: &[u8]) -> Vec<u8> {
    let mut hasher = tiny_keccak::Keccak::v256();
    let mut hash = vec![0; 32];
    hasher.update(data);
    hasher.finalize(&mut hash);
    hash
}

fn blake2b(data: &[u8]) -> Vec<u8> {
    blake2b_simd::Params::new().hash_length(32).hash(data).as_bytes().to_vec()
}

fn mkvs(leaves: &[Leaf], at: usize) -> Vec<u8> {
    match leaves {
        [] => sha512_256(b""),
        [leaf] => {
            let size = |part: &[u8]| (part.len() as u32).to_le_bytes().to_vec();
            sha512_256(&[vec![0], size(&leaf.key), leaf.key.clone(), size(&leaf.value), leaf.value.clone()].concat())
        }
        _ => {
            let depth = shared(leaves);
            let bits = &leaves[0].path[at.max(1) - 1..depth];
            let own = if leaves[0].path.len() == depth { &leaves[..1] } else { &[] };
            let size = (bits.len() as u16).to_le_bytes().to_vec();
            let below = |digit| mkvs(&children(leaves, depth, digit), depth + 1);
            sha512_256(&[vec![1], size, packed(bits), mkvs(own, 0), below(0), below(1)].concat())
        }
    }
}

/// Bits as bytes, left-aligned and zero-padded.
fn packed(bits: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; bits.len().div_ceil(8)];
    for (index, bit) in bits.iter().enumerate() {
        bytes[index / 8] |= bit << (7 - index % 8);
    }
    bytes
}

/// An Oasis chunk that shows leaves [first, last) of a state, and what a reader finds in it.
#[derive(Default)]
pub struct Chunk {
    pub root: Vec<u8>,
    pub plain: Vec<u8>,
    pub shown: Vec<(Vec<u8>, Vec<u8>)>,
    /// Position (zero-padded; its number of bits) and hash of what is only named.
    pub named: Vec<(Vec<u8>, usize, Vec<u8>)>,
}

impl Chunk {
    pub fn new(leaves: &[Leaf], first: usize, last: usize) -> Self {
        let mut chunk = Chunk { root: mkvs(leaves, 0), ..Chunk::default() };
        chunk.write(leaves, 0, 0, (first, last));
        chunk
    }

    fn write(&mut self, leaves: &[Leaf], offset: usize, at: usize, range: (usize, usize)) {
        if leaves.is_empty() {
            return self.plain.push(0xF6);
        }
        if offset + leaves.len() <= range.0 || offset >= range.1 {
            let hash = mkvs(leaves, at);
            self.entry(&[vec![2], hash.clone()].concat());
            return self.named.push((packed(&leaves[0].path[..at]), at, hash));
        }
        if let [leaf] = leaves {
            let node = self.show(leaf);
            return self.entry(&[vec![1], node].concat());
        }
        let depth = shared(leaves);
        let bits = &leaves[0].path[at.max(1) - 1..depth];
        let own = usize::from(leaves[0].path.len() == depth);
        let embedded = if own == 1 { self.show(&leaves[0]) } else { vec![2] };
        self.entry(&[vec![1, 1], (bits.len() as u16).to_le_bytes().to_vec(), packed(bits), embedded].concat());
        let left = children(leaves, depth, 0);
        self.write(&left, offset + own, depth + 1, range);
        self.write(&children(leaves, depth, 1), offset + own + left.len(), depth + 1, range);
    }

    fn show(&mut self, leaf: &Leaf) -> Vec<u8> {
        self.shown.push((leaf.key.clone(), leaf.value.clone()));
        let sizes = ((leaf.key.len() as u16).to_le_bytes().to_vec(), (leaf.value.len() as u32).to_le_bytes().to_vec());
        [vec![0], sizes.0, leaf.key.clone(), sizes.1, leaf.value.clone()].concat()
    }

    pub fn entry(&mut self, data: &[u8]) {
        let size = data.len();
        match size {
            0..24 => self.plain.push(0x40 + size as u8),
            24..256 => self.plain.extend([0x58, size as u8]),
            _ => self.plain.extend([0x59, (size / 256) as u8, (size % 256) as u8]),
        }
        self.plain.extend(data);
    }
}

fn header(base: u8, size: usize) -> Vec<u8> {
    if size < 56 {
        return vec![base + size as u8];
    }
    let digits: Vec<u8> = size.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    [vec![base + 55 + digits.len() as u8], digits].concat()
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let body = items.concat();
    [header(0xC0, body.len()), body].concat()
}

fn hex_prefix(nibbles: &[u8], is_leaf: bool) -> Vec<u8> {
    let flag = if is_leaf { 2 } else { 0 };
    let mut digits = if nibbles.len() % 2 == 1 { vec![flag + 1] } else { vec![flag, 0] };
    digits.extend_from_slice(nibbles);
    string(&digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect::<Vec<u8>>())
}

fn inline_or_hash(node: Vec<u8>) -> Vec<u8> {
    if node.len() < 32 { node } else { keccak(&node) }
}

fn slot(node: Option<Vec<u8>>) -> Vec<u8> {
    match node {
        None => string(&[]),
        Some(node) if node.len() < 32 => node,
        Some(node) => string(&keccak(&node)),
    }
}

/// Yellow Paper, appendix D: c(J, i).
fn mpt(leaves: &[Leaf], at: usize) -> Vec<u8> {
    if let [leaf] = leaves {
        return list(&[hex_prefix(&leaf.path[at..], true), string(&leaf.value)]);
    }
    let depth = shared(leaves);
    if depth > at {
        return list(&[hex_prefix(&leaves[0].path[at..depth], false), slot(Some(mpt(leaves, depth)))]);
    }
    let own = if leaves[0].path.len() == depth { leaves[0].value.clone() } else { vec![] };
    let below = |digit| {
        let part = children(leaves, depth, digit);
        slot(if part.is_empty() { None } else { Some(mpt(&part, depth + 1)) })
    };
    list(&(0..16).map(below).chain([string(&own)]).collect::<Vec<_>>())
}

fn root_of_storage(leaves: &[Leaf], at: usize) -> Vec<u8> {
    keccak(&mpt(leaves, at))
}

/// A trie of accounts, each with the root of its own trie inside; or, below an account, that trie.
fn ethereum(leaves: &[Leaf], at: usize) -> Vec<u8> {
    if at > 64 {
        return mpt(leaves, at);
    }
    let owner = &leaves[0].path[..64];
    if leaves.iter().all(|leaf| leaf.path[..64] == *owner) {
        return list(&[hex_prefix(&owner[at..], true), string(&full_account(&leaves[0].value, &leaves[1..]))]);
    }
    let depth = shared(leaves);
    if depth > at {
        return list(&[hex_prefix(&owner[at..depth], false), slot(Some(ethereum(leaves, depth)))]);
    }
    let below = |digit| {
        let part = children(leaves, depth, digit);
        slot(if part.is_empty() { None } else { Some(ethereum(&part, depth + 1)) })
    };
    list(&(0..16).map(below).chain([string(&[])]).collect::<Vec<_>>())
}

fn full_account(slim: &[u8], slots: &[Leaf]) -> Vec<u8> {
    let mut rest = if slim[0] == 0xF8 { &slim[2..] } else { &slim[1..] };
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let size = if rest[0] < 0x80 { 1 } else { 1 + (rest[0] - 0x80) as usize };
        fields.push(rest[..size].to_vec());
        rest = &rest[size..];
    }
    let root = if slots.is_empty() { keccak(&string(&[])) } else { root_of_storage(slots, 65) };
    fields[2] = string(&root);
    if fields[3] == string(&[]) {
        fields[3] = string(&keccak(&[]));
    }
    list(&fields)
}

/// Gray Paper, appendix D: M(d, i), one bit at a time.
fn jam(leaves: &[Leaf], at: usize) -> Vec<u8> {
    match leaves {
        [] => vec![0; 32],
        [leaf] if leaf.value.len() <= 32 => {
            let padding = vec![0; 32 - leaf.value.len()];
            blake2b(&[vec![0x80 + leaf.value.len() as u8], leaf.key.clone(), leaf.value.clone(), padding].concat())
        }
        [leaf] => blake2b(&[vec![0xC0], leaf.key.clone(), blake2b(&leaf.value)].concat()),
        _ => {
            let below = |digit| jam(&children(leaves, at, digit), at + 1);
            let mut node = [below(0), below(1)].concat();
            node[0] %= 0x80;
            blake2b(&node)
        }
    }
}

/// NOMT's hash function, of values and of nodes.
pub fn value_hash(scheme: &str, data: &[u8]) -> Vec<u8> {
    match scheme {
        "nomt-blake3" => blake3::hash(data).as_bytes().to_vec(),
        _ => ring::digest::digest(&ring::digest::SHA256, data).as_ref().to_vec(),
    }
}

/// NOMT, one bit at a time: the first bit of a node says whether it is a leaf.
fn nomt(leaves: &[Leaf], at: usize, hash: impl Fn(&[u8]) -> Vec<u8> + Copy) -> Vec<u8> {
    match leaves {
        [] => vec![0; 32],
        [leaf] => {
            let mut node = hash(&[leaf.key.clone(), hash(&leaf.value)].concat());
            node[0] = node[0] % 0x80 + 0x80;
            node
        }
        _ => {
            let below = |digit| nomt(&children(leaves, at, digit), at + 1, hash);
            let mut node = hash(&[below(0), below(1)].concat());
            node[0] %= 0x80;
            node
        }
    }
}
