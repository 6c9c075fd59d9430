"""Pages without text: character recognition with RapidOCR (the extra shidian[ocr]) and a grid found with OpenCV.

A recognised page goes through the same layout as any other page: each recognised line is spread over characters,
and the ruling lines of the picture are handed over as rules.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import LimitError, ReadError
from pipeline.readers.layout import layout_pages
from pipeline.readers.layout_types import Glyph, Page, Rule
from pipeline.readers.mending import HAN, mend_numbers, mend_signs
from pipeline.readers.picture import check_pixels, find_rules, find_skew, ink_mask, open_pictures, turn, without_seal
from pipeline.records import Document, Problem
from pipeline.settings import Settings
from pipeline.text import compact

ADVICE = "请安装文字识别：pip install 'shidian[ocr]'"
_DPI = 200.0
_LEAST_DPI, _MOST_DPI = 150.0, 300.0
_SMALL_TEXT = 29.0  # pixels: characters below this height are enlarged before they are read
_DETECT_SIDE = 2400  # pixels: the search for lines needs no more; their reading uses the full picture
_LEAST_SCORE = 0.5

_SIGNS = "，、。；：,.;:．·"


def is_available() -> bool:
    """Tell whether the packages of the extra shidian[ocr] are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "onnxruntime", "cv2"))


@functools.cache
def _engine() -> Any:
    # onnxruntime for Linux reports its use to its maker unless it is told not to, before it is loaded.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    from rapidocr import RapidOCR

    importlib.import_module("onnxruntime").disable_telemetry_events()
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_cls": False,
            "Global.max_side_len": 20_000,
            "Global.text_score": 0.0,
        }
    )


_Box = tuple[float, float, float, float]


@dataclass
class _Line:
    """A recognised line: its box in pixels, its text and how sure the engine is."""

    box: _Box
    text: str = ""
    score: float = 0.0


def _detect(grey: Any) -> list[_Line]:
    """Return the boxes of the text lines of a picture."""
    import cv2

    scale = min(1.0, _DETECT_SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    found = _engine()(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR), use_det=True, use_cls=False, use_rec=False)
    if found.boxes is None:
        return []
    lines = []
    for box in found.boxes:
        xs, ys = [float(p[0]) / scale for p in box], [float(p[1]) / scale for p in box]
        lines.append(_Line((min(xs), min(ys), max(xs), max(ys))))
    return lines


def _read_lines(grey: Any, lines: Sequence[_Line], mask: Any = None) -> None:
    """Fill in the text and score of each line; with the mask of ink, lines that came out too short are read again.

    The engine drops a comma at the end of a short line now and then, and finds it again when the picture is cut
    otherwise.
    """
    import cv2

    held, crops = [], []
    for line in lines:
        box = line.box if mask is None else _tight(mask, line.box)
        crop = _cut(grey, box, 3, int(0.15 * (box[3] - box[1])) + 2)
        if crop.shape[0] >= 6 and crop.shape[1] >= 4:
            held.append((line, box))
            crops.append(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR))
    for (line, _), (text, score) in zip(held, _recognise(crops), strict=True):
        line.text, line.score = text, score
    if mask is None:
        return
    pitch = _pitches(held)
    short = [(line, box) for line, box in held if line.text and _lacking(line, box, pitch) > 0.55]
    again = []
    for _, box in short:
        crop = cv2.cvtColor(_cut(grey, box, 1, 2), cv2.COLOR_GRAY2BGR)
        again += [crop, cv2.copyMakeBorder(crop, 0, 0, 0, crop.shape[0], cv2.BORDER_REPLICATE)]
    found = _recognise(again)
    for index, (line, box) in enumerate(short):
        for text, score in found[2 * index : 2 * index + 2]:
            if len(text) > len(line.text) and score >= 0.8 and compact(text).startswith(compact(line.text)[:1]):
                line.text, line.score = text, min(score, line.score)
        if 0.55 < _lacking(line, box, pitch) < 1.45:
            _insert_sign(grey, mask, line, box)


