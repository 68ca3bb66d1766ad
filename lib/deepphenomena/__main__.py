"""`python -m deepphenomena` is the `deepphenomena` command."""

from deepphenomena.book.cli import main

if __name__ == "__main__":
    main()
