"""The foundation of all other packages: paths, errors, documents, threads, compilation, progress, statistics."""
