"""Checkpoint format `oasis-1`: the chain's own, made, kept and judged as Oasis nodes do, and more strictly.

`snappy` (framing), `shape` (what keys and sizes fix), `cuts` (where chunks end), `siblings` (the hashes they name),
`emit` (their bytes), `create`, `store` (on disk), `restore`.
"""
