collect_ignore = ["peers"]  # they import what the project does not depend on (PyTorch, neural-tangents)
