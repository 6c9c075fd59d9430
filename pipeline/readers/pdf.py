"""PDF to paragraphs and tables, through the characters and ruling paths that PDFium knows.

Characters are placed by origin and font size, not by their boxes: the boxes of Type 3 fonts are boxes of ink.
Pages are read one at a time and let go of, so that a long file needs no more memory than a short one.
"""

from __future__ import annotations

import ctypes
import math
import re
import time
import unicodedata
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from pipeline.errors import LimitError, ReadError
from pipeline.readers.layout import Glyph, Page, Rule, layout_pages
from pipeline.records import Document, Problem
from pipeline.settings import Settings

Recogniser = Callable[[int], "Page | None"]
"""Given the number of a page without text, returns what a recogniser sees on it, or None."""

_THIN = 3.0
"""A filled rectangle at most this thick (points) is a rule."""
_MAX_OBJECTS = 200_000
"""Page objects beyond this many on one page are not looked at."""
_MAX_FORM_DEPTH = 8
_STAMP_GLYPHS = 40
"""A page that is one picture and holds fewer characters than this is a scan with a stamp or page number."""
_SCAN_SHARE = 0.25
"""Of the page, at least, that the picture of such a scan covers; one inside the margins covers about half."""

Matrix = tuple[float, float, float, float, float, float]
_IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def _times(inner: Matrix, outer: Matrix) -> Matrix:
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


class _Frame:
    """Turns coordinates of a PDF page into points from the top left of the page as it is shown."""

    def __init__(self, left: float, bottom: float, right: float, top: float, turn: int) -> None:
        self.turn = turn
        width, height = right - left, top - bottom
        self.width, self.height = (height, width) if turn % 2 else (width, height)
        self.matrix: Matrix = {
            0: (1.0, 0.0, 0.0, -1.0, -left, top),
            1: (0.0, 1.0, 1.0, 0.0, -bottom, -left),
            2: (-1.0, 0.0, 0.0, 1.0, right, -bottom),
            3: (0.0, -1.0, -1.0, 0.0, top, right),
        }[turn]

    def place(self, x: float, y: float) -> tuple[float, float]:
        a, b, c, d, e, f = self.matrix
        return a * x + c * y + e, b * x + d * y + f


def _frame(page: Any) -> _Frame:
    box = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(page, box)
    return _Frame(box.left, box.bottom, box.right, box.top, pdfium.FPDFPage_GetRotation(page) % 4)


def _advance(text: str, size: float) -> float:
    """A fair guess at the advance of a character, used where no neighbour tells it."""
    return size if unicodedata.east_asian_width(text[0]) in "WF" or text[0] in "“”‘’…—" else size * 0.5


class _TextStyles:
    """What all characters of one text object have in common, asked for once."""

    def __init__(self, text_page: Any, frame: _Frame) -> None:
        self._text_page = text_page
        self._turn = frame.turn
        self._matrix = pdfium.FS_MATRIX()
        self._colour = [ctypes.c_uint() for _ in range(4)]

    def read(self, index: int, handle: Any) -> tuple[float, float, bool, bool]:
        """Return size, angle, invisible and faint (a light colour, as watermarks have)."""
        size = abs(pdfium.FPDFText_GetFontSize(self._text_page, index)) or 1.0
        angle = 0.0
        if pdfium.FPDFText_GetMatrix(self._text_page, index, self._matrix):
            m = self._matrix
            size *= math.hypot(m.c, m.d) or 1.0
            angle = (math.degrees(math.atan2(m.b, m.a)) - 90.0 * self._turn) % 360.0
        invisible = faint = False
        if handle:
            mode = pdfium.FPDFTextObj_GetTextRenderMode(handle)
            invisible = mode in (pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP)
            red, green, blue, alpha = self._colour
            if pdfium.FPDFPageObj_GetFillColor(handle, red, green, blue, alpha):
                opacity = alpha.value / 255
                light = (0.3 * red.value + 0.59 * green.value + 0.11 * blue.value) / 255 * opacity + 1 - opacity
                invisible = invisible or opacity < 0.02
                faint = 0.7 < light < 0.99
        return size, angle, invisible, faint


def _read_glyphs(page: Any, frame: _Frame, limit: int) -> tuple[list[Glyph], bool]:
    """Return the characters of a page in the order of its content, and whether the font for Chinese is lacking."""
    text_page = pdfium.FPDFText_LoadPage(page)
    if not text_page:
        return [], False
    try:
        count = pdfium.FPDFText_CountChars(text_page)
        if count > limit:
            raise OverflowError(count)
        return _glyphs_of(text_page, count, frame), _lacks_font(text_page, count)
    finally:
        pdfium.FPDFText_ClosePage(text_page)


