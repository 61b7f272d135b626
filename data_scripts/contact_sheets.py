"""Draw the contact sheets of the README: a row of faces of each domain, one person a picture.

python data_scripts/contact_sheets.py            # writes docs/faces/<domain>.jpg
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image

from gazecourse.faces import Renderer, domains

COLUMNS, ROWS = 8, 3
SIZE = 160
SEED = 1


def sheet(domain: domains.Domain, renderer: Renderer) -> Image.Image:
    """COLUMNS × ROWS people of a domain's training split."""
    count = COLUMNS * ROWS
    images, _ = renderer.render(domain.sample(range(count), people=count, seed=SEED, split="train"))
    rows = (images * 255).round().to(torch.uint8).view(ROWS, COLUMNS, 3, SIZE, SIZE)
    pixels = rows.permute(0, 3, 1, 4, 2).reshape(ROWS * SIZE, COLUMNS * SIZE, 3)
    return Image.fromarray(pixels.numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "docs" / "faces")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(SIZE, "cpu")
    for name, domain in domains.DOMAINS.items():
        path = out / f"{name}.jpg"
        sheet(domain, renderer).save(path, quality=85, optimize=True)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
