"""Oasis proofs and messages, byte for byte as Oasis Core has them. Pure, as all of `proofs`.

`fields`, `messages` and `runtime` (what travels), `node` (one node: bytes and hash), `proof` (judging: opened into
items, folded), `tree` (the trie as nodes, whole or as a spine), `reads` (the three proof-returning reads), `entries`
(what a chunk shows of a run of leaves), `chunk` (a chunk opened again).
"""
