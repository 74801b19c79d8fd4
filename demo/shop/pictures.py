"""Painting and shrinking, with Pillow alone."""

import colorsys
import random
from io import BytesIO
from typing import IO

from django.core.files.base import ContentFile
from PIL import Image, ImageDraw, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
SAMPLE = (1200, 900)
THUMBNAIL = (320, 240)


def draw(title: str) -> ContentFile:
    """Return a landscape, different each time, as a file."""
    hue = random.random()
    image = Image.linear_gradient("L").resize(SAMPLE)
    image = ImageOps.colorize(image, _colour(hue, 0.5, 0.95), _colour(hue + 0.1, 0.3, 1.0))
    pen = ImageDraw.Draw(image)
    x, y, radius = random.randint(200, SAMPLE[0] - 200), random.randint(150, 400), 110
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), _colour(hue + 0.5, 0.3, 1.0))
    for layer in range(4):
        pen.polygon(_hills(layer), _colour(hue + 0.06 * layer, 0.55, 0.75 - 0.15 * layer))
    return _jpeg(image, f"{title}.jpg")


def shrink(original: IO[bytes]) -> ContentFile:
    """Return a small JPEG of a picture, upright, without its metadata."""
    image = ImageOps.exif_transpose(Image.open(original, formats=FORMATS))
    image = image.convert("RGB")
    image.thumbnail(THUMBNAIL)
    return _jpeg(image, "thumbnail.jpg")


def _hills(layer: int) -> list[tuple[int, int]]:
    width, height = SAMPLE
    top = height * (4 + layer) // 9
    ridge = [(x, top + random.randint(-70, 70)) for x in range(0, width + 1, 150)]
    return [(0, height), *ridge, (width, height)]


def _colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _jpeg(image: Image.Image, name: str) -> ContentFile:
    data = BytesIO()
    image.save(data, "JPEG", quality=85)
    return ContentFile(data.getvalue(), name)
