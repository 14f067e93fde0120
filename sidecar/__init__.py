"""What *runs*: the daemon beside a node, sources of write logs, configuration, metrics, the command line.

    cli/         the commands, one file a noun; `failure` knows exit codes, `output` all of rich
    daemon       follows a source, cuts checkpoints, serves; with `cutter`, `gate`, `health`, `stop`
    endpoint     serves a store alone
    source       the protocol; `sources/` one file for each kind of node
    importers/   other programs' files to write logs, pure; but for `importers/solana`, which fills mirrors
    jam/         state keys, traces, state requests (CE 129), the fuzz protocol
    config       all of pydantic; `metrics` all of prometheus_client; `log` the event log; `observer` joins the two
    apply, catalog, leaf_proof, doctor, bench   what single commands do
    demo/        the whole product at work on real state

Nothing imports it but `leafmirror/`'s entry point: whoever embeds the library uses the layers below.
"""
