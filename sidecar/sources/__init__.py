"""Sources of write logs, one file for each kind; `sidecar.source` says what they have in common."""
