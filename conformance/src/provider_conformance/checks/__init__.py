"""The checks, one module per area. Each is a function with one argument, the judge of its role; see `registry`.

A body arranges, makes one kind of call, and judges. It never sleeps, never swallows a failure, and leaves nothing behind.
"""
