"""OFD (GB/T 33190): text and ruling lines with their places, through the layout that PDF pages go through.

Own XML reading with entities off: text objects with their runs of offsets, paths, images, blocks and composite
objects under their transforms, templates and annotations. Signatures are not verified.
"""

from __future__ import annotations

import itertools
import math
import posixpath
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.errors import LimitError, ReadError
from pipeline.readers.archive import Archive, attribute, local
from pipeline.readers.layout import layout_pages
from pipeline.readers.layout_types import Glyph, Page, Rule
from pipeline.readers.mending import mend_numbers
from pipeline.readers.structure import complete
from pipeline.records import Document, Problem
from pipeline.settings import Settings
from pipeline.text import normalise

_POINTS = 72 / 25.4  # OFD measures in millimetres
_THIN = 1.2  # mm: a filled shape at most this thick is a line
_SKEW = 0.3  # mm that a ruling line may lean
_STAMP_GLYPHS = 10  # a page of pictures with fewer characters than this is a scan with a stamp or page number

Matrix = tuple[float, float, float, float, float, float]
_UNIT: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def _numbers(text: str | None) -> list[float]:
    """Return the numbers of an attribute; what is none counts as 0."""
    found = []
    for part in (text or "").replace(",", " ").split():
        try:
            value = float(part)
        except ValueError:
            value = 0.0
        found.append(value if math.isfinite(value) else 0.0)
    return found


def expand_deltas(text: str | None, most: int) -> list[float]:
    """Return the offsets between characters; "g n d" stands for n times d.

    Example:
        >>> expand_deltas("g 3 1.5 -4", 10), expand_deltas("2 g 99999999 1", 3)
        ([1.5, 1.5, 1.5, -4.0], [2.0, 1.0, 1.0])
    """
    deltas: list[float] = []
    parts = (text or "").replace(",", " ").split()
    index = 0
    while index < len(parts) and len(deltas) < most:
        if parts[index].lower() == "g" and index + 2 < len(parts):
            count, value = _numbers(f"{parts[index + 1]} {parts[index + 2]}")
            deltas += [value] * max(0, min(int(count), most - len(deltas)))
            index += 3
        else:
            deltas += _numbers(parts[index])
            index += 1
    return deltas


def _times(inner: Matrix, outer: Matrix) -> Matrix:
    """Return the transform that applies inner first, then outer."""
    a, b, c, d, e, f = inner
    g, h, i, j, k, m = outer
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m


