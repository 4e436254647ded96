"""Measurements, side by side in one run: `make bench`. Ratios are printed and kept in results.json."""
