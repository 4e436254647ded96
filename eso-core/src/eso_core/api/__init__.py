"""What users write, as typed models: stores, generators, ExternalSecrets and the few Kubernetes objects beside them.

Everything is strict. An error names the object, the field and what to do; it never shows the value it found.
"""