def _pitches(held: Sequence[tuple[_Line, _Box]]) -> list[tuple[float, float]]:
    """Return height and width per character of the lines that are long enough to tell."""
    return [
        (box[3] - box[1], (box[2] - box[0]) / (sum(map(_weight, line.text)) - 0.1))
        for line, box in held
        if sum(map(_weight, line.text)) >= 7
    ]


def _lacking(line: _Line, box: _Box, pitches: Sequence[tuple[float, float]]) -> float:
    """Return how many characters a line is shorter than its width, measured by the other lines of its height."""
    tall = box[3] - box[1]
    like = [pitch for height, pitch in pitches if abs(height - tall) <= 0.2 * tall]
    pitch = _median(like, 1.06 * tall) if len(like) >= 4 else 1.06 * tall
    return (box[2] - box[0]) / max(pitch, 1.0) - sum(map(_weight, line.text)) + 0.1


def _insert_sign(grey: Any, mask: Any, line: _Line, box: _Box) -> None:
    """Put back a sign that was dropped between characters: its ink is small and has a place of its own."""
    import cv2

    if any(character.isascii() for character in line.text):
        return  # the places of characters of several widths are not known well enough
    count = len(line.text) + 1
    pitch = (box[2] - box[0]) / (count - 0.1)
    tall = box[3] - box[1]
    for index in range(1, count - 1):
        left = box[0] + index * pitch
        x0, y0, x1, y1 = _tight(mask, (left + 0.04 * pitch, box[1], left + 0.9 * pitch, box[3]))
        if x1 - x0 > 0.45 * pitch or y1 - y0 > 0.45 * tall or (x1 - x0) * (y1 - y0) < 0.01 * tall * tall:
            continue
        if line.text[index] in _SIGNS or line.text[index - 1] in _SIGNS:
            continue
        part = (max(box[0], left - 1.05 * pitch), box[1], min(box[2], left + 3 * pitch), box[3])
        ((text, score),) = _recognise([cv2.cvtColor(_cut(grey, part, 3, 1), cv2.COLOR_GRAY2BGR)])
        sign = next((character for character in text if character in _SIGNS), "，")
        line.text = line.text[:index] + sign + line.text[index:]
        line.score = min(line.score, max(score, 0.5))
        return


def _cut(grey: Any, box: _Box, above: int, beside: int) -> Any:
    x0, y0, x1, y1 = (int(value) for value in box)
    return grey[max(0, y0 - above) : y1 + above + 1, max(0, x0 - beside) : x1 + beside + 1]


def _recognise(crops: list[Any]) -> list[tuple[str, float]]:
    """Return text and score of each picture of a line."""
    found = _engine().recognize_txt(crops) if crops else None
    if found is None or found.txts is None:
        return [("", 0.0)] * len(crops)
    return [(text, float(score)) for text, score in zip(found.txts, found.scores, strict=True)]


def _split_at_rules(lines: list[_Line], rules: Sequence[_Box], height: float) -> list[_Line]:
    """Cut the boxes that reach over a vertical rule, and those that hold two rows over a horizontal one."""
    result: list[_Line] = []
    for line in lines:
        x0, y0, x1, y1 = line.box
        middle = (y0 + y1) / 2
        cuts = sorted(
            left
            for left, top, right, bottom in rules
            if left == right and x0 + 0.3 * height < left < x1 - 0.3 * height and top <= middle <= bottom
        )
        edges = [x0, *cuts, x1]
        for a, b in itertools.pairwise(edges):
            if b - a > 0.25 * height:
                result.append(_Line((a, y0, b, y1)))
    cut: list[_Line] = []
    for line in result:
        x0, y0, x1, y1 = line.box
        across = [
            top
            for left, top, right, bottom in rules
            if top == bottom and left < (x0 + x1) / 2 < right and y0 + 0.35 * height < top < y1 - 0.35 * height
        ]
        if across and y1 - y0 > 1.5 * height:
            edges = [y0, *sorted(across), y1]
            cut += [_Line((x0, a, x1, b)) for a, b in itertools.pairwise(edges) if b - a > 0.5 * height]
        else:
            cut.append(line)
    return cut


