//! The kernel against the model, on states of every awkward shape, between any neighbours; and hostile runs.
//!
//! Deterministic: the seed is fixed. PROPTEST_CASES=N looks further.

mod model;

use std::collections::BTreeMap;

use _native::Refused;
use _native::oasis_chunk::open_chunk;
use _native::schemes::{Folded, NAMES, fold_run};
use model::{Chunk, Model, Piece, slim_account, string, value_hash};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn config() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() }
}

fn encode<'a>(leaves: impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)> + Clone) -> Vec<u8> {
    let size = |part: &Vec<u8>| (part.len() as u32).to_le_bytes();
    let mut run = (leaves.clone().count() as u32).to_le_bytes().to_vec();
    leaves.clone().for_each(|(key, _)| run.extend(size(key)));
    leaves.clone().for_each(|(_, value)| run.extend(size(value)));
    leaves.clone().for_each(|(key, _)| run.extend(key));
    leaves.for_each(|(_, value)| run.extend(value));
    run
}

fn kernel_pieces(
    scheme: &str,
    run: &[u8],
    before: Option<&[u8]>,
    after: Option<&[u8]>,
    leaves_max: usize,
) -> Result<Vec<Piece>, Refused> {
    let items = fold_run(scheme, run, None, before, after, leaves_max)?;
    let piece = |item: Folded<'_>| (item.payload, item.kind as u8, item.depth, item.leaves, item.key.to_vec());
    Ok(items.into_iter().map(piece).collect())
}

/// Keys from few bytes: they nest, share long paths and end in zeros that look like padding.
fn short_key() -> impl Strategy<Value = Vec<u8>> {
    vec(select(vec![0x00, 0x01, 0x10, 0x11, 0x7F, 0x80, 0xFF]), 0..5)
}

/// A key of a fixed size, most of it the same for all.
fn fixed_key(size: usize) -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), select(vec![0x00, 0x01, 0x0F, 0x80, 0xFF]), any::<u8>(), any::<bool>()).prop_map(
        move |(at, byte, last, is_wild)| {
            let mut key = vec![0x55; size];
            key[at.index(size)] = byte;
            key[size - 1] = last;
            if is_wild {
                key[0] = last.rotate_left(3);
            }
            key
        },
    )
}

/// Lamports, data, executable byte, owner.
fn account() -> impl Strategy<Value = Vec<u8>> {
    (1..=u64::MAX, vec(any::<u8>(), 0..70), 0..2u8, any::<[u8; 32]>()).prop_map(
        |(lamports, data, executable, owner)| [&lamports.to_le_bytes()[..], &data, &[executable], &owner].concat(),
    )
}

fn slot_value() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..33).prop_map(|mut number| {
        number[0] = number[0].max(1);
        string(&number)
    })
}

fn ethereum_state() -> impl Strategy<Value = State> {
    let account =
        (fixed_key(32), any::<u8>(), any::<bool>(), btree_map(fixed_key(32), slot_value(), 0..6), any::<bool>());
    vec(account, 1..7).prop_map(|accounts| {
        let mut state = State::new();
        for (owner, nonce, is_rich, slots, has_code) in accounts {
            if state.contains_key(&owner) {
                continue;
            }
            let balance: &[u8] = if is_rich { &[0x80, 0, 7] } else { &[] };
            let code: &[u8] = if has_code { &[0xAB; 32] } else { &[] };
            let slots: Vec<_> = slots.into_iter().collect();
            state.insert(owner.clone(), slim_account(nonce, balance, &slots, code));
            state.extend(slots.into_iter().map(|(slot, value)| ([owner.clone(), slot].concat(), value)));
        }
        state
    })
}

fn states(scheme: &'static str) -> BoxedStrategy<State> {
    let value = |least| vec(any::<u8>(), least..70);
    match scheme {
        "mkvs" => btree_map(short_key(), value(0), 1..24).boxed(),
        "mpt" => prop_oneof![
            btree_map(short_key(), value(1), 1..24),
            btree_map(fixed_key(3), vec(any::<u8>(), 1..3), 1..40),
            btree_map(fixed_key(32), value(1), 1..24),
        ]
        .boxed(),
        "ethereum" => ethereum_state().boxed(),
        "jam" => btree_map(fixed_key(31), value(0), 1..24).boxed(),
        "solana-lattice" => btree_map(fixed_key(32), account(), 1..24).boxed(),
        _ => btree_map(fixed_key(32), value(0), 1..24).boxed(),
    }
}

fn any_scheme() -> impl Strategy<Value = (&'static str, State)> {
    select(NAMES.to_vec()).prop_flat_map(|scheme| states(scheme).prop_map(move |state| (scheme, state)))
}

