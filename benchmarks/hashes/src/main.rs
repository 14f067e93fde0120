//! Nanoseconds for one hash of what trie nodes are: a few dozen to a few hundred bytes. The best of many short runs, so
//! that other work on the machine does not count. `cargo run --release`

use std::hint::black_box;
use std::time::Instant;

use aws_lc_rs::digest as aws;
use blake2::digest::consts::U32;
use ring::digest as ring;
use sha2::Digest;
use tiny_keccak::Hasher;

const RUNS: usize = 400;
const HASHES: u32 = 500;

fn time(function: &str, crate_name: &str, sizes: [usize; 3], hash: impl Fn(&[u8]) -> u8) {
    print!("| {function} | {crate_name} |");
    for size in sizes {
        let data = vec![7; size];
        let run = || {
            let began = Instant::now();
            (0..HASHES).for_each(|_| {
                black_box(hash(black_box(&data)));
            });
            began.elapsed() / HASHES
        };
        let best = (0..RUNS).map(|_| run()).min().unwrap_or_default();
        print!(" {} B: {} ns |", size, best.as_nanos());
    }
    println!();
}

fn keccak(data: &[u8]) -> u8 {
    let (mut hasher, mut hash) = (tiny_keccak::Keccak::v256(), [0; 32]);
    hasher.update(data);
    hasher.finalize(&mut hash);
    hash[0]
}

fn main() {
    // An mkvs leaf of the benchmarks has 111 bytes, a branch about 100; a leaf with a value of 1 kB is the third.
    let sizes = [100, 111, 1065];
    time("SHA-512/256", "ring", sizes, |data| ring::digest(&ring::SHA512_256, data).as_ref()[0]);
    time("SHA-512/256", "aws-lc-rs", sizes, |data| aws::digest(&aws::SHA512_256, data).as_ref()[0]);
    time("SHA-512/256", "sha2", sizes, |data| sha2::Sha512_256::digest(data)[0]);
    // A leaf, a small and a full branch of an Ethereum trie.
    let sizes = [104, 140, 532];
    time("Keccak-256", "keccak-asm", sizes, |data| keccak_asm::Keccak256::digest(data)[0]);
    time("Keccak-256", "sha3", sizes, |data| sha3::Keccak256::digest(data)[0]);
    time("Keccak-256", "tiny-keccak", sizes, keccak);
    // Nodes of JAM and NOMT have 64 bytes; the others are values.
    let sizes = [64, 70, 1024];
    time("BLAKE2b-256", "blake2", sizes, |data| <blake2::Blake2b<U32> as blake2::Digest>::digest(data)[0]);
    time("BLAKE2b-256", "blake2b_simd", sizes, |data| {
        blake2b_simd::Params::new().hash_length(32).hash(data).as_bytes()[0]
    });
    time("BLAKE3", "blake3", sizes, |data| blake3::hash(data).as_bytes()[0]);
    time("SHA-256", "ring", sizes, |data| ring::digest(&ring::SHA256, data).as_ref()[0]);
    time("SHA-256", "aws-lc-rs", sizes, |data| aws::digest(&aws::SHA256, data).as_ref()[0]);
    time("SHA-256", "sha2", sizes, |data| sha2::Sha256::digest(data)[0]);
}
