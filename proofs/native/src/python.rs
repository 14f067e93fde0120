//! What Python sees: encoded runs and neighbours in, closed subtrees out. The interpreter's lock is given up while
//! leaves are hashed.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::fold::Kind;
use crate::oasis::{Open, Shape, write_entries};
use crate::oasis_chunk::{Named, open_chunk};
use crate::run::LeafRun;
use crate::{Refused, schemes};

/// A frontier item: key, payload, kind, depth.
type PyItem = (Py<PyBytes>, Py<PyBytes>, u8, usize);
/// A piece of a run: leaf count, depth, kind, payload.
type PyPiece = (usize, usize, u8, Py<PyBytes>);
/// Keys and values.
type Columns = (Py<PyList>, Py<PyList>);
/// Joined entries, (offset, size) of the large ones, the path behind them.
type PyEntries = (Py<PyBytes>, Vec<(usize, usize)>, Vec<Open>);
/// Root, keys and values of the leaves shown, subtrees only named.
type PyChunk = (Py<PyBytes>, Columns, Vec<PyItem>);

fn refused(reason: Refused) -> PyErr {
    PyValueError::new_err(reason.0)
}

/// The frontier of an encoded leaf run between its neighbours, as `proofs.fold.fold` gives it. `hashed` has a byte for
/// each leaf, not 0 where the value is a `HashedValue`.
///
/// Raises ValueError for an unknown scheme, a malformed run, or leaves that the scheme refuses.
#[pyfunction]
#[pyo3(signature = (scheme, run, before=None, after=None, hashed=None))]
fn frontier(
    py: Python<'_>,
    scheme: &str,
    run: &[u8],
    before: Option<&[u8]>,
    after: Option<&[u8]>,
    hashed: Option<&[u8]>,
) -> PyResult<Vec<PyItem>> {
    let items = py.detach(|| schemes::fold_run(scheme, run, hashed, before, after, usize::MAX)).map_err(refused)?;
    let item = |item: &schemes::Folded<'_>| {
        let payload = PyBytes::new(py, &item.payload).unbind();
        (PyBytes::new(py, item.key).unbind(), payload, item.kind as u8, item.depth)
    };
    Ok(items.iter().map(item).collect())
}

/// The maximal closed subtrees of at most `leaves_max` leaves of an encoded run, in key order.
///
/// Raises ValueError as `frontier`.
#[pyfunction]
#[pyo3(signature = (scheme, run, leaves_max, before=None, after=None))]
fn split(
    py: Python<'_>,
    scheme: &str,
    run: &[u8],
    leaves_max: usize,
    before: Option<&[u8]>,
    after: Option<&[u8]>,
) -> PyResult<Vec<PyPiece>> {
    let items = py.detach(|| schemes::fold_run(scheme, run, None, before, after, leaves_max)).map_err(refused)?;
    let piece = |item: &schemes::Folded<'_>| {
        let payload = PyBytes::new(py, &item.payload).unbind();
        (item.leaves, item.depth, item.kind as u8, payload)
    };
    Ok(items.iter().map(piece).collect())
}

/// Keys and values of an encoded run, as two lists.
///
/// Raises ValueError for a malformed run or keys that do not ascend.
#[pyfunction]
fn decode(py: Python<'_>, run: &[u8]) -> PyResult<Columns> {
    let run = py.detach(|| LeafRun::decode(run)).map_err(refused)?;
    let keys = PyList::new(py, (0..run.len()).map(|index| PyBytes::new(py, run.key(index))))?;
    let values = PyList::new(py, (0..run.len()).map(|index| PyBytes::new(py, run.value(index))))?;
    Ok((keys.unbind(), values.unbind()))
}

/// Joined entries of an Oasis chunk, where large ones are, and the path behind them, as
/// `proofs.oasis.entries.write_entries` gives them. Columns are native u16.
///
/// Raises ValueError for a malformed run, or a shape that is not that of its leaves.
#[pyfunction]
fn oasis_entries(
    py: Python<'_>,
    run: &[u8],
    shared: &[u8],
    opened: &[u8],
    ends: &[u8],
    path: Vec<(u16, i32)>,
    inside: bool,
) -> PyResult<PyEntries> {
    let written = py
        .detach(|| {
            let (shared, opened, ends) = (numbers(shared), numbers(opened), numbers(ends));
            let shape = Shape { shared: &shared, opened: &opened, ends: &ends };
            write_entries(&LeafRun::decode(run)?, &shape, &path, inside)
        })
        .map_err(refused)?;
    Ok((PyBytes::new(py, &written.plain).unbind(), written.large, written.path))
}

/// What an Oasis chunk shows and folds to, as `proofs.oasis.chunk.open_chunk` gives it.
///
/// Raises ValueError for whatever that refuses.
#[pyfunction]
fn open_oasis_chunk(py: Python<'_>, plain: &[u8], entries_max: usize, depth_max: usize) -> PyResult<PyChunk> {
    let opened = py.detach(|| open_chunk(plain, entries_max, depth_max)).map_err(refused)?;
    let keys = PyList::new(py, opened.leaves.iter().map(|leaf| PyBytes::new(py, leaf.0)))?;
    let values = PyList::new(py, opened.leaves.iter().map(|leaf| PyBytes::new(py, leaf.1)))?;
    let item = |named: &Named| {
        let hash = PyBytes::new(py, &named.hash).unbind();
        (PyBytes::new(py, &named.path).unbind(), hash, Kind::Node as u8, named.bits)
    };
    let named = opened.named.iter().map(item).collect();
    Ok((PyBytes::new(py, &opened.root).unbind(), (keys.unbind(), values.unbind()), named))
}

fn numbers(column: &[u8]) -> Vec<u16> {
    column.chunks_exact(2).map(|number| u16::from_ne_bytes([number[0], number[1]])).collect()
}

/// Names of the schemes that this kernel folds.
#[pyfunction]
fn schemes_known() -> Vec<&'static str> {
    schemes::NAMES.to_vec()
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(frontier, module)?)?;
    module.add_function(wrap_pyfunction!(split, module)?)?;
    module.add_function(wrap_pyfunction!(decode, module)?)?;
    module.add_function(wrap_pyfunction!(oasis_entries, module)?)?;
    module.add_function(wrap_pyfunction!(open_oasis_chunk, module)?)?;
    module.add_function(wrap_pyfunction!(schemes_known, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}
