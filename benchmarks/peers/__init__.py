"""Other implementations of the same steps, measured on the same leaves in the same run. None is needed by the tests.

Each is built by hand, with the command in its own directory's README or in docs/performance.md.
"""
