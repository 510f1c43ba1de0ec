"""``python -m compoundnet``: the command line."""

from compoundnet.cli import main

if __name__ == "__main__":
    main()
