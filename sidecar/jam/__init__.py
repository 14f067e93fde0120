"""JAM beside the node: state keys, published traces, the fuzz protocol's read side, state requests.

state_keys · what a 31-byte key stands for        header · the one header field a mirror needs, and its hash
trace · block-import traces as write logs         state_request · CE 129 over any stream
fuzz_message, fuzz_client, replay_target · the conformance protocol over a Unix socket
"""
