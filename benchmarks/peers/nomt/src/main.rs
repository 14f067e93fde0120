//! Times NOMT applying write logs with a root for each.
//!
//!     nomt-peer DIRECTORY THREADS STATE LOG...
//!
//! STATE and every LOG are leaf runs as docs/format.md defines them: all puts. DIRECTORY is missing or empty. The state
//! is committed first and not timed. Prints one JSON line with the seconds that each log took; reading it is not timed.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nomt::hasher::Blake3Hasher;
use nomt::{KeyReadWrite, Nomt, Options, SessionParams};

type Leaf = ([u8; 32], Vec<u8>);

const STATE_PART: usize = 50_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, threads, state, logs @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: nomt-peer DIRECTORY THREADS STATE LOG...");
    };
    let mut options = Options::new();
    options.path(directory);
    options.hashtable_buckets(1 << 20);
    options.commit_concurrency(threads.parse()?);
    let nomt = Nomt::<Blake3Hasher>::open(options)?;
    for part in read_run(state)?.chunks(STATE_PART) {
        apply(&nomt, part.to_vec())?;
    }
    let mut seconds = Vec::new();
    for log in logs {
        let leaves = read_run(log)?;
        let began = Instant::now();
        apply(&nomt, leaves)?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    println!("{{\"root\": \"{:?}\", \"seconds\": {seconds:?}}}", nomt.root());
    Ok(())
}

fn apply(nomt: &Nomt<Blake3Hasher>, leaves: Vec<Leaf>) -> Result<()> {
    let session = nomt.begin_session(SessionParams::default());
    for (key, _) in &leaves {
        session.warm_up(*key);
    }
    let writes = leaves.into_iter().map(|(key, value)| (key, KeyReadWrite::Write(Some(value)))).collect();
    session.finish(writes)?.commit(nomt)
}

fn read_run(path: &str) -> Result<Vec<Leaf>> {
    let data = fs::read(path).with_context(|| path.to_owned())?;
    let word = |at: usize| -> Result<usize> {
        let bytes = data.get(at..at + 4).context("a leaf run ends inside its sizes")?;
        Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
    };
    let count = word(0)?;
    let mut key_at = 4 + 8 * count;
    let mut value_at = key_at + 32 * count;
    let mut leaves = Vec::with_capacity(count);
    for index in 0..count {
        ensure!(word(4 + 4 * index)? == 32, "NOMT's keys have 32 bytes");
        let size = word(4 + 4 * (count + index))?;
        let key = data.get(key_at..key_at + 32).context("a leaf run ends inside its keys")?;
        let value = data.get(value_at..value_at + size).context("a leaf run ends inside its values")?;
        leaves.push((key.try_into()?, value.to_vec()));
        key_at += 32;
        value_at += size;
    }
    Ok(leaves)
}
