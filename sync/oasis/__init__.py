"""Checkpoint format `oasis-1`: the chain's own, made, kept and judged as Oasis nodes do, and more strictly.

Making: `shape` (what keys and sizes fix), `cuts` (where chunks end), `runs`, `draft` (what they show), `siblings` (the
hashes they name), `snappy` (framing), `emit` (files), `create`. Keeping: `store`. Judging: `restore`, `restored`.
"""
