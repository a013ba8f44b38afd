"""`python -m kdrun` is the `kdrun` command; torchrun starts it this way."""

from kdrun.cli.main import main

if __name__ == "__main__":
    main()
