"""What everything else stands on: paths, errors, documents, threads, compilation, progress, statistics."""