def _missed(mask: Any, lines: Sequence[_Line], height: float) -> list[_Line]:
    """Return boxes round ink of the height of a character that no line covers, such as a lone digit in a cell."""
    import cv2

    rest = mask.copy()
    for line in lines:
        x0, y0, x1, y1 = (int(value) for value in line.box)
        rest[max(0, y0 - 2) : y1 + 3, max(0, x0 - 2) : x1 + 3] = 0
    reach = cv2.getStructuringElement(cv2.MORPH_RECT, (max(3, int(0.6 * height)), 3))
    count, _, stats, _ = cv2.connectedComponentsWithStats(
        cv2.morphologyEx(rest, cv2.MORPH_CLOSE, reach), connectivity=8
    )
    found = []
    for index in range(1, count):
        left, top, width, tall, area = (float(value) for value in stats[index])
        if (
            0.45 * height <= tall <= 1.6 * height
            and 0.15 * height <= width <= 8 * height
            and area > 0.08 * tall * width
        ):
            found.append(_Line((left - 3, top - 3, left + width + 3, top + tall + 3)))
    return found[:200]


def _tight(mask: Any, box: _Box) -> _Box:
    """Return the box of the ink inside a box."""
    import numpy

    x0, y0, x1, y1 = (max(0, int(value)) for value in box)
    part = mask[y0 : y1 + 1, x0 : x1 + 1]
    columns, rows = numpy.nonzero(part.sum(axis=0) > 255)[0], numpy.nonzero(part.sum(axis=1) > 255)[0]
    if not len(columns) or not len(rows):
        return box
    return float(x0 + columns[0]), float(y0 + rows[0]), float(x0 + columns[-1] + 1), float(y0 + rows[-1] + 1)


def _weight(character: str) -> float:
    return 0.52 if character.isascii() else 1.0


def _glyphs(line: _Line, mask: Any, scale: float) -> list[Glyph]:
    """Spread a line over its characters; scale is points per pixel."""
    text = mend_signs(line.text.strip())
    x0, y0, x1, y1 = _tight(mask, line.box)
    tall = y1 - y0
    has_han = re.search(f"[{HAN}]", text) is not None
    size = tall * 1.06 if has_han else tall / 0.72
    if (
        has_han and len(text) > 2
    ):  # a sign above or below the line must not make the characters taller than they are wide
        size = min(size, 1.25 * (x1 - x0) / max(1.0, sum(map(_weight, text)) - 0.4))
    baseline = y1 - 0.1 * size if has_han else y1
    last = text[-1:]
    # The last sign's ink ends before its place does.
    total = sum(map(_weight, text)) - (0.45 if last and last in "，。、；：）”》" else 0.0)
    step = (x1 - x0) / max(total, 0.5)
    glyphs = []
    x = x0
    for character in text:
        wide = step * _weight(character)
        if not character.isspace():
            glyphs.append(
                Glyph(
                    character, x * scale, baseline * scale, size * scale, wide * scale, confidence=round(line.score, 3)
                )
            )
        x += wide
    return glyphs


def _median(values: Sequence[float], default: float) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else default


def _upright(grey: Any, ink: Any) -> tuple[Any, Any, list[_Line]]:
    """Return the pictures turned so that lines run across, with the boxes of the lines."""
    import cv2

    lines = _detect(grey)
    standing = [line for line in lines if line.box[3] - line.box[1] > 1.8 * (line.box[2] - line.box[0])]
    if len(lines) < 5 or len(standing) < 0.6 * len(lines):
        return grey, ink, lines
    best: tuple[float, Any, Any, list[_Line]] | None = None
    for way in (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE):
        turned = cv2.rotate(grey, way)
        found = _detect(turned)
        sample = sorted(found, key=lambda line: line.box[0] - line.box[2])[:8]
        _read_lines(turned, sample)
        score = sum(line.score for line in sample) / max(1, len(sample))
        if best is None or score > best[0]:
            best = score, turned, cv2.rotate(ink, way), found
    assert best is not None
    return best[1], best[2], best[3]


