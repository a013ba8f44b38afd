"""Pictures of any depth get the 8 bits that their format says, are refused, or are warned of."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdrun import dataset
from kdrun.core.errors import UserError
from kdrun.dataset.image.transfer import transfer_data

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4  # 8 bits, 0 to 252
GIVEN = {"mean": [0.5], "std": [0.5], "channels": 1, "image_size": 8}


def saved(values: np.ndarray, kind: str = "TIFF") -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


def tiff(rows: bytes, bits: int, white_is_zero: bool = False, sample_format: int = 1) -> bytes:
    """An uncompressed grey image of 8x8: the header, the tags, the pixels."""
    photometric = 0 if white_is_zero else 1
    shorts = {256: 8, 257: 8, 258: bits, 259: 1, 262: photometric, 277: 1, 278: 8}
    place = 8 + 2 + 10 * 12 + 4
    tags = [(tag, 3, 1, value) for tag, value in shorts.items()]
    tags += [(273, 4, 1, place), (279, 4, 1, len(rows)), (339, 3, 1, sample_format)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + rows


def png_of_color(values: np.ndarray) -> bytes:
    """16 bits for each of red, green and blue, which Pillow reads and does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").repeat(3).tobytes() for row in values)
    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    sealed = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(sealed)


def packed_twelve(values: np.ndarray) -> bytes:
    pairs = values.reshape(-1, 2).astype(int)
    return b"".join(((a << 12) | b).to_bytes(3, "big") for a, b in pairs.tolist())


def pgm(values: np.ndarray, white: int) -> bytes:
    return f"P5 8 8 {white} ".encode() + values.astype(">u2").tobytes()


def wide(values: np.ndarray) -> np.ndarray:
    return values.astype(np.uint16) << 8


def alpha(mode: str, color: np.ndarray, opacity: np.ndarray) -> bytes:
    file = io.BytesIO()
    planes = [Image.fromarray(color)] * (len(mode) - 1)
    Image.merge(mode, [*planes, Image.fromarray(opacity)]).save(file, "PNG")
    return file.getvalue()


def palette(opacity: bytes) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(GREY).convert("L").copy()
    indexed = Image.frombytes("P", (8, 8), picture.tobytes())
    indexed.putpalette(bytes(768))
    indexed.save(file, "PNG", transparency=opacity)
    return file.getvalue()


READABLE = {
    "float.tif": saved(GREY / np.float32(255)),
    "float a little above one.tif": saved(np.where(GREY == 252, 1.001, GREY / 255).astype("f4")),
    "twelve bits.tif": tiff(packed_twelve(GREY.astype(int) << 4), 12),
    "sixteen bits.tif": saved(wide(GREY)),
    "sixteen bits.png": saved(wide(GREY), "PNG"),
    "white is zero.tif": tiff((65535 - wide(GREY)).astype("<u2").tobytes(), 16, True),
    "sixteen bits.pgm": pgm(wide(GREY), 65535),
    "twelve bits.pgm": pgm(wide(GREY) >> 4, 4095),
    "color.png": png_of_color(wide(GREY)),
    "opaque.png": alpha("RGBA", GREY, GREY),
}
UNSCALED = {
    "integers.tif": (saved(GREY.astype(np.int32) * 1000), "32 bits"),
    "signed.tif": (tiff(wide(GREY >> 1).astype("<i2").tobytes(), 16, sample_format=2), "signed"),
    "wide float.tif": (saved(GREY.astype(np.float32)), "from 0 to 252"),
    "negative float.tif": (saved(GREY / np.float32(255) - 1), "from -1 to"),
    "nan.tif": (saved(np.where(GREY == 8, np.nan, 0.5).astype("f4")), "NaN"),
    "infinite.tif": (saved(np.where(GREY == 8, np.inf, 0.5).astype("f4")), "infinite"),
    "alpha.png": (alpha("RGBA", GREY * 0, GREY), "transparency alone"),
    "grey alpha.png": (alpha("LA", GREY * 0 + 255, GREY), "transparency alone"),
    "palette.png": (palette(bytes(range(256))), "transparency alone"),
}
LOW = {
    "eight in sixteen.png": saved(GREY.astype(np.uint16), "PNG"),
    "twelve in sixteen.png": saved(wide(GREY) >> 4, "PNG"),
    "twelve in sixteen.tif": saved(wide(GREY) >> 4),
    "twelve in color.png": png_of_color(wide(GREY) >> 4),
}
Read = Callable[..., torch.Tensor]


@pytest.fixture(params=["memory", "stream", "unlabeled", "unlabeled stream", "transfer"])
def read(request, node, folder, tmp_path: Path) -> Read:
    """Read pictures with this content in one of the ways that pictures are read."""

    def pixels(name: str, content: bytes) -> torch.Tensor:
        place = "strange" if "un" in request.param or request.param == "transfer" else "train/cat"
        root, first = folder("train/dog", 6, mode="L"), folder(place, 0)
        for number in range(6):
            (first / place / f"{number} {name}").write_bytes(content)
        if place == "strange":
            folder("train/cat", 6, mode="L")
        stream = {"memory_limit": 0.0} if "stream" in request.param else {}
        changes = {**GIVEN, **stream, "test": 0.1, "validation": 0.1}
        strange = str(root / "strange")
        if "unlabeled" in request.param:
            changes["unlabeled"] = strange
        settings = node("imagefolder", root=str(root / "train"), **changes)
        data = dataset.load(settings)
        if request.param == "transfer":
            data = transfer_data(settings, data, strange, "scheme.transfer")
        batch = next(data.train.batches(data.train.size))
        return ((batch.inputs * 0.5 + 0.5) * 255).round().to(torch.uint8)[:, 0]

    return pixels


