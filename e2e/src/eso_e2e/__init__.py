"""Real servers for tests: found, built from pinned sources when need be, started, and always stopped.

Nothing here is published and no provider imports it; tests reach it through the pytest fixtures of
`eso_e2e.fixtures`. Importing the package itself imports nothing heavy, because every server process starts
through `eso_e2e.guard`.
"""
