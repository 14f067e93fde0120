"""Oasis proofs and messages, byte for byte as Oasis Core has them. Pure, as all of `proofs`.

`fields`, `messages` (what travels), `node` (one node: bytes and hash), `proof` (judging: opened into items, folded),
`tree` (the trie as nodes, whole or as a spine), `reads` (building: the three proof-returning reads).
"""
