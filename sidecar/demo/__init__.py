"""The demo: the whole product at work on real state in under a minute, on this machine only.

`genesis` finds the state, `traffic` makes heights on top of it, `relay` plays the bad peers, `scene` runs it all.
"""
