//! The native twin of `proofs.fold` over whole leaf runs.
//!
//! It defines nothing: `proofs/fold.py`, `proofs/cut.py`, `proofs/schemes/`, `proofs/oasis/entries.py` and
//! `proofs/oasis/chunk.py` are the definition, and whoever changes them changes this too. Whatever is wrong with the
//! input is one `Refused`; the reference finds the words.

pub mod fold;
pub mod oasis;
pub mod oasis_chunk;
pub mod path;
#[cfg(feature = "python")]
mod python;
mod rlp;
pub mod run;
pub mod schemes;

/// Why a run was refused. Python turns it into a `ValueError` and runs the reference to say precisely what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub &'static str);
