//! The schemes that this kernel folds, by the names that Python gives them.

mod ethereum;
mod jam;
pub mod mkvs;
mod mpt;
mod nomt;
mod solana;

use crate::Refused;
use crate::fold::{Kind, Scheme, fold};
use crate::run::LeafRun;

pub const NAMES: [&str; 7] = ["mkvs", "mpt", "ethereum", "jam", "nomt-blake3", "nomt-sha2", "solana-lattice"];

/// A closed subtree with its payload written out: `leaves` of the run's, the last of which has `key`.
pub struct Folded<'a> {
    pub key: &'a [u8],
    pub payload: Vec<u8>,
    pub kind: Kind,
    pub depth: usize,
    pub leaves: usize,
}

/// `fold` of an encoded run under the scheme called `scheme`. `hashed`: a mark for each leaf whose value is known by
/// its hash; None where no leaf's is.
pub fn fold_run<'a>(
    scheme: &str,
    run: &'a [u8],
    hashed: Option<&'a [u8]>,
    before: Option<&[u8]>,
    after: Option<&[u8]>,
    leaves_max: usize,
) -> Result<Vec<Folded<'a>>, Refused> {
    let run = LeafRun::decode(run)?;
    let run = match hashed {
        Some(marks) => run.with_hashed(marks)?,
        None => run,
    };
    match scheme {
        "mkvs" => folded(mkvs::Mkvs::default(), &run, before, after, leaves_max),
        "mpt" => folded(mpt::Mpt::default(), &run, before, after, leaves_max),
        "ethereum" => folded(ethereum::Ethereum::default(), &run, before, after, leaves_max),
        "jam" => folded(jam::Jam, &run, before, after, leaves_max),
        "nomt-blake3" => folded(nomt::Nomt::<nomt::Blake3>::default(), &run, before, after, leaves_max),
        "nomt-sha2" => folded(nomt::Nomt::<nomt::Sha2>::default(), &run, before, after, leaves_max),
        "solana-lattice" => folded(solana::Lattice::default(), &run, before, after, leaves_max),
        _ => Err(Refused("a scheme that this kernel does not know")),
    }
}

fn folded<'a, const RADIX: usize, S: Scheme<RADIX>>(
    mut scheme: S,
    run: &LeafRun<'a>,
    before: Option<&[u8]>,
    after: Option<&[u8]>,
    leaves_max: usize,
) -> Result<Vec<Folded<'a>>, Refused> {
    let items = fold(&mut scheme, run, before, after, leaves_max)?;
    let written = |item: &crate::fold::Item<'a>| {
        let payload = scheme.expand(&item.payload);
        Folded { key: item.key, payload, kind: item.kind, depth: item.depth, leaves: item.leaves }
    };
    Ok(items.iter().map(written).collect())
}
