"""Prepare COFW for quick training.

    python data_scripts/prepare_cofw.py                    what to download, from whom, on what terms
    python data_scripts/prepare_cofw.py --from FOLDER      convert it; goes on where it was cut off

The same as ``python -m gazecourse prepare cofw``; ``--help`` tells the other options.
"""

import sys

from gazecourse.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["prepare", "cofw", *sys.argv[1:]]))
