"""`python -m ddcore` is the command `ddcore`."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="ddcore")
