"""Honest measurements: one file a question, one JSON line an answer. See docs/performance.md.

    python -m benchmarks                          the set for the tables and plots of docs/performance.md
    python -m benchmarks.create --leaves 1000000  one question by itself

Run them on a machine that does nothing else. Every line says which kernel folded; without the native one they refuse to
run, because nobody would know what was measured.
"""
