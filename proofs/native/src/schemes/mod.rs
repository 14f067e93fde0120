//! The schemes that this kernel folds, by the names that Python gives them.

mod ethereum;
mod jam;
mod mkvs;
mod mpt;
mod nomt;

use crate::Refused;
use crate::fold::{Item, fold};
use crate::run::LeafRun;

pub const NAMES: [&str; 6] = ["mkvs", "mpt", "ethereum", "jam", "nomt-blake3", "nomt-sha2"];

/// `fold` of an encoded run under the scheme called `scheme`.
pub fn fold_run<'a>(
    scheme: &str,
    run: &'a [u8],
    before: Option<&[u8]>,
    after: Option<&[u8]>,
    leaves_max: usize,
) -> Result<Vec<Item<'a>>, Refused> {
    let run = LeafRun::decode(run)?;
    match scheme {
        "mkvs" => fold(&mut mkvs::Mkvs::default(), &run, before, after, leaves_max),
        "mpt" => fold(&mut mpt::Mpt::default(), &run, before, after, leaves_max),
        "ethereum" => fold(&mut ethereum::Ethereum::default(), &run, before, after, leaves_max),
        "jam" => fold(&mut jam::Jam, &run, before, after, leaves_max),
        "nomt-blake3" => fold(&mut nomt::Nomt::<nomt::Blake3>::default(), &run, before, after, leaves_max),
        "nomt-sha2" => fold(&mut nomt::Nomt::<nomt::Sha2>::default(), &run, before, after, leaves_max),
        _ => Err(Refused("a scheme that this kernel does not know")),
    }
}