proptest! {
    #![proptest_config(config())]

    /// Every range of a state, cut at every limit, has the subtrees and the references that the model gives it.
    #[test]
    fn pieces_are_those_of_the_model((scheme, state) in any_scheme(), a: Index, b: Index, limit in 1..30usize) {
        let model = Model::new(scheme);
        let leaves = model.leaves(state.clone());
        let (a, b) = (a.index(leaves.len()), b.index(leaves.len()));
        let (first, last) = (a.min(b), a.max(b) + 1);
        let before = first.checked_sub(1).map(|index| leaves[index].key.as_slice());
        let after = leaves.get(last).map(|leaf| leaf.key.as_slice());
        let run = encode(state.iter().skip(first).take(last - first));
        for leaves_max in [usize::MAX, limit] {
            let expected = model.pieces(&leaves, first, last, leaves_max);
            prop_assert_eq!(kernel_pieces(scheme, &run, before, after, leaves_max).unwrap(), expected);
        }
    }

    /// Whatever bytes come in, the answer is a refusal or a frontier, never a panic.
    #[test]
    fn bytes_from_anywhere_never_panic(
        scheme in select(NAMES.to_vec()),
        run in vec(any::<u8>(), 0..200),
        before in proptest::option::of(vec(any::<u8>(), 0..70)),
        after in proptest::option::of(vec(any::<u8>(), 0..70)),
        limit in 0..9usize,
        hashed in proptest::option::of(vec(0..2u8, 0..9)),
    ) {
        let _ = fold_run(scheme, &run, hashed.as_deref(), before.as_deref(), after.as_deref(), limit);
    }

    /// Nor does an honest run with damage: it gets past the first checks.
    #[test]
    fn damaged_runs_never_panic(
        (scheme, state) in any_scheme(),
        other in select(NAMES.to_vec()),
        flips in vec((any::<Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<Index>()),
        before in proptest::option::of(fixed_key(32)),
        after in proptest::option::of(vec(0xF0..=0xFFu8, 0..70)),
        mark in 0..2u8,
    ) {
        let marks = vec![mark; state.len()];
        let mut run = encode(state.iter());
        for (at, byte) in flips {
            let at = at.index(run.len());
            run[at] ^= byte;
        }
        if let Some(cut) = cut {
            run.truncate(cut.index(run.len()));
        }
        for scheme in [scheme, other] {
            let _ = fold_run(scheme, &run, Some(&marks), before.as_deref(), after.as_deref(), 3);
        }
    }

    /// The hash of a value folds to what the value folds to, where the scheme hashes values; elsewhere it is refused.
    #[test]
    fn hashes_stand_for_values((scheme, state) in any_scheme(), marks in vec(any::<bool>(), 24)) {
        let honest = kernel_pieces(scheme, &encode(state.iter()), None, None, usize::MAX).unwrap();
        let marks: Vec<u8> = marks.into_iter().take(state.len()).map(u8::from).chain(vec![0; state.len()]).take(state.len()).collect();
        let hashed: State = state
            .iter()
            .zip(&marks)
            .map(|((key, value), mark)| (key.clone(), if *mark == 1 { value_hash(scheme, value) } else { value.clone() }))
            .collect();
        let run = encode(hashed.iter());
        let found = fold_run(scheme, &run, Some(&marks), None, None, usize::MAX);
        if scheme.starts_with("nomt") {
            let payloads: Vec<_> = found.unwrap().into_iter().map(|item| item.payload).collect();
            prop_assert_eq!(payloads, honest.into_iter().map(|piece| piece.0).collect::<Vec<_>>());
        } else if marks.contains(&1) {
            prop_assert!(found.is_err());
        }
        let short = vec![0; state.len() - 1];
        prop_assert!(fold_run(scheme, &run, Some(&short), None, None, usize::MAX).is_err());
    }

    /// A chunk of any range of a state is opened into what the model put into it.
    #[test]
    fn chunks_are_those_of_the_model(state in states("mkvs"), a: Index, b: Index) {
        let leaves = Model::new("mkvs").leaves(state);
        let (a, b) = (a.index(leaves.len()), b.index(leaves.len()));
        let chunk = Chunk::new(&leaves, a.min(b), a.max(b) + 1);
        let opened = open_chunk(&chunk.plain, 1000, 128).unwrap();
        prop_assert_eq!(opened.root.to_vec(), chunk.root);
        let shown: Vec<_> = opened.leaves.iter().map(|leaf| (leaf.0.to_vec(), leaf.1.to_vec())).collect();
        prop_assert_eq!(shown, chunk.shown);
        let named: Vec<_> = opened.named.iter().map(|it| (it.path.clone(), it.bits, it.hash.to_vec())).collect();
        prop_assert_eq!(named, chunk.named);
    }

    /// Damage to a chunk never panics, and never goes unseen: it is refused, or folds to another root.
    #[test]
    fn damaged_chunks_are_not_believed(
        state in states("mkvs"),
        flips in vec((any::<Index>(), 0..8u8), 0..4),
        cut in proptest::option::of(any::<Index>()),
        depth_max in 0..40usize,
        entries_max in 0..80usize,
    ) {
        let leaves = Model::new("mkvs").leaves(state);
        let chunk = Chunk::new(&leaves, 0, leaves.len() / 2 + 1);
        let mut plain = chunk.plain.clone();
        for (at, bit) in flips {
            let at = at.index(plain.len());
            plain[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            plain.truncate(cut.index(plain.len()));
        }
        let _ = open_chunk(&plain, entries_max, depth_max);
        if plain != chunk.plain && let Ok(opened) = open_chunk(&plain, 1000, 128) {
            prop_assert_ne!(opened.root.to_vec(), chunk.root);
        }
    }

    /// Whatever bytes come in, a chunk is opened or refused.
    #[test]
    fn chunks_from_anywhere_never_panic(plain in vec(select(vec![0x42, 0x46, 0x4A, 0xF6, 0, 1, 2, 8, 0x80, 0xFF]), 0..60)) {
        let _ = open_chunk(&plain, 1000, 128);
    }

    /// One bit flipped in one value changes the root or is refused.
    #[test]
    fn every_value_reaches_the_root((scheme, mut state) in any_scheme(), at: Index, bit in 0..8u8) {
        let honest = kernel_pieces(scheme, &encode(state.iter()), None, None, usize::MAX).unwrap();
        let key = state.keys().nth(at.index(state.len())).unwrap().clone();
        let value = state.get_mut(&key).unwrap();
        prop_assume!(!value.is_empty());
        let at = at.index(value.len());
        value[at] ^= 1 << bit;
        let forged = kernel_pieces(scheme, &encode(state.iter()), None, None, usize::MAX);
        prop_assert_ne!(forged, Ok(honest));
    }
}

/// The deepest trie that is legal: 8,191 bytes of key, one leaf at every byte of the path.
#[test]
fn the_deepest_mkvs_trie_folds() {
    let state: State = (0..=8191).map(|size| (vec![0xA5; size], vec![1])).collect();
    let run = encode(state.iter());
    assert_eq!(kernel_pieces("mkvs", &run, None, None, usize::MAX).unwrap().len(), 1);
    let long: State = [(vec![0; 8192], vec![])].into();
    assert!(kernel_pieces("mkvs", &encode(long.iter()), None, None, usize::MAX).is_err());
}

/// 8,192 nested keys in one chunk: neither recursion nor a copy of the path at every level.
#[test]
fn the_deepest_chunk_opens() {
    let leaf = |size: u16| [&[0][..], &size.to_le_bytes(), &vec![0xA5; size as usize], &[0; 4]].concat();
    let mut chunk = Chunk::default();
    for size in 0..8191 {
        let label: &[u8] = if size == 0 { &[] } else { &[0xA5] };
        chunk.entry(&[&[1, 1, 8 * label.len() as u8, 0], label, &leaf(size)].concat());
        chunk.plain.push(0xF6);
    }
    chunk.entry(&[&[1], &leaf(8191)[..]].concat());
    // The bits of 0xA5 begin with a one: every left child is missing, and stands in front.
    assert_eq!(open_chunk(&chunk.plain, 100_000, 8191).unwrap().leaves.len(), 8192);
    assert!(open_chunk(&chunk.plain, 100_000, 8190).is_err());
}

/// Labels of thousands of bits, against the model.
#[test]
fn long_labels_are_those_of_the_model() {
    for size in [1, 2, 63, 64, 65, 1000, 8191] {
        let mut other = vec![0xFF; size];
        other[size - 1] = 0xFE;
        let state: State = [(vec![0xFF; size], vec![]), (other, vec![9]), (vec![0x80], vec![1])].into();
        let model = Model::new("mkvs");
        let leaves = model.leaves(state.clone());
        let found = kernel_pieces("mkvs", &encode(state.iter()), None, None, usize::MAX).unwrap();
        assert_eq!(found, model.pieces(&leaves, 0, leaves.len(), usize::MAX));
    }
}

#[test]
fn an_empty_run_has_no_pieces() {
    for scheme in NAMES {
        assert!(kernel_pieces(scheme, &[0; 4], None, None, usize::MAX).unwrap().is_empty());
    }
}

#[test]
fn neighbours_inside_the_run_and_unknown_schemes_are_refused() {
    let state: State = [(vec![5], vec![1]), (vec![7], vec![1])].into();
    let run = encode(state.iter());
    assert!(kernel_pieces("mkvs", &run, Some(&[5]), None, usize::MAX).is_err());
    assert!(kernel_pieces("mkvs", &run, None, Some(&[6]), usize::MAX).is_err());
    assert!(kernel_pieces("quantum", &run, None, None, usize::MAX).is_err());
}
