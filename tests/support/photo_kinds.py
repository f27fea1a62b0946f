"""Photos of all kinds that people have, as files, and what is in them. `python -m support.photo_kinds FOLDER` writes
them, each with the pixels that training reads from it, for the judge in Blender."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from .photo_files import png_chunk, write_png

HEIGHT, WIDTH = 30, 40


def _pictures() -> dict[str, np.ndarray]:
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    color = np.stack([across * 6, down * 8, 240 - across * 6], axis=-1).astype(np.uint8)
    alpha = ((across + down) * 4).clip(0, 255).astype(np.uint8)
    alpha[:5, :5] = 0
    deep = np.stack([across * 1600 + down, down * 2100 + across, 65535 - across * 1601], axis=-1).astype(np.uint16)
    return {"color": color, "gray": color[..., 0], "alpha": alpha, "deep": deep, "across": across}


def write_photo_kinds(folder: Path) -> dict[str, np.ndarray]:
    """By file name, what a reader must find: (H, W, 3 or 4) real numbers 0..255."""
    of = _pictures()
    color, gray, alpha, deep = of["color"], of["gray"], of["alpha"], of["deep"]
    expected: dict[str, np.ndarray] = {}

    def keep(name: str, values: np.ndarray, opacity: np.ndarray | None = None) -> Path:
        values = values[..., None].repeat(3, axis=2) if values.ndim == 2 else values
        planes = [values.astype(np.float64)]
        expected[name] = np.concatenate(planes + ([opacity[..., None]] if opacity is not None else []), axis=2)
        return folder / name

    for name, values in (("color", color), ("gray", gray)):
        picture = Image.fromarray(values)
        for suffix in ("png", "bmp", "tif"):
            picture.save(keep(f"{name}.{suffix}", values))
        picture.save(keep(f"{name}.webp", values), lossless=True)
        picture.save(keep(f"{name}.jpg", values), quality=98, subsampling=0)
        picture.save(keep(f"{name}_progressive.jpg", values), quality=98, subsampling=0, progressive=True)
    Image.fromarray(color).convert("CMYK").save(keep("cmyk.jpg", color), quality=98)
    Image.fromarray(color).convert("CMYK").save(keep("cmyk.tif", color))
    for suffix in ("png", "tif"):
        Image.fromarray(np.dstack([color, alpha])).save(keep(f"alpha.{suffix}", color, alpha))
        Image.fromarray(np.dstack([gray, alpha])).save(keep(f"gray_alpha.{suffix}", gray, alpha))
    Image.fromarray(np.dstack([color, alpha])).save(keep("alpha.webp", color, alpha), lossless=True, exact=True)
    Image.fromarray(gray > 100).save(keep("one_bit.png", (gray > 100) * 255))
    few = Image.fromarray(color).quantize(16)
    shown = np.array(few.convert("RGB"))
    for suffix in ("png", "bmp", "tif"):
        few.save(keep(f"palette.{suffix}", shown))
    few.save(keep("palette_key.png", shown, np.where(np.array(few) == 3, 0, 255)), transparency=3)
    few.save(keep("palette_alpha.png", shown, np.array(few) * 16), transparency=bytes(range(0, 256, 16)))
    key = color[3, 4]
    Image.fromarray(color).save(
        keep("color_key.png", color, np.where((color == key).all(axis=2), 0, 255)), transparency=tuple(map(int, key))
    )
    Image.fromarray(gray).save(keep("gray_key.png", gray, np.where(gray == 60, 0, 255)), transparency=60)
    write_png(keep("deep.png", deep / 257), deep, 16)
    write_png(keep("deep_gray.png", deep[..., 0] / 257), deep[..., 0], 16)
    opaque = np.full((HEIGHT, WIDTH), 40_000, np.uint16)
    opaque[:, :10] = 65535
    write_png(keep("deep_alpha.png", deep / 257, opaque / 257), np.dstack([deep, opaque]), 16)
    write_png(keep("deep_gray_alpha.png", deep[..., 0] / 257, opaque / 257), np.dstack([deep[..., 0], opaque]), 16)
    chunk = png_chunk(b"tRNS", int(deep[3, 4, 0]).to_bytes(2, "big"))
    is_key = deep[..., 0] == deep[3, 4, 0]
    write_png(keep("deep_gray_key.png", deep[..., 0] / 257, np.where(is_key, 0, 255)), deep[..., 0], 16, chunk)
    Image.fromarray(deep[..., 0]).save(keep("deep_gray.tif", deep[..., 0] / 257))
    quarters = of["across"] // 8 % 4
    write_png(keep("two_bits.png", quarters * 85), quarters, 2)
    write_png(keep("four_bits.png", of["across"] % 16 * 17), of["across"] % 16, 4)
    chunk = png_chunk(b"tRNS", b"\0\1")
    write_png(keep("two_bits_key.png", quarters * 85, np.where(quarters == 1, 0, 255)), quarters, 2, chunk)
    Image.fromarray((gray / 255).astype(np.float32)).save(keep("float.tif", gray))
    Image.fromarray((gray / 127).astype(np.float32)).save(keep("float_beyond.tif", (gray / 127 * 255).clip(0, 255)))
    Image.fromarray(gray.astype(np.float32)).save(keep("float_255.tif", gray))
    frames = [Image.fromarray(color), Image.fromarray(255 - color)]
    frames[0].save(keep("animated.png", color), save_all=True, append_images=frames[1:])
    frames[0].save(
        keep("several.jpg", color), "MPO", save_all=True, append_images=frames[1:], quality=98, subsampling=0
    )
    return expected


if __name__ == "__main__":
    from splat_addon.capture.photos.values import to_bytes, to_color
    from splat_addon.trainer.photos.decoding import decode

    target = Path(sys.argv[1])
    for file in write_photo_kinds(target):
        np.save(target / f"{file}.npy", to_color(to_bytes(decode(target / file).pixels)[0]))
