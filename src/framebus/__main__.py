# SPDX-License-Identifier: Apache-2.0
"""`python -m framebus` is the command `framebus`."""

from framebus.cli import main

if __name__ == "__main__":
    main()
