"""Honest measurements: one file a question, one JSON line an answer. See docs/performance.md."""