def _apply(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _place(element: Any, outer: Matrix) -> Matrix:
    """Return the transform from an object's own space to the page: its CTM, then the corner of its boundary."""
    boundary = _numbers(attribute(element, "Boundary")) or [0.0, 0.0]
    ctm = _numbers(attribute(element, "CTM"))
    corner: Matrix = (1.0, 0.0, 0.0, 1.0, boundary[0], boundary[1] if len(boundary) > 1 else 0.0)
    matrix = corner
    if len(ctm) == 6:
        matrix = _times((ctm[0], ctm[1], ctm[2], ctm[3], ctm[4], ctm[5]), corner)
    return _times(matrix, outer)


def _is_off(element: Any, name: str, default: bool) -> bool:
    value = attribute(element, name)
    return (not default) if value is None else value.strip().lower() in ("false", "0")


def _is_white(element: Any, kind: str) -> bool:
    """Tell whether a path is painted in white, which shows nothing on paper."""
    for child in element:
        if local(child) == kind:
            values = [
                int(v[1:], 16) if re.fullmatch("#[0-9a-fA-F]{1,2}", v) else v
                for v in (child.get("Value") or "").split()
            ]
            return bool(values) and all(str(value) == "255" for value in values) and len(values) in (1, 3)
    return False


def _advance(character: str, size: float) -> float:
    return size * (0.5 if ord(character) < 0x2E80 and not 0x2010 <= ord(character) <= 0x2049 else 1.0)


@dataclass
class _Picture:
    member: str
    matrix: Matrix
    """from the unit square to the page, in millimetres"""
    form: str = ""


@dataclass
class _Canvas:
    """What has been found on one page, in points."""

    glyphs: list[Glyph] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    pictures: list[_Picture] = field(default_factory=list)


class _Package:
    """One document inside the package, with its resources."""

    def __init__(self, path: str, archive: Archive, root: str, settings: Settings) -> None:
        self.path = path
        self.archive = archive
        self.settings = settings
        self.root = root
        self.folder = posixpath.dirname(root)
        self.problems: list[Problem] = []
        self.characters = 0
        self.objects = 0
        self.document = archive.xml(root)
        self.media: dict[str, tuple[str, str]] = {}
        self.composites: dict[str, Any] = {}
        self.templates: dict[str, str] = {}
        self.box = [0.0, 0.0, 210.0, 297.0]
        self._trees: dict[str, Any] = {}
        self._common()

    def resolve(self, location: str, beside: str) -> str:
        """Return the member that a location names: from the root, beside the file that says it, or in the document."""
        location = location.strip().replace("\\", "/")
        folders = [""] if location.startswith("/") else [posixpath.dirname(beside), self.folder, ""]
        for folder in folders:
            name = posixpath.normpath(posixpath.join(folder, location.lstrip("/")))
            if not name.startswith("..") and name in self.archive:
                return name
        return ""

    def tree(self, name: str) -> Any:
        """Return the root element of a member; the last few are kept, as templates come back on every page."""
        if name not in self._trees:
            if len(self._trees) > 8:
                self._trees.clear()
            self._trees[name] = self.archive.xml(name)
        return self._trees[name]

    def _common(self) -> None:
        for element in self.document.iter():
            name = local(element)
            if name == "TemplatePage":
                self.templates[element.get("ID") or ""] = self.resolve(element.get("BaseLoc") or "", self.root)
            elif name in ("PublicRes", "DocumentRes") and element.text:
                self._resources(self.resolve(element.text, self.root))
            elif name == "PhysicalBox" and len(box := _numbers(element.text)) == 4:
                self.box = box

    def _resources(self, member: str) -> None:
        if not member:
            return
        try:
            root = self.archive.xml(member)
        except ReadError as error:
            self.problems.append(Problem("read", f"资源无法读取：{error.reason}。", self.path))
            return
        base = root.get("BaseLoc") or ""
        for element in root.iter():
            name = local(element)
            if name == "MultiMedia":
                location = next((child.text or "" for child in element if local(child) == "MediaFile"), "")
                found = self.resolve(posixpath.join(base, location.strip()), member) or self.resolve(location, member)
                self.media[element.get("ID") or ""] = (found, (element.get("Format") or "").upper())
            elif name == "CompositeGraphicUnit":
                self.composites[element.get("ID") or ""] = element

    def page_members(self) -> list[tuple[str, str]]:
        """Return id and member of each page, in order."""
        pages = []
        for element in self.document:
            if local(element) == "Pages":
                for child in element:
                    if local(child) == "Page":
                        pages.append((child.get("ID") or "", self.resolve(child.get("BaseLoc") or "", self.root)))
        return pages

    def annotations(self) -> dict[str, list[str]]:
        """Return the annotation members of each page by its id."""
        found: dict[str, list[str]] = {}
        for element in self.document:
            if local(element) != "Annotations" or not element.text:
                continue
            member = self.resolve(element.text, self.root)
            try:
                root = self.archive.xml(member) if member else []
            except ReadError as error:
                self.problems.append(Problem("read", f"批注无法读取：{error.reason}。", self.path))
                continue
            for page in root:
                names = [self.resolve(child.text or "", member) for child in page if local(child) == "FileLoc"]
                found.setdefault(page.get("PageID") or "", []).extend(name for name in names if name)
        return found


class _Painter:
    """Collects characters, rules and pictures of a page."""

    def __init__(self, package: _Package, canvas: _Canvas, origin: Matrix) -> None:
        self.package = package
        self.canvas = canvas
        self.origin = origin

    def blocks(self, element: Any, outer: Matrix, depth: int = 0) -> None:
        """Take in the objects below a layer, a block or a composite."""
        if depth > self.package.settings.max_depth:
            raise LimitError(
                self.package.path, f"嵌套超过 {self.package.settings.max_depth} 层", advice="请检查文件来源"
            )
        for child in element:
            name = local(child)
            if not name or _is_off(child, "Visible", True):
                continue
            self.package.objects += 1
            if self.package.objects > self.package.settings.max_characters:
                raise LimitError(self.package.path, "图形对象过多", advice="请检查文件来源")
            if name == "TextObject":
                self._text(child, outer)
            elif name == "PathObject":
                self._path(child, outer)
            elif name == "ImageObject":
                self._image(child, outer)
            elif name == "CompositeObject":
                unit = self.package.composites.get(child.get("ResourceID") or "")
                if unit is not None:
                    self.blocks(unit, _place(child, outer), depth + 1)
            elif name in ("Layer", "PageBlock", "Content"):
                self.blocks(child, outer, depth + 1)

    def _text(self, element: Any, outer: Matrix) -> None:
        matrix = _times(_place(element, outer), self.origin)
        size = (_numbers(attribute(element, "Size")) or [3.5])[0]
        stretch = (_numbers(attribute(element, "HScale")) or [1.0])[0] or 1.0
        a, b, c, d = matrix[:4]
        shown = size * math.hypot(c, d)
        across = math.hypot(a, b)
        angle = math.degrees(math.atan2(b, a)) + float((_numbers(attribute(element, "CharDirection")) or [0.0])[0])
        alpha = attribute(element, "Alpha")
        hidden = _is_off(element, "Fill", True) and _is_off(element, "Stroke", False)
        hidden = hidden or (alpha is not None and (_numbers(alpha) or [255.0])[0] == 0)
        x = y = 0.0
        for code in element:
            if local(code) != "TextCode" or not code.text:
                continue
            text = code.text.strip("\r\n\t") if "\n" in code.text else code.text
            x = (_numbers(code.get("X")) or [x])[0]
            y = (_numbers(code.get("Y")) or [y])[0]
            self.package.characters += len(text)
            if self.package.characters > self.package.settings.max_characters:
                limit = self.package.settings.max_characters
                raise LimitError(self.package.path, f"文字超过 {limit} 字", advice="请拆分文件，或调大 max_characters")
            given_x = code.get("DeltaX")
            deltas_x = expand_deltas(given_x, len(text))
            deltas_y = expand_deltas(code.get("DeltaY"), len(text))
            at_x, at_y = x, y
            for index, character in enumerate(text):
                natural = _advance(character, size) * stretch
                step = deltas_x[index] if index < len(deltas_x) else (0.0 if deltas_y and not deltas_x else natural)
                page_x, page_y = _apply(matrix, at_x, at_y)
                width = (step if 0 < step < 3 * size else natural) * across
                if not character.isspace():
                    self.canvas.glyphs.append(
                        Glyph(
                            character,
                            page_x * _POINTS,
                            page_y * _POINTS,
                            shown * _POINTS,
                            width * _POINTS,
                            angle,
                            hidden,
                        )
                    )
                at_x += step
                at_y += deltas_y[index] if index < len(deltas_y) else 0.0

    def _path(self, element: Any, outer: Matrix) -> None:
        stroked = not _is_off(element, "Stroke", True) and not _is_white(element, "StrokeColor")
        filled = not _is_off(element, "Fill", False) and not _is_white(element, "FillColor")
        data = next((child.text or "" for child in element if local(child) == "AbbreviatedData"), "")
        if not data or not (stroked or filled):
            return
        matrix = _times(_place(element, outer), self.origin)
        for shape in outline(data):
            points = [_apply(matrix, x, y) for x, y in shape]
            xs, ys = [p[0] for p in points], [p[1] for p in points]
            wide, high = max(xs) - min(xs), max(ys) - min(ys)
            if filled and len(points) > 2 and min(wide, high) <= _THIN and max(wide, high) > 2 * min(wide, high):
                middle_x, middle_y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
                if wide > high:
                    self._rule(min(xs), middle_y, max(xs), middle_y)
                else:
                    self._rule(middle_x, min(ys), middle_x, max(ys))
            elif stroked:
                for (x0, y0), (x1, y1) in itertools.pairwise(points):
                    if abs(y1 - y0) <= _SKEW < abs(x1 - x0) or abs(x1 - x0) <= _SKEW < abs(y1 - y0):
                        self._rule(x0, y0, x1, y1)

    def _rule(self, x0: float, y0: float, x1: float, y1: float) -> None:
        left, right = sorted((x0 * _POINTS, x1 * _POINTS))
        top, bottom = sorted((y0 * _POINTS, y1 * _POINTS))
        self.canvas.rules.append(Rule(left, top, right, bottom))

    def _image(self, element: Any, outer: Matrix) -> None:
        member, form = self.package.media.get(element.get("ResourceID") or "", ("", ""))
        matrix = _place(element, outer)
        if attribute(element, "CTM") is None:  # without a transform the picture fills its boundary
            boundary = _numbers(attribute(element, "Boundary")) or [0.0] * 4
            if len(boundary) == 4:
                matrix = _times((boundary[2], 0.0, 0.0, boundary[3], boundary[0], boundary[1]), outer)
        if member:
            form = form or posixpath.splitext(member)[1].lstrip(".").upper()
            self.canvas.pictures.append(_Picture(member, _times(matrix, self.origin), form))


def outline(data: str) -> list[list[tuple[float, float]]]:
    """Return the shapes of abbreviated path data as lists of points; curves count as their end points.

    Example:
        >>> outline("M 0 0 L 5 0 L 5 1 C M 2 2 B 1 1 2 2 3 3")
        [[(0.0, 0.0), (5.0, 0.0), (5.0, 1.0), (0.0, 0.0)], [(2.0, 2.0)], [(3.0, 3.0)]]
    """
    shapes: list[list[tuple[float, float]]] = []
    arguments = {"M": 2, "S": 2, "L": 2, "Q": 4, "B": 6, "A": 7, "C": 0}
    tokens = data.replace(",", " ").split()
    index = 0
    while index < len(tokens):
        operator = tokens[index].upper()
        index += 1
        count = arguments.get(operator)
        if count is None:
            continue
        values = _numbers(" ".join(tokens[index : index + count]))
        if len(values) < count:
            break
        index += count
        if operator in ("M", "S") or (operator in ("Q", "B", "A") and shapes):
            shapes.append([(values[-2], values[-1])])
        elif operator == "L" and shapes:
            shapes[-1].append((values[0], values[1]))
        elif operator == "C" and shapes:
            shapes[-1].append(shapes[-1][0])
    return shapes


class _Reader:
    """Reads the pages of one document of the package, one at a time."""

    def __init__(self, package: _Package, first: int) -> None:
        self.package = package
        self.first = first
        self.members = package.page_members()
        self.read = 0

    def pages(self) -> Iterator[Page]:
        """Yield the pages that can be read; the others become problems."""
        annotations = self.package.annotations()
        started = time.monotonic()
        most = self.package.settings.max_seconds
        for index, (identity, member) in enumerate(self.members):
            number = self.first + index
            if time.monotonic() - started > most:
                raise LimitError(self.package.path, f"读取超过 {most:g} 秒", number, "请拆分文件，或调大 max_seconds")
            try:
                if not member:
                    raise ReadError(self.package.path, "缺少该页的内容文件", number)
                page, canvas = self._page(number, member, annotations.get(identity, []))
            except LimitError:
                raise
            except ReadError as error:
                self.package.problems.append(
                    Problem("read", f"该页无法读取：{error.reason}。", self.package.path, number)
                )
                continue
            self.read += 1
            asked = time.monotonic()
            yield self._recognised(page, canvas)
            started += time.monotonic() - asked

    def _page(self, number: int, member: str, annotations: list[str]) -> tuple[Page, _Canvas]:
        package = self.package
        root = package.tree(member)
        templates = [child for child in root if local(child) == "Template"]
        box = _page_box(root)
        if box is None:
            named = (package.templates.get(child.get("TemplateID") or "", "") for child in templates)
            box = next((found for name in named if name and (found := _page_box(package.tree(name)))), None)
        box = box or package.box
        canvas = _Canvas()
        painter = _Painter(package, canvas, (1.0, 0.0, 0.0, 1.0, -box[0], -box[1]))
        for child in templates:
            name = package.templates.get(child.get("TemplateID") or "", "")
            if name:
                painter.blocks(package.tree(name), _UNIT)
        painter.blocks(root, _UNIT)
        for name in annotations:
            for annotation in package.tree(name):
                if _is_off(annotation, "Visible", True) or annotation.get("Type") in ("Watermark", "Stamp", "Link"):
                    continue
                for appearance in annotation:
                    if local(appearance) == "Appearance":
                        painter.blocks(appearance, _place(appearance, _UNIT))
        page = Page(number, box[2] * _POINTS, box[3] * _POINTS, tuple(canvas.glyphs), tuple(canvas.rules))
        return page, canvas

    def _recognised(self, page: Page, canvas: _Canvas) -> Page:
        """Return the page, or what character recognition makes of its pictures where it has no text."""
        area = page.width * page.height / _POINTS**2
        covered = sum(abs(p.matrix[0] * p.matrix[3] - p.matrix[1] * p.matrix[2]) for p in canvas.pictures)
        seen = sum(1 for glyph in page.glyphs if not glyph.invisible)
        if seen >= _STAMP_GLYPHS or covered < 0.4 * area or not canvas.pictures:
            return page
        from pipeline.readers.scan import compose, recognise_picture

        pictures = []
        for picture in canvas.pictures:
            try:
                data = self.package.archive.read(picture.member)
            except ReadError as error:
                self._problem(page, f"图像无法读取：{error.reason}")
                continue
            pictures.append((data, picture.matrix))
        try:
            image = compose(self.package.path, pictures, page.width, page.height, self.package.settings)
            found = recognise_picture(image, page.number, page.width, page.height, self.package.settings)
        except ReadError as error:
            self._problem(page, f"该页只有图像，没有文字：{error.reason}。{error.advice}")
            return page
        return found

    def _problem(self, page: Page, message: str) -> None:
        self.package.problems.append(Problem("read", message.rstrip("。") + "。", self.package.path, page.number))


def _page_box(root: Any) -> list[float] | None:
    for element in root:
        if local(element) == "Area":
            for child in element:
                if (
                    local(child) == "PhysicalBox"
                    and len(box := _numbers(child.text)) == 4
                    and box[2] > 0
                    and box[3] > 0
                ):
                    return box
    return None


def read_ofd(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    """Read an OFD package.

    Raises:
        ReadError: the package is damaged or encrypted, or none of its pages can be read.
        LimitError: it exceeds a bound of the settings.
    """
    archive = Archive(path, data, settings)
    root = archive.xml("OFD.xml")
    if "encryptions.xml" in archive or any(local(element) in ("Encryptions", "Encryption") for element in root.iter()):
        raise ReadError(path, "OFD 文件已加密", advice="请在阅读软件中解密或另存后再导入")
    title = next((normalise(element.text or "") for element in root.iter() if local(element) == "Title"), "")
    roots = [(element.text or "").strip() for element in root.iter() if local(element) == "DocRoot"]
    if not roots:
        raise ReadError(path, "OFD 中没有文档", advice="请重新获取该文件")
    readers: list[_Reader] = []
    count = 0
    for name in roots:
        package = _Package(path, archive, name.lstrip("/"), settings)
        readers.append(_Reader(package, count + 1))
        count += len(readers[-1].members)
    if count > settings.max_pages:
        raise LimitError(path, f"共 {count} 页，超过 {settings.max_pages} 页", advice="请拆分文件，或调大 max_pages")
    blocks = layout_pages((page for reader in readers for page in reader.pages()), document_id, settings)
    problems = [problem for reader in readers for problem in reader.package.problems]
    if count and not any(reader.read for reader in readers):
        raise ReadError(path, problems[0].message if problems else "没有可读的页面", advice="请重新获取该文件")
    if not blocks and not problems:
        problems.append(Problem("read", "文件中没有可读的文字。请检查文件内容。", path))
    document = Document(document_id, path, "ofd", tuple(blocks), page_count=count, problems=tuple(problems))
    document = complete(mend_numbers(document))
    return document if document.title else replace(document, title=title)  # the stated title is often a file name
