"""Pictures of pages: opened within bounds, freed of seals and skew, ruling lines found. Needs OpenCV.

Grey pictures are arrays of bytes, 0 black and 255 white; lengths are pixels.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from typing import Any

from pipeline.errors import LimitError, ReadError
from pipeline.settings import Settings

_MOST_SKEW = 4.0  # degrees
_SEARCH_WIDTH = 900  # the skew is looked for on a picture reduced to this width


def open_pictures(path: str, data: bytes, settings: Settings) -> Iterator[tuple[Any, float]]:
    """Yield the frames of a picture file as BGR arrays, each with its dots per inch (0 where unknown).

    A frame is opened when it is asked for: a file of many pages packs into little what takes much memory once opened.

    Raises:
        ReadError: no picture that can be read.
        LimitError: more pixels or frames than the settings allow.
    """
    import numpy
    from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
            if getattr(picture, "n_frames", 1) > settings.max_pages:
                raise LimitError(path, f"超过 {settings.max_pages} 页", advice="请拆分文件，或调大 max_pages")
            for frame in ImageSequence.Iterator(picture):
                check_pixels(path, *frame.size, settings)
                dpi = float(frame.info.get("dpi", (0, 0))[0] or 0)
                turned = ImageOps.exif_transpose(frame).convert("RGB")
                yield numpy.asarray(turned)[:, :, ::-1].copy(), dpi if 60 <= dpi <= 1300 else 0.0
    except Image.DecompressionBombError as error:
        raise LimitError(path, "图像像素过多", advice="请降低扫描分辨率，或调大 max_pixels") from error
    except UnidentifiedImageError as error:
        raise ReadError(path, "图像格式无法识别", advice="请转换为 PNG 或 JPEG") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise ReadError(path, "图像已损坏或不完整", advice="请重新扫描或重新获取") from error


def check_pixels(path: str, width: int, height: int, settings: Settings, page: int | None = None) -> None:
    """Refuse a picture of more pixels than the settings allow, before it is decoded.

    Raises:
        LimitError: it has more.
    """
    if width * height > settings.max_pixels:
        raise LimitError(
            path,
            f"图像为 {width}×{height} 像素，超过 {settings.max_pixels // 10**6} 百万像素",
            page,
            "请降低扫描分辨率，或调大 max_pixels",
        )


def without_seal(image: Any) -> tuple[Any, Any]:
    """Return the red channel, on which red ink is as light as paper, and a grey picture of the red ink alone."""
    import cv2
    import numpy

    if image.ndim == 2:
        return image, numpy.full_like(image, 255)
    blue, green, red = cv2.split(image)
    strength = red.astype(numpy.int16) - numpy.maximum(blue, green)
    is_red = (strength > 40) & (red > 90)
    ink = numpy.where(is_red, 255 - numpy.clip(strength * 2, 0, 255), 255).astype(numpy.uint8)
    edges = cv2.dilate(is_red.astype(numpy.uint8), numpy.ones((3, 3), numpy.uint8)) > 0
    grey = red.copy()
    grey[edges & (red > 120)] = 255  # black text under a seal is darker than that
    return grey, ink


def ink_mask(grey: Any) -> Any:
    """Return 255 where there is ink, 0 elsewhere, whatever the light on the page."""
    import cv2

    smooth = cv2.GaussianBlur(grey, (3, 3), 0)
    return cv2.adaptiveThreshold(smooth, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 41, 15)


def find_skew(grey: Any) -> float:
    """Return the angle in degrees by which a page leans (its lines fall to the right where it is positive)."""
    import cv2
    import numpy

    scale = min(1.0, _SEARCH_WIDTH / grey.shape[1])
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    mask = ink_mask(small)
    if cv2.countNonZero(mask) < 50:
        return 0.0
    points = numpy.column_stack(numpy.nonzero(mask)).astype(numpy.float32)
    if len(points) > 60_000:
        points = points[:: len(points) // 60_000 + 1]

    def sharpness(angle: float) -> float:
        lean = math.tan(math.radians(angle))
        rows = (points[:, 0] - points[:, 1] * lean).astype(numpy.int32)
        counts = numpy.bincount(rows - rows.min()).astype(numpy.float64)
        return float(numpy.square(counts).sum())

    best = 0.0
    for step, reach in ((0.5, _MOST_SKEW), (0.1, 0.5), (0.025, 0.1)):
        count = round(reach / step)
        best = max((best + step * k for k in range(-count, count + 1)), key=sharpness)
    return best if abs(best) >= 0.04 else 0.0


def turn(image: Any, angle: float) -> Any:
    """Return a picture turned back by the skew, on white."""
    import cv2

    if not angle:
        return image
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    return cv2.warpAffine(
        image,
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(255, 255, 255),
    )


def find_rules(mask: Any, text_height: float) -> tuple[list[tuple[float, float, float, float]], Any]:
    """Return the ruling lines of a page as left, top, right, bottom, and the mask of their ink.

    Strokes of characters are told from rules by what they belong to: a rule is long, or crosses others in a grid that
    is larger than a character.

    Args:
        mask: the ink of an upright page.
        text_height: the usual height of a character.
    """
    import cv2
    import numpy

    gap = 3
    thick = max(4.0, text_height / 4)
    candidates: list[tuple[bool, float, float, float, float]] = []
    labelled: list[tuple[Any, int]] = []
    for is_across, length in ((True, max(20, round(1.8 * text_height))), (False, max(16, round(1.3 * text_height)))):
        join = (gap, 1) if is_across else (1, gap)
        shape = (length, 1) if is_across else (1, length)
        closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_RECT, join))
        found = cv2.morphologyEx(closed, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_RECT, shape))
        count, labels, stats, centres = cv2.connectedComponentsWithStats(found, connectivity=8)
        for index in range(1, count):
            left, top, width, height, area = (float(value) for value in stats[index])
            mean = area / max(1.0, width if is_across else height)
            if mean > thick or (height if is_across else width) > 3 * thick:
                continue  # a picture or a filled area, no line
            x, y = (float(value) for value in centres[index])
            candidates.append((True, left, y, left + width, y) if is_across else (False, x, top, x, top + height))
            labelled.append((labels, index))
    kept = _in_grids(candidates, text_height, mask.shape[1])
    ink = numpy.zeros_like(mask)
    for place in kept:
        labels, index = labelled[place]
        ink[labels == index] = 255
    ink = cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3)))
    return [candidates[place][1:] for place in kept], ink


def _in_grids(
    candidates: list[tuple[bool, float, float, float, float]], text_height: float, page_width: float
) -> list[int]:
    """Return the candidates that are long, or belong to a grid larger than a character."""
    near = max(4.0, 0.3 * text_height)
    across = [i for i, candidate in enumerate(candidates) if candidate[0]]
    down = [i for i, candidate in enumerate(candidates) if not candidate[0]]
    meets: dict[int, set[int]] = {i: set() for i in range(len(candidates))}
    for i in across:
        _, left, y, right, _ = candidates[i]
        for j in down:
            _, x, top, _, bottom = candidates[j]
            if left - near <= x <= right + near and top - near <= y <= bottom + near:
                meets[i].add(j)
                meets[j].add(i)

    def is_long(i: int) -> bool:
        is_across, left, top, right, bottom = candidates[i]
        return right - left > 0.22 * page_width if is_across else bottom - top > 5 * text_height

    alive = set(range(len(candidates)))
    while True:
        weak = {i for i in alive if not is_long(i) and len(meets[i] & alive) < 2}
        if not weak:
            break
        alive -= weak
    kept: list[int] = []
    seen: set[int] = set()
    for start in sorted(alive):
        if start in seen:
            continue
        group, queue = [], [start]
        seen.add(start)
        while queue:
            current = queue.pop()
            group.append(current)
            for other in (meets[current] & alive) - seen:
                seen.add(other)
                queue.append(other)
        wide = max(candidates[i][3] for i in group) - min(candidates[i][1] for i in group)
        tall = max(candidates[i][4] for i in group) - min(candidates[i][2] for i in group)
        if (wide > 7 * text_height and tall > 1.2 * text_height) or any(is_long(i) and candidates[i][0] for i in group):
            kept += group
    return sorted(kept)
