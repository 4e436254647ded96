"""`python -m eso_core` is `eso-core`."""

from __future__ import annotations

from eso_core.cli import main

if __name__ == "__main__":
    main()
