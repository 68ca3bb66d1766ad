"""Left out of the collection: what runs under another JAX."""

collect_ignore = ["neural_tangents_values.py"]
