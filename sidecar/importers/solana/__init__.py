"""Solana snapshot archives, full and incremental: read as a stream, verified, turned into leaves and write logs."""
