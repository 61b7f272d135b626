"""Prepare 300W for quick training.

    python data_scripts/prepare_300w.py                    what to download, from whom, on what terms
    python data_scripts/prepare_300w.py --from FOLDER      convert it; goes on where it was cut off

The same as ``python -m gazecourse prepare 300w``; ``--help`` tells the other options.
"""

import sys

from gazecourse.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["prepare", "300w", *sys.argv[1:]]))
