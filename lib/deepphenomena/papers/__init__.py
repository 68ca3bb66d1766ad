"""Machinery that exactly one chapter needs and a reader would rather not see, a module or folder per chapter."""
