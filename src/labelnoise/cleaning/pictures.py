"""One picture of yours as an array, or a ``ValueError`` that names its file.

Whoever made the file, opening it must end in one of the two: a decoder that is fed with damaged
bytes may raise nearly anything, and all of it is caught here.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from labelnoise.checks import check_integer

if TYPE_CHECKING:
    from PIL.Image import Image as Opened

# What Pillow decodes itself: for others, EPS for example, it starts programs.
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (".bmp", ".gif", ".jpg", ".jpeg", ".jp2", ".png", ".pbm", ".pgm", ".ppm", ".tif",
            ".tiff", ".webp")  # fmt: skip
DEEP = ("F", "I")  # how the names of Pillow's modes of more than 8 bits begin


def picture(path: Path, size: int | tuple[int, int] | None = None) -> np.ndarray:
    """uint8 ``[C, H, W]``, C = 1 if it is grey, else 3; what is transparent shows white below it,
    and what a camera held sideways is turned as its tag says.

    With ``size``, a number of pixels or (H, W), it is first cut to that shape of rectangle around
    its centre, and then scaled (bicubic), so that nothing is stretched.

    ``ValueError`` names a file that is damaged, no picture of ``FORMATS``, larger than Pillow takes
    for honest (89 million pixels), or of more than 8 bits a channel.
    """
    from PIL import Image

    shape = checked_size(size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Pillow repairs
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=FORMATS) as image:
                mode = image.mode
                if not mode.startswith(DEEP):
                    return decoded(image, shape)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise ValueError(f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels: make the "
                             "picture smaller, or leave it out") from error  # fmt: skip
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise ValueError(f"{path} cannot be read: {error.strerror}") from error
            why = str(error) or type(error).__name__
            raise ValueError(f"{path} is damaged, or no picture ({', '.join(FORMATS)}): {why}"
                             ) from error  # fmt: skip
    raise ValueError(f"{path} has more than 8 bits a channel (Pillow's mode {mode}): scale it to "
                     "0..255 and convert to 8 bit")  # fmt: skip


def decoded(image: "Opened", shape: tuple[int, int] | None) -> np.ndarray:
    """The pixels of an opened picture, ``[C, H, W]``."""
    from PIL import Image, ImageOps

    if shape:  # a JPEG is decoded no larger than is needed, whichever way it is turned
        image.draft(None, (max(shape),) * 2)
    image = ImageOps.exif_transpose(image)
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if grey else "RGB")
    if shape:
        image = ImageOps.fit(image, shape[::-1], Image.Resampling.BICUBIC)
    pixels = np.asarray(image)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def checked_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """(H, W), or None; ``ValueError`` for what is no size."""
    if size is None:
        return None
    shape = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(shape) != 2:
        raise ValueError(f"size={size!r} must be a number of pixels, or a pair (height, width)")
    for side in shape:
        check_integer("size", side, 1)
    return shape
