"""`python -m skinzoo`: the command line."""

from skinzoo.cli import main

if __name__ == "__main__":
    main()
