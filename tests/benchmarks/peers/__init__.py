"""The other libraries' forms. They need neither this library nor its JAX: any Python that has the peer runs them.

`python tests/benchmarks --interpreter PyTorch=/path/to/its/python` takes another Python for a form.
"""