@pytest.mark.parametrize("name", READABLE)
def test_eight_bits_are_taken_on_the_scale_of_the_format(read: Read, name: str) -> None:
    images = read(name, READABLE[name])
    differences = (images.int() - torch.from_numpy(GREY).int()).abs().flatten(1).amax(1)
    if name == "float a little above one.tif":
        differences = differences - 3  # white, in place of 252
    assert int((differences <= 1).sum()) in (4, 5, 6)


@pytest.mark.parametrize("name", UNSCALED)
def test_what_has_no_scale_is_refused(read: Read, name: str) -> None:
    content, reason = UNSCALED[name]
    with pytest.raises(UserError) as caught:
        read(name, content)
    assert "can't be read" in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", LOW)
def test_sixteen_bits_whose_white_is_unknown_are_refused(read: Read, name: str) -> None:
    with pytest.raises(UserError) as caught:
        read(name, LOW[name])
    first, second, _ = caught.value.lines
    assert first.endswith("have 16 bits, and none looked at reaches 4,096.")
    assert second == (
        "  65,535 is white; the files don't say another white, and they would be nearly black"
    )


def test_a_dark_image_among_others_of_sixteen_bits_is_read(node, folder) -> None:
    root = folder("train/dog", 6, mode="L")
    folder("train/cat", 6, mode="L")
    for number, content in enumerate((LOW["eight in sixteen.png"], READABLE["sixteen bits.png"])):
        (root / "train/cat" / f"{number}.png").write_bytes(content)
    data = dataset.load(node("imagefolder", root=str(root / "train"), test=0.2, validation=0.2))
    assert data.train.size == 9


@pytest.mark.parametrize("limit", [4.0, 0.0])
@pytest.mark.parametrize(("pixel", "is_told"), [(0, True), (7, True), (None, False)])
def test_equal_training_pixels_are_warned_of(node, folder, limit, pixel, is_told) -> None:
    for name in ("cat", "dog"):
        root = folder(f"train/{name}", 6, mode="L")
        folder(f"test/{name}", 2, mode="L")
    if pixel is not None:
        for file in (root / "train").rglob("*.png"):
            Image.new("L", (8, 8), pixel).save(file)
    notes = dataset.load(node("imagefolder", root=str(root), memory_limit=limit, **GIVEN)).notes
    told = [note for note in notes if note.startswith("warning: ")]
    expected = f"warning: all training pixels are equal ({pixel}), so nothing can be learned"
    assert [note.partition(" from")[0] for note in told] == [expected] * is_told


@pytest.mark.parametrize("limit", [4.0, 0.0])
def test_equal_pixels_of_unlabeled_images_are_warned_of(node, folder, limit) -> None:
    for name in ("set/cat", "set/dog", "more"):
        root = folder(name, 8, mode="L")
    for file in (root / "more").glob("*.png"):
        Image.new("L", (8, 8)).save(file)
    words = {"root": str(root / "set"), "unlabeled": str(root / "more"), "memory_limit": limit}
    notes = dataset.load(node("imagefolder", **words, **GIVEN)).notes
    (told,) = [note for note in notes if note.startswith("warning: ")]
    assert told.startswith("warning: all unlabeled pixels are equal (0)")


ORIENTED = [(None, False), (1, False), (3, False), (6, True), (8, True), (5, True)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(("orientation", "turned"), ORIENTED)
@pytest.mark.parametrize("limit", [4.0, 0.0])
def test_the_orientation_of_exif_is_obeyed(node, folder, kind, orientation, turned, limit) -> None:
    grey = np.zeros((8, 12), np.uint8)
    grey[:4, :4] = 200  # a bright corner
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    root = folder("train/dog", 0)
    for name in ("cat", "dog"):
        folder(f"train/{name}", 0)
        for number in range(4):
            path = root / "train" / name / f"{number}.{kind.lower()}"
            Image.fromarray(grey).convert("RGB").save(path, kind, exif=exif, quality=95)
    words = {"memory_limit": limit, "mean": [0.0] * 3, "std": [1.0] * 3}
    data = dataset.load(node("imagefolder", root=str(root), test=0.2, validation=0.2, **words))
    assert data.info.inputs.image_size == ((12, 8) if turned else (8, 12))
    shown = next(data.train.batches(2)).inputs[0, 0]
    corners = {
        "left top": shown[:4, :4], "right top": shown[:4, -4:],
        "left bottom": shown[-4:, :4], "right bottom": shown[-4:, -4:],
    }  # fmt: skip
    places = {3: "right bottom", 6: "right top", 8: "left bottom"}
    brightest = max(corners, key=lambda place: float(corners[place].mean()))
    assert brightest == places.get(orientation, "left top")


def test_a_damaged_exif_is_passed_over(node, folder) -> None:
    root = folder("train/dog", 6)
    folder("train/cat", 6)
    picture = Image.new("RGB", (8, 8), (90, 10, 10))
    (root / "train/cat/000.png").unlink()
    picture.save(root / "train/cat/000.jpg", exif=b"Exif\0\0" + b"MM\0\x13 no tags")
    assert dataset.load(node("imagefolder", root=str(root), test=0.2)).info.inputs.image_size == (
        8,
        8,
    )
