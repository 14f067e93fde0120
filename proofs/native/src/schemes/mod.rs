//! The schemes that this kernel folds, by the names that Python gives them.

mod ethereum;
mod mkvs;
mod mpt;

use crate::Refused;
use crate::fold::{Item, fold};
use crate::run::LeafRun;

pub const NAMES: [&str; 3] = ["mkvs", "mpt", "ethereum"];

pub fn frontier<'a>(
    scheme: &str,
    run: &'a [u8],
    before: Option<&[u8]>,
    after: Option<&[u8]>,
) -> Result<Vec<Item<'a>>, Refused> {
    let run = LeafRun::decode(run)?;
    match scheme {
        "mkvs" => fold(&mut mkvs::Mkvs::default(), &run, before, after),
        "mpt" => fold(&mut mpt::Mpt::default(), &run, before, after),
        "ethereum" => fold(&mut ethereum::Ethereum::default(), &run, before, after),
        _ => Err(Refused("a scheme that this kernel does not know")),
    }
}