def _lacks_font(text_page: Any, count: int) -> bool:
    """Tell whether Chinese characters have no shape: their font is neither in the file nor on this machine.

    PDFium then leaves out a text object of one character, as it has no extent.
    """
    box = [ctypes.c_double() for _ in range(4)]  # left, right, bottom, top
    references = [ctypes.byref(side) for side in box]
    flat = seen = 0
    for index in range(0, count, max(1, count // 200)):
        code = pdfium.FPDFText_GetUnicode(text_page, index)
        # Points; even 一 is higher in any font.
        if 0x4E00 <= code <= 0x9FFF and pdfium.FPDFText_GetCharBox(text_page, index, *references):
            seen += 1
            flat += box[3].value - box[2].value < 0.1
    return flat > 0.5 * seen


def _glyphs_of(text_page: Any, count: int, frame: _Frame) -> list[Glyph]:
    a, b, c, d, e, f = frame.matrix
    styles = _TextStyles(text_page, frame)
    style = (1.0, 0.0, False, False)
    last_object: int | None = -1
    x, y = ctypes.c_double(), ctypes.c_double()
    x_ref, y_ref = ctypes.byref(x), ctypes.byref(y)
    get_unicode, get_origin = pdfium.FPDFText_GetUnicode, pdfium.FPDFText_GetCharOrigin
    get_object, is_generated = pdfium.FPDFText_GetTextObject, pdfium.FPDFText_IsGenerated
    address = ctypes.addressof
    rows: list[tuple[str, float, float, tuple[float, float, bool, bool]]] = []
    high = 0
    for index in range(count):
        code = get_unicode(text_page, index)
        if code <= 32 or code == 0xA0 or 0xD800 <= code < 0xE000 or code in (0x3000, 0xFEFF, 0xFFFE, 0xFFFF):
            if code == 2:
                code = 0x2D  # PDFium's mark for a hyphen at the end of a line
            elif 0xD800 <= code < 0xDC00:
                high = code
                continue
            elif 0xDC00 <= code < 0xE000 and high:
                code, high = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00), 0
            elif code not in (32, 0xA0, 0x3000) or is_generated(text_page, index):
                continue
        if not get_origin(text_page, index, x_ref, y_ref):
            continue
        handle = get_object(text_page, index)
        here = address(handle.contents) if handle else None
        if here != last_object or here is None:
            last_object = here
            style = styles.read(index, handle)
        rows.append((chr(code), a * x.value + c * y.value + e, b * x.value + d * y.value + f, style))
    sizes = sorted(row[3][0] for row in rows)
    usual = sizes[len(sizes) // 2] if sizes else 0.0
    glyphs = []
    for index, (text, left, baseline, (size, angle, invisible, faint)) in enumerate(rows):
        width = _advance(text, size)
        if index + 1 < len(rows):
            _, next_left, next_baseline, _ = rows[index + 1]
            step = next_left - left
            if abs(next_baseline - baseline) < 0.5 and 0.15 * size < step < width * (1.3 if width == size else 1.9):
                width = step if width < size or step < width else width
        hidden = invisible or (faint and size > 1.6 * usual and size >= 18)
        glyphs.append(Glyph(text, left, baseline, size, width, angle, hidden))
    return glyphs


class _RuleReader:
    """Collects ruling segments and pictures from the objects of a page and of the forms on it."""

    def __init__(self, frame: _Frame) -> None:
        self.frame = frame
        self.rules: list[Rule] = []
        self.picture_area = 0.0
        self.objects = 0
        self._box = [ctypes.c_float() for _ in range(4)]
        self._colour = [ctypes.c_uint() for _ in range(4)]
        self._fill, self._stroke = ctypes.c_int(), ctypes.c_int()

    def read(self, page: Any) -> None:
        for index in range(pdfium.FPDFPage_CountObjects(page)):
            self._take(pdfium.FPDFPage_GetObject(page, index), self.frame.matrix, 0)

    def _take(self, item: Any, matrix: Matrix, depth: int) -> None:
        self.objects += 1
        if self.objects > _MAX_OBJECTS:
            return
        kind = pdfium.FPDFPageObj_GetType(item)
        if kind == pdfium.FPDF_PAGEOBJ_PATH:
            self._take_path(item, matrix)
        elif kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            self._take_picture(item, matrix)
        elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _MAX_FORM_DEPTH:
            inner = _times(self._matrix_of(item), matrix)
            for index in range(pdfium.FPDFFormObj_CountObjects(item)):
                self._take(pdfium.FPDFFormObj_GetObject(item, index), inner, depth + 1)

    @staticmethod
    def _matrix_of(item: Any) -> Matrix:
        m = pdfium.FS_MATRIX()
        if not pdfium.FPDFPageObj_GetMatrix(item, m):
            return _IDENTITY
        return (m.a, m.b, m.c, m.d, m.e, m.f)

    def _bounds(self, item: Any, matrix: Matrix) -> tuple[float, float, float, float] | None:
        """Return left, top, right, bottom on the page."""
        left, bottom, right, top = self._box
        if not pdfium.FPDFPageObj_GetBounds(item, left, bottom, right, top):
            return None
        a, b, c, d, e, f = matrix
        xs, ys = [], []
        for x, y in ((left.value, bottom.value), (right.value, top.value)):
            xs.append(a * x + c * y + e)
            ys.append(b * x + d * y + f)
        return min(xs), min(ys), max(xs), max(ys)

    def _take_picture(self, item: Any, matrix: Matrix) -> None:
        box = self._bounds(item, matrix)
        if box is None:
            return
        x0, top, x1, bottom = box
        if min(x1 - x0, bottom - top) <= _THIN and max(x1 - x0, bottom - top) >= 4 * _THIN:
            self._add(x0, top, x1, bottom)  # some producers draw rules as pictures one pixel thick
            return
        self.picture_area += max(0.0, x1 - x0) * max(0.0, bottom - top)

    def _is_light(self, item: Any, stroke: bool) -> bool:
        red, green, blue, alpha = self._colour
        get = pdfium.FPDFPageObj_GetStrokeColor if stroke else pdfium.FPDFPageObj_GetFillColor
        if not get(item, red, green, blue, alpha):
            return False
        return alpha.value < 8 or min(red.value, green.value, blue.value) > 247

    def _take_path(self, item: Any, matrix: Matrix) -> None:
        if not pdfium.FPDFPath_GetDrawMode(item, self._fill, self._stroke):
            return
        fill, stroke = self._fill.value != 0, self._stroke.value != 0
        if stroke and self._is_light(item, True):
            stroke = False
        if not (fill or stroke):
            return
        box = self._bounds(item, matrix)
        if box is None:
            return
        x0, top, x1, bottom = box
        if min(x1 - x0, bottom - top) <= _THIN + (1.5 if stroke else 0.0):
            if max(x1 - x0, bottom - top) > 1.0 and (stroke or not self._is_light(item, False)):
                self._add(x0, top, x1, bottom)
            return
        segments = pdfium.FPDFPath_CountSegments(item)
        if segments > 2000:
            return
        if stroke:
            self._take_segments(item, segments, matrix)
        elif segments > 5:
            self._take_filled(item, segments, matrix)

    def _points(self, item: Any, segments: int, matrix: Matrix) -> Iterator[list[tuple[float, float]]]:
        """Yield the polygons of a path made of straight lines; a curve ends a polygon."""
        own = _times(self._matrix_of(item), matrix)
        a, b, c, d, e, f = own
        x, y = ctypes.c_float(), ctypes.c_float()
        points: list[tuple[float, float]] = []
        for index in range(segments):
            segment = pdfium.FPDFPath_GetPathSegment(item, index)
            kind = pdfium.FPDFPathSegment_GetType(segment)
            pdfium.FPDFPathSegment_GetPoint(segment, x, y)
            here = (a * x.value + c * y.value + e, b * x.value + d * y.value + f)
            if kind == pdfium.FPDF_SEGMENT_LINETO:
                points.append(here)
            else:
                if len(points) > 1:
                    yield points
                points = [here]
            if pdfium.FPDFPathSegment_GetClose(segment) and points:
                points.append(points[0])
                if len(points) > 1:
                    yield points
                points = [points[0]]
        if len(points) > 1:
            yield points

    def _take_segments(self, item: Any, segments: int, matrix: Matrix) -> None:
        for points in self._points(item, segments, matrix):
            for (x0, y0), (x1, y1) in pairwise(points):
                if abs(x1 - x0) <= 1.0 or abs(y1 - y0) <= 1.0:
                    self._add(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))

    def _take_filled(self, item: Any, segments: int, matrix: Matrix) -> None:
        """Take the thin rectangles of a filled path that holds several of them."""
        if self._is_light(item, False):
            return
        for points in self._points(item, segments, matrix):
            xs, ys = [x for x, _ in points], [y for _, y in points]
            if min(max(xs) - min(xs), max(ys) - min(ys)) <= _THIN:
                self._add(min(xs), min(ys), max(xs), max(ys))

    def _add(self, x0: float, top: float, x1: float, bottom: float) -> None:
        if x1 - x0 >= bottom - top:
            middle = (top + bottom) / 2
            self.rules.append(Rule(x0, middle, x1, middle))
        else:
            middle = (x0 + x1) / 2
            self.rules.append(Rule(middle, top, middle, bottom))


def _upright(page: Page) -> Page:
    """Turn a page whose text stands on its side, as landscape tables on portrait paper do."""
    turns = [0, 0, 0, 0]
    for glyph in page.glyphs:
        quarter = round(glyph.angle / 90.0)
        if not glyph.invisible and abs(glyph.angle - 90.0 * quarter) < 3.0:
            turns[quarter % 4] += 1
    turn = max(range(4), key=turns.__getitem__)
    if turn == 0 or turns[turn] < 2 * turns[0] or turns[turn] < 10:
        return page
    width, height = page.width, page.height

    def place(x: float, y: float) -> tuple[float, float]:
        if turn == 1:  # text runs upwards
            return height - y, x
        if turn == 2:
            return width - x, height - y
        return y, width - x

    glyphs = []
    for glyph in page.glyphs:
        x, baseline = place(glyph.x, glyph.baseline)
        angle = (glyph.angle - 90.0 * turn) % 360.0
        glyphs.append(Glyph(glyph.text, x, baseline, glyph.size, glyph.width, angle, glyph.invisible, glyph.confidence))
    rules = []
    for rule in page.rules:
        (xa, ya), (xb, yb) = place(rule.x0, rule.top), place(rule.x1, rule.bottom)
        rules.append(Rule(min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)))
    if turn % 2:
        width, height = height, width
    return Page(page.number, width, height, tuple(glyphs), tuple(rules))


