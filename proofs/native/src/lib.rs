//! The native twin of `proofs.fold` over whole leaf runs.
//!
//! One function: encoded run and neighbours in, frontier out. It defines nothing: `proofs/fold.py` and
//! `proofs/schemes/` are the definition, and whoever changes them changes this too. Whatever is wrong with the input is
//! a `ValueError`; the Python side runs the reference again to say precisely what.

mod fold;
mod path;
mod rlp;
mod run;
mod schemes;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Why a run was refused. The reference finds the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub &'static str);

/// A frontier item as Python gets it: key, payload, kind, depth.
type PyItem = (Py<PyBytes>, Py<PyBytes>, u8, usize);

/// The frontier of an encoded leaf run between its neighbours, as `proofs.fold.fold` gives it.
///
/// Raises ValueError for an unknown scheme, a malformed run, or leaves that the scheme refuses.
#[pyfunction]
#[pyo3(signature = (scheme, run, before=None, after=None))]
fn frontier(
    py: Python<'_>,
    scheme: &str,
    run: &[u8],
    before: Option<&[u8]>,
    after: Option<&[u8]>,
) -> PyResult<Vec<PyItem>> {
    let items = py
        .detach(|| schemes::frontier(scheme, run, before, after))
        .map_err(|refused| PyValueError::new_err(refused.0))?;
    Ok(items
        .iter()
        .map(|item| {
            (
                PyBytes::new(py, item.key).unbind(),
                PyBytes::new(py, item.payload.bytes()).unbind(),
                item.kind as u8,
                item.depth,
            )
        })
        .collect())
}

/// Names of the schemes that this kernel folds.
#[pyfunction]
fn schemes_known() -> Vec<&'static str> {
    schemes::NAMES.to_vec()
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(frontier, module)?)?;
    module.add_function(wrap_pyfunction!(schemes_known, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}
