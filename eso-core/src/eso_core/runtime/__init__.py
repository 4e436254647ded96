"""Where a core runs: today a folder of manifests, with providers that run already or that are started as children."""