def read_page(page: Any, number: int, limit: int) -> tuple[Page, float, bool]:
    """Return what stands on a loaded PDFium page, the share that pictures cover, and whether a font is lacking."""
    frame = _frame(page)
    glyphs, lacking = _read_glyphs(page, frame, limit)
    reader = _RuleReader(frame)
    reader.read(page)
    area = max(1.0, frame.width * frame.height)
    found = Page(number, frame.width, frame.height, tuple(glyphs), tuple(reader.rules))
    return _upright(found), min(1.0, reader.picture_area / area), lacking


_NO_FONT = (
    "文字所用的中文字体没有嵌入文件，本机也没有中文字体，单独成行的字会读漏。"
    "请在本机安装中文字体（Linux 如 fonts-noto-cjk 或 fonts-wqy-zenhei）后重新读取。"
)


def open_pdf(path: str, data: bytes) -> pypdfium2.PdfDocument:
    """Open a PDF; one that only its owner locked opens without a password.

    Raises:
        ReadError: the file needs a password or is damaged.
    """
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        reason = str(error)
        if "password" in reason.lower():
            raise ReadError(path, "文件已加密，需要打开密码", advice="请先用原密码打开并另存为不加密的 PDF") from error
        if "security" in reason.lower():
            raise ReadError(path, "文件的加密方式不受支持", advice="请在原软件中另存为不加密的 PDF") from error
        raise ReadError(path, "PDF 文件已损坏或不完整", advice="请重新获取该文件，或用阅读器另存后再试") from error