def recognise_picture(image: Any, number: int, width: float, height: float, settings: Settings) -> Page:
    """Return a page as character recognition reads its picture.

    Args:
        image: the picture as a BGR or grey array.
        number: the page, counted from 1.
        width: of the page in points.
        height: of the page in points.
        settings: max_pixels bounds the enlarged picture.

    Raises:
        ReadError: the packages of the extra are not installed.
    """
    if not is_available():
        raise ReadError("", "没有安装文字识别", number, ADVICE)
    import cv2

    from pipeline.readers.worker import announce_page

    announce_page(number)
    grey, red = without_seal(image)
    angle = find_skew(grey)
    grey, red = turn(grey, angle), turn(red, angle)
    shape = grey.shape
    grey, red, lines = _upright(grey, red)
    if grey.shape != shape:
        width, height = height, width
    text_height = _median([line.box[3] - line.box[1] for line in lines], 30.0) * 0.85  # boxes stand off from the ink
    if lines and text_height < _SMALL_TEXT and grey.size * 4 <= settings.max_pixels:
        grey, red = (cv2.resize(found, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for found in (grey, red))
        lines = _detect(grey)
        text_height = _median([line.box[3] - line.box[1] for line in lines], 30.0) * 0.85
    mask = ink_mask(grey)
    rules, rule_ink = find_rules(mask, text_height)
    clean = grey.copy()
    if rules:
        clean[rule_ink > 0] = 255
        mask[rule_ink > 0] = 0
    lines = _split_at_rules(lines, rules, text_height)
    _read_lines(clean, lines, mask)
    kept = [line for line in lines if line.text.strip() and line.score >= _LEAST_SCORE]
    extra = _missed(mask, lines, text_height)
    _read_lines(clean, extra, mask)
    kept += [line for line in extra if line.text.strip() and line.score >= 0.8]
    red_mask = ink_mask(red)
    head = _red_head(red, red_mask, kept)
    scale = width / grey.shape[1]
    glyphs = [glyph for line in kept for glyph in _glyphs(line, mask, scale)]
    glyphs += [glyph for line in head for glyph in _glyphs(line, red_mask, scale)]
    width, height = float(width), float(height)
    return Page(
        number,
        width,
        height,
        tuple(glyphs),
        tuple(Rule(x0 * scale, y0 * scale, x1 * scale, y1 * scale) for x0, y0, x1, y1 in rules),
    )


def _red_head(red: Any, mask: Any, kept: Sequence[_Line]) -> list[_Line]:
    """Return the lines printed in red in the upper half (the red head); seals are round and read badly."""
    import cv2

    tall, wide = red.shape[:2]
    top = int(tall * 0.45)
    if cv2.countNonZero(mask[:top]) < 0.0008 * tall * wide:
        return []
    lines = [line for line in _detect(red[:top]) if line.box[2] - line.box[0] > 3 * (line.box[3] - line.box[1])]
    _read_lines(red, lines)

    def overlaps(line: _Line) -> bool:
        return any(
            min(line.box[2], k.box[2]) > max(line.box[0], k.box[0])
            and min(line.box[3], k.box[3]) > max(line.box[1], k.box[1]) + 4
            for k in kept
        )

    return [line for line in lines if line.score >= 0.9 and len(line.text) >= 4 and not overlaps(line)]


def compose(
    path: str, pictures: Sequence[tuple[bytes, tuple[float, ...]]], width: float, height: float, settings: Settings
) -> Any:
    """Put the pictures of a page together.

    Args:
        path: named in messages.
        pictures: the bytes of each, with the transform from the unit square to the page in millimetres.
        width: of the page in points.
        height: of the page in points.
        settings: max_pixels applies.

    Raises:
        ReadError: none of them can be read.
    """
    if not is_available():
        raise ReadError(path, "没有安装文字识别", advice=ADVICE)
    import cv2
    import numpy

    opened: list[tuple[Any, tuple[float, ...]]] = []
    failed: ReadError | None = None
    for data, matrix in pictures:
        try:
            opened.append((next(open_pictures(path, data, settings))[0], matrix))
        except ReadError as error:
            failed = error
    if not opened:
        raise failed or ReadError(path, "页面上没有图像")
    wide, tall = width / 72 * 25.4, height / 72 * 25.4
    if len(opened) == 1 and abs(opened[0][1][0] * opened[0][1][3]) > 0.9 * wide * tall:
        return opened[0][0]
    density = max(image.shape[1] / max(abs(matrix[0]), 1.0) for image, matrix in opened)  # pixels a millimetre
    density = min(max(density, _LEAST_DPI / 25.4), _MOST_DPI / 25.4)
    canvas = numpy.full((max(1, round(tall * density)), max(1, round(wide * density)), 3), 255, numpy.uint8)
    check_pixels(path, canvas.shape[1], canvas.shape[0], settings)
    for image, matrix in opened:
        a, _, _, d, e, f = matrix
        x0, x1 = sorted((round(e * density), round((e + a) * density)))
        y0, y1 = sorted((round(f * density), round((f + d) * density)))
        left, top, right, bottom = max(0, x0), max(0, y0), min(canvas.shape[1], x1), min(canvas.shape[0], y1)
        if right <= left or bottom <= top or (x1 - x0) * (y1 - y0) > settings.max_pixels:
            continue
        fitted = cv2.resize(image, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
        part = fitted[top - y0 : bottom - y0, left - x0 : right - x0]
        canvas[top:bottom, left:right] = numpy.minimum(canvas[top:bottom, left:right], part)
    return canvas


def pdf_recogniser(path: str, data: bytes, settings: Settings) -> Callable[[int], Page | None] | None:
    """Return what reads the pages of a PDF that hold no text, None where the extra is not installed."""
    if not is_available():
        return None
    opened: list[Any] = []

    def recognise(number: int) -> Page | None:
        from pipeline.readers.pdf import open_pdf

        if not opened:
            opened.append(open_pdf(path, data))
        page = opened[0][number - 1]
        width, height = page.get_size()
        if width <= 0 or height <= 0:
            return None
        density = 0.0
        for item in page.get_objects(max_depth=3):
            if item.type != 3:  # a picture
                continue
            across, tall = item.get_px_size()
            check_pixels(path, across, tall, settings, number)
            left, bottom, right, top = item.get_bounds()
            if (right - left) * (top - bottom) > 0.2 * width * height:
                density = max(density, across / max(right - left, 1.0) * 72)
        dpi = min(max(density or _DPI, _LEAST_DPI), _MOST_DPI)
        dpi = min(dpi, 72 * (settings.max_pixels / (width * height)) ** 0.5)
        if dpi < 70:
            raise LimitError(path, f"页面过大（{width:.0f}×{height:.0f} 点）", number, "请调大 max_pixels")
        image = page.render(scale=dpi / 72).to_numpy()
        page.close()
        return recognise_picture(image[:, :, :3] if image.ndim == 3 else image, number, width, height, settings)

    return recognise


def read_image(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    """Read a scanned page from a picture file (PNG, JPEG, TIFF of several pages, BMP).

    Raises:
        ReadError: the packages of the extra are not installed, or the picture is damaged.
        LimitError: it has more pixels or pages than the settings allow.
    """
    count = 0

    def pages() -> Iterator[Page]:
        nonlocal count
        for image, stated in open_pictures(path, data, settings):
            if not is_available():
                raise ReadError(path, "是图片，读取文字需要文字识别，本机未安装", advice=ADVICE)
            count += 1
            tall, wide = image.shape[:2]
            dpi = stated or max(wide, tall) / (297 / 25.4)  # as if it were A4
            yield recognise_picture(image, count, wide / dpi * 72, tall / dpi * 72, settings)

    blocks = layout_pages(pages(), document_id, settings)
    problems = () if blocks else (Problem("read", "图片中没有识别到文字。请检查图片是否清晰。", path),)
    return mend_numbers(Document(document_id, path, "image", tuple(blocks), page_count=count, problems=problems))
