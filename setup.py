"""Adds the native kernel to the build where a Rust compiler is at hand; everything else is in pyproject.toml.

LEAFMIRROR_BUILD_KERNEL=1 makes a failed kernel an error, =0 leaves it out.
"""

import os
import shutil

from setuptools import setup
from setuptools_rust import Binding, RustExtension

wanted = os.environ.get("LEAFMIRROR_BUILD_KERNEL")
extensions = []
if wanted != "0" and (wanted == "1" or shutil.which("cargo")):
    extensions.append(
        RustExtension(
            "proofs._native",
            path="proofs/native/Cargo.toml",
            binding=Binding.PyO3,
            debug=False,
            optional=wanted != "1",
            py_limited_api="auto",
        )
    )

setup(rust_extensions=extensions)