class PdfPages:
    """The pages of a PDF, read one at a time; what could not be read is kept in problems.

    Args:
        path: named in messages.
        document: an open document.
        settings: bounds on pages, characters and seconds.
        recognise: asked for each page without text; without it such pages are listed only.
    """

    def __init__(
        self, path: str, document: pypdfium2.PdfDocument, settings: Settings, recognise: Recogniser | None = None
    ) -> None:
        self.path = path
        self.document = document
        self.settings = settings
        self.recognise = recognise
        self.problems: list[Problem] = []
        self._told_of_font = False
        self.pages_without_text: list[int] = []
        self.page_count = len(document)
        if self.page_count > settings.max_pages:
            raise LimitError(
                path,
                f"共 {self.page_count} 页，超过 {settings.max_pages} 页",
                advice="请拆分文件，或调大 max_pages",
            )

    def __iter__(self) -> Iterator[Page]:
        started = time.monotonic()
        characters = 0
        for index in range(self.page_count):
            number = index + 1
            if time.monotonic() - started > self.settings.max_seconds:
                raise LimitError(
                    self.path,
                    f"读取超过 {self.settings.max_seconds:g} 秒",
                    page=number,
                    advice="请拆分文件，或调大 max_seconds",
                )
            page, pictures = self._read(index, self.settings.max_characters - characters)
            if page is None:
                continue
            characters += len(page.glyphs)
            asked = time.monotonic()
            yield self._choose(page, pictures)
            if number in self.pages_without_text:
                started += time.monotonic() - asked  # recognition has no part in this bound
            del page

    def _read(self, index: int, left: int) -> tuple[Page | None, float]:
        handle = pdfium.FPDF_LoadPage(self.document.raw, index)
        if not handle:
            self.problems.append(Problem("read", "该页已损坏，无法读取。", self.path, index + 1))
            return None, 0.0
        try:
            page, pictures, lacking = read_page(handle, index + 1, left)
            if lacking and not self._told_of_font:
                self._told_of_font = True
                self.problems.append(Problem("read", _NO_FONT, self.path, index + 1))
            return page, pictures
        except OverflowError as error:
            raise LimitError(
                self.path,
                f"字符超过 {self.settings.max_characters} 个",
                page=index + 1,
                advice="请拆分文件，或调大 max_characters",
            ) from error
        finally:
            pdfium.FPDF_ClosePage(handle)

    def _choose(self, page: Page, pictures: float) -> Page:
        """Return the page, or what a recogniser makes of it where it holds no text of its own."""
        seen = sum(1 for glyph in page.glyphs if not glyph.invisible and not glyph.text.isspace())
        hidden = sum(1 for glyph in page.glyphs if glyph.invisible and not glyph.text.isspace())
        if pictures < (0.03 if seen == 0 else _SCAN_SHARE) or seen >= _STAMP_GLYPHS:
            return page
        self.pages_without_text.append(page.number)
        try:
            recognised = self.recognise(page.number) if self.recognise is not None else None
        except ReadError as error:  # one page too large to recognise must not cost the others
            message = f"{error.reason}。{error.advice}".rstrip("。") + "。"  # file and page have fields of their own
            self.problems.append(Problem("read", message, self.path, page.number))
            return page
        if recognised is not None:
            return recognised
        if hidden:
            self.problems.append(
                Problem("note", "该页为图像，采用了文件自带的识别文字，请核对。", self.path, page.number)
            )
            glyphs = tuple(Glyph(g.text, g.x, g.baseline, g.size, g.width, g.angle, False, 0.8) for g in page.glyphs)
            return Page(page.number, page.width, page.height, glyphs, page.rules)
        self.problems.append(
            Problem(
                "read",
                "该页只有图像，没有文字。请安装文字识别（pip install 'shidian[ocr]'）后再读。",
                self.path,
                page.number,
            )
        )
        return page


_PDF_DATE = re.compile(r"D:(\d{4})(\d{2})(\d{2})")


def read_pdf(
    path: str, data: bytes, document_id: str, settings: Settings = Settings(), recognise: Recogniser | None = None
) -> Document:
    """Read a PDF into paragraphs and tables.

    Args:
        path: named in messages and in the document.
        data: the bytes of the file.
        document_id: the id that every source refers to.
        settings: bounds on pages, characters and seconds.
        recognise: given the number of a page without text, returns the page as recognised, or None.

    Raises:
        ReadError: the file needs a password or is damaged.
        LimitError: a bound is exceeded.
    """
    document = open_pdf(path, data)
    try:
        if len(document) == 0:
            raise ReadError(path, "PDF 中没有页面", advice="请重新获取该文件")
        pages = PdfPages(path, document, settings, recognise)
        blocks = layout_pages(pages, document_id, settings)
        if not blocks and pages.page_count and not pages.pages_without_text:
            pages.problems.append(Problem("read", "文件中没有可读的文字。请检查文件内容。", path))
        return Document(
            document_id, path, "pdf", tuple(blocks), page_count=pages.page_count, problems=tuple(pages.problems)
        )
    finally:
        document.close()
