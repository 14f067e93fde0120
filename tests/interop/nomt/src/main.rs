//! A real NOMT database behind a line of JSON in, a line of JSON out.
//!
//! `nomt-interop HASHER DIRECTORY` opens an empty database in DIRECTORY (HASHER: blake3 or sha2) and answers, one line
//! each, on standard output:
//!
//!     {"op": "apply", "writes": [[key, value or null], ...]}       -> {"root": ...}
//!     {"op": "prove", "keys": [...]}                               -> {"proofs": [borsh, ...], "multi": borsh}
//!     {"op": "verify_path", "proof": borsh, "root": ..., "key": ..., "value": value or null}  -> {"valid": bool}
//!     {"op": "verify_multi", "proof": borsh, "root": ..., "leaves": [[key, value or null], ...]} -> {"valid": bool}
//!
//! All bytes are hex. Keys of `prove` are sorted and lead to different terminals.

use std::io::{self, BufRead, Write};

use anyhow::{anyhow, bail, Context, Result};
use borsh::BorshDeserialize;
use nomt::hasher::{Blake3Hasher, Sha2Hasher, ValueHasher};
use nomt::proof::{verify_multi_proof, MultiProof, PathProof};
use nomt::trie::{KeyPath, LeafData, Node};
use nomt::{HashAlgorithm, KeyReadWrite, Nomt, Options, SessionParams};
use serde::Deserialize;
use serde_json::{json, Value};

type Leaf = (String, Option<String>);

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Request {
    Apply { writes: Vec<Leaf> },
    Prove { keys: Vec<String> },
    VerifyPath { proof: String, root: String, key: String, value: Option<String> },
    VerifyMulti { proof: String, root: String, leaves: Vec<Leaf> },
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (hasher, directory) = (arguments.next(), arguments.next());
    let directory = directory.context("usage: nomt-interop blake3|sha2 DIRECTORY")?;
    match hasher.as_deref() {
        Some("blake3") => serve::<Blake3Hasher>(&directory),
        Some("sha2") => serve::<Sha2Hasher>(&directory),
        _ => bail!("the hasher is blake3 or sha2"),
    }
}

fn serve<H: HashAlgorithm>(directory: &str) -> Result<()> {
    let mut options = Options::new();
    options.path(directory);
    options.hashtable_buckets(4096);
    options.commit_concurrency(1);
    let nomt = Nomt::<H>::open(options)?;
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let answer = answer::<H>(&nomt, serde_json::from_str(&line?)?)?;
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn answer<H: HashAlgorithm>(nomt: &Nomt<H>, request: Request) -> Result<Value> {
    match request {
        Request::Apply { writes } => apply(nomt, writes),
        Request::Prove { keys } => prove(nomt, keys),
        Request::VerifyPath { proof, root, key, value } => {
            let proof = PathProof::try_from_slice(&hex::decode(proof)?)?;
            Ok(json!({"valid": verify_path::<H>(&proof, node(&root)?, node(&key)?, value)?}))
        }
        Request::VerifyMulti { proof, root, leaves } => {
            let proof = MultiProof::try_from_slice(&hex::decode(proof)?)?;
            Ok(json!({"valid": verify_multi::<H>(&proof, node(&root)?, leaves)?}))
        }
    }
}

fn apply<H: HashAlgorithm>(nomt: &Nomt<H>, writes: Vec<Leaf>) -> Result<Value> {
    let session = nomt.begin_session(SessionParams::default());
    let mut actuals = Vec::with_capacity(writes.len());
    for (key, value) in writes {
        let path = node(&key)?;
        session.warm_up(path);
        actuals.push((path, KeyReadWrite::Write(value.map(hex::decode).transpose()?)));
    }
    session.finish(actuals)?.commit(nomt)?;
    Ok(json!({"root": hex::encode(nomt.root().into_inner())}))
}

fn prove<H: HashAlgorithm>(nomt: &Nomt<H>, keys: Vec<String>) -> Result<Value> {
    let session = nomt.begin_session(SessionParams::default());
    let mut proofs = Vec::with_capacity(keys.len());
    for key in keys {
        proofs.push(session.prove(node(&key)?)?);
    }
    let encoded = proofs.iter().map(encode).collect::<Result<Vec<_>>>()?;
    let multi = encode(&MultiProof::from_path_proofs(proofs))?;
    Ok(json!({"proofs": encoded, "multi": multi}))
}

fn verify_path<H: HashAlgorithm>(proof: &PathProof, root: Node, key: KeyPath, value: Option<String>) -> Result<bool> {
    use bitvec::prelude::{BitSlice, Msb0};
    let Ok(verified) = proof.verify::<H>(BitSlice::<u8, Msb0>::from_slice(&key), root) else {
        return Ok(false);
    };
    let confirmed = match leaf::<H>(key, value)? {
        Some(leaf) => verified.confirm_value(&leaf),
        None => verified.confirm_nonexistence(&key),
    };
    Ok(confirmed.unwrap_or(false))
}

fn verify_multi<H: HashAlgorithm>(proof: &MultiProof, root: Node, leaves: Vec<Leaf>) -> Result<bool> {
    let Ok(verified) = verify_multi_proof::<H>(proof, root) else {
        return Ok(false);
    };
    for (key, value) in leaves {
        let key = node(&key)?;
        let confirmed = match leaf::<H>(key, value)? {
            Some(leaf) => verified.confirm_value(&leaf),
            None => verified.confirm_nonexistence(&key),
        };
        if !confirmed.unwrap_or(false) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn leaf<H: ValueHasher>(key_path: KeyPath, value: Option<String>) -> Result<Option<LeafData>> {
    let Some(value) = value else { return Ok(None) };
    Ok(Some(LeafData { key_path, value_hash: H::hash_value(&hex::decode(value)?) }))
}

fn encode<T: borsh::BorshSerialize>(value: &T) -> Result<String> {
    Ok(hex::encode(borsh::to_vec(value)?))
}

fn node(text: &str) -> Result<[u8; 32]> {
    hex::decode(text)?.try_into().map_err(|_| anyhow!("expected 32 bytes of hex"))
}
