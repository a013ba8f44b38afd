"""Image files with other bytes: an image, or a sentence that names the file."""

import io
from pathlib import Path

import numpy as np
import pytest
from damage import Damage, damage_bytes, damages
from fuzzer import fuzz
from PIL import Image

from kdrun.core.errors import UserError
from kdrun.dataset.image.image_files import read_header, read_image

KINDS = ("flip", "flip", "cut", "insert", "zeros", "empty")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.filterwarnings("ignore")  # of Pillow, about what is damaged
def test_an_image_of_other_bytes_is_read_or_named(kind: str, tmp_path: Path) -> None:
    packed = io.BytesIO()
    pixels = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)
    Image.fromarray(pixels).save(packed, format=kind)
    path = tmp_path / f"image.{kind.lower()}"

    def end_of(damage: Damage) -> str:
        content = packed.getvalue()
        place = damage.where % len(content)
        path.write_bytes(damage_bytes(content, damage.kind, place))
        for read in (read_header, lambda path: read_image(path, 3)):
            try:
                read(path)
            except UserError as error:
                if path.name not in str(error):
                    return f"another file is named: {error}"
            except Exception as error:  # noqa: BLE001 - what a fuzzer reports
                return f"{type(error).__name__}: {error}"
        return ""

    count, wrong = fuzz(damages(KINDS), end_of)
    assert not wrong, f"{len(wrong)} wrong ends of {count}: {wrong}"
