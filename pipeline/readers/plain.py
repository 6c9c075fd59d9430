"""Text, Markdown and JSONL: decoding, tables made of signs, paragraphs out of wrapped lines."""

from __future__ import annotations

import datetime
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import DataError, LimitError, ReadError
from pipeline.readers.formats import unmarked_utf16
from pipeline.readers.structure import goes_on, is_ended, is_page_number, numbering
from pipeline.records import Cell, Document, Paragraph, Problem, Source, Table, content_id, read_jsonl
from pipeline.settings import Settings
from pipeline.text import clean, compact, join_lines, normalise, parse_date

_PIPE_RULE = re.compile(r"^\|?\s*:?-{1,}:?\s*(?:\|\s*:?-*:?\s*)*\|?$")
_MARKDOWN_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
_FIRST_HEADER = ("序号", "编号", "项号", "项目编号")
_MAX_COLUMNS = 200


def decode(data: bytes, path: str = "") -> str:
    """Decode text in UTF-8, UTF-16 or GB18030, with or without a byte order mark.

    Raises:
        ReadError: the bytes are no text in any of these.

    Example:
        >>> decode("序号".encode("gb18030"))
        '序号'
    """
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(name, "replace")
    if name := unmarked_utf16(data):
        return data[: len(data) // 2 * 2].decode(name, "replace")
    for name in ("utf-8", "gb18030"):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    for name in ("utf-8", "gb18030"):  # a damaged byte or a cut at the end must not cost the whole text
        text = data.decode(name, "replace")
        if text.count("\ufffd") <= max(2, len(text) // 200):
            return text
    raise ReadError(path, "文字编码无法识别", advice="请另存为 UTF-8 编码的文本文件")


def width(line: str) -> int:
    """Return the columns a line takes: 2 for a Chinese character, 1 for a Latin one."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


@dataclass(frozen=True)
class _Line:
    text: str
    page: int | None
    indented: bool
    after_gap: bool


def _split_pipe(line: str) -> list[str]:
    body = line.strip().removeprefix("|")
    if body.endswith("|") and not body.endswith("\\|"):
        body = body[:-1]
    cells = re.split(r"(?<!\\)\|", body)
    return [re.sub(r"<br\s*/?>", "\n", cell.replace("\\|", "|")).strip() for cell in cells]


def make_table(rows: list[list[str]], source: Source) -> Table:
    """Make a table of texts; short rows are filled with empty cells."""
    columns = max((len(row) for row in rows), default=0)
    cells = tuple(
        Cell(r, c, normalise(row[c]) if c < len(row) else "", page=source.page)
        for r, row in enumerate(rows)
        for c in range(columns)
    )
    return Table(cells, source)


def _pipe_rows(lines: list[str], start: int) -> tuple[list[list[str]], int]:
    """Read the pipe table that starts at a line; return its rows and the line after it ([] where there is none)."""
    first = lines[start].strip()
    if first.count("|") < 2 and not (
        first.count("|") and start + 1 < len(lines) and _PIPE_RULE.match(lines[start + 1].strip())
    ):
        return [], start
    rows: list[list[str]] = []
    index = start
    ruled = False
    while index < len(lines) and "|" in lines[index]:
        line = lines[index].strip()
        if _PIPE_RULE.match(line) and "-" in line:
            ruled = True
        else:
            rows.append(_split_pipe(line))
        index += 1
    if not ruled and not (first.startswith("|") and len(rows) > 1):
        return [], start
    return rows, index


def _tab_rows(lines: list[str], start: int) -> tuple[list[list[str]], int]:
    """Read the rows of tab-separated cells that start at a line."""
    index = start
    rows = []
    while index < len(lines) and lines[index].strip().count("\t") >= 1:
        rows.append([cell.strip() for cell in lines[index].rstrip("\n").split("\t")])
        index += 1
    if len(rows) < 2 or max(len(row) for row in rows) < 3:
        return [], start
    return rows, index


def _header_cells(lines: list[str], start: int) -> list[tuple[int, str]]:
    """Return line number and text of the header cells written one a line, [] where none start."""
    if compact(lines[start]) not in _FIRST_HEADER:
        return []
    cells = [(start, compact(lines[start]))]
    for index in range(start + 1, len(lines)):
        text = compact(lines[index])
        if not text:
            continue
        if re.fullmatch(r"\d{1,4}", text) or numbering(lines[index].strip()) in ("part", "one", "two"):
            return cells if len(cells) >= 2 else []
        if len(text) > 14 or re.search("[，。；、]", text) or len(cells) > 12:
            return []
        cells.append((index, text))
    return []


def _fill(cells: list[str], columns: int) -> list[str]:
    """Bring the lines of one record to its columns: surplus lines belong to the first cell, the longest of a row."""
    surplus = len(cells) - columns
    if surplus > 0:
        cells = [join_lines(cells[: surplus + 1]), *cells[surplus + 1 :]]
    return cells + [""] * (columns - len(cells))


def _listed_rows(lines: list[str], start: int) -> tuple[list[list[str]], int]:
    """Read a table whose cells stand one a line, as text copied from a web page has it."""
    header = _header_cells(lines, start)
    if not header:
        return [], start
    names = [text for _, text in header]
    columns = len(names) - 1
    rows: list[list[str]] = [names]
    record: list[str] = []  # the lines of the record that is open, its number first
    number = 0
    index = header[-1][0] + 1
    end = index

    def close() -> None:
        if not record:
            return
        cells = record[1:]
        if len(cells) != columns:
            cells = [cell for cell in cells if cell]
        rows.append([record[0], *_fill(cells, columns)])
        record.clear()

    while index < len(lines):
        text = lines[index].strip()
        if [compact(line) for line in lines[index : index + len(names)]] == names:
            index += len(names)
            continue
        if re.fullmatch(r"\d{1,4}", text) and (int(text) == number + 1 or (not number and not record)):
            close()
            number = int(text)
            record.append(text)
            end = index + 1
        elif numbering(text) in ("part", "one", "two") and len(text) <= 60:
            close()
            rows.append([text] + [""] * columns)
            end = index + 1
        elif record:
            filled = sum(1 for cell in record[1:] if cell)
            ahead = any(
                re.fullmatch(r"\d{1,4}", line.strip()) and int(line) == number + 1 for line in lines[index : index + 40]
            )
            if not ahead and (filled >= columns or (not text and filled >= 2)):
                break
            record.append(text)
            end = index + 1 if text else end
        elif text:
            break
        index += 1
    close()
    while rows and rows[-1][0] and not re.fullmatch(r"\d{1,4}", rows[-1][0]) and len(rows) > 1:
        rows.pop()  # a heading after the last record is the next chapter of the text, not a row
        end -= 1
    return (rows, end) if len(rows) >= 3 else ([], start)


def _wrap_width(lines: list[_Line]) -> int:
    """Return the columns at which the lines were broken by hand, 0 where each paragraph stands on one line."""
    widths = [width(line.text) for line in lines]
    if len(widths) < 4:
        return 0
    longest = max(widths)
    full = [w for w, line in zip(widths, lines, strict=True) if w >= longest - 4 and not is_ended(line.text)]
    return longest if longest <= 160 and len(full) >= max(3, 0.25 * len(widths)) else 0


def _continues(before: _Line, line: _Line, wrapped: int, indents: bool) -> bool:
    """Tell whether a line goes on with the paragraph of the line before it."""
    if line.indented or (is_ended(before.text) and not (wrapped and width(before.text) >= wrapped - 2 and indents)):
        return False
    if numbering(line.text) in ("part", "chapter", "one", "two", "four") or re.match(r"附[件表注]", line.text):
        return False
    if wrapped and not line.after_gap and width(before.text) >= wrapped - 6:
        return True
    return goes_on(before.text, line.text)


def _paragraphs(lines: list[_Line], document_id: str, wrapped: int) -> Iterator[Paragraph]:
    indents = sum(line.indented for line in lines) >= 2
    group: list[_Line] = []

    def finish() -> Paragraph:
        raw = "\n".join(line.text for line in group)
        heading = _MARKDOWN_HEADING.match(raw)
        text = clean(heading.group(2) if heading else raw)
        text = re.sub(r"\*\*(.+?)\*\*", r"\1", text)
        return Paragraph(
            text,
            Source(document_id, page=group[0].page),
            raw=raw if raw != text else "",
            level=len(heading.group(1)) if heading else 0,
        )

    for line in lines:
        is_heading = bool(_MARKDOWN_HEADING.match(line.text) or (group and _MARKDOWN_HEADING.match(group[-1].text)))
        if group and (is_heading or not _continues(group[-1], line, wrapped, indents)):
            yield finish()
            group = []
        group.append(line)
    if group:
        yield finish()


def read_plain(path: str, data: bytes, document_id: str, settings: Settings) -> Document:
    """Read text or Markdown.

    Pipe tables, tab-separated rows and tables with one cell a line become tables; lines broken by hand or by a page
    become paragraphs again. Form feeds count pages.

    Raises:
        ReadError: no text, an unknown encoding, or more characters than the settings allow.
    """
    text = decode(data, path).replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > settings.max_characters:
        raise LimitError(path, f"文字超过 {settings.max_characters} 字", advice="请拆分文件，或调大 max_characters")
    if not text.strip():
        raise ReadError(path, "文件中没有文字", advice="请检查文件是否正确")
    pages = text.split("\f")
    lines: list[str] = []
    page_of: list[int | None] = []
    for page, content in enumerate(pages, 1):
        found = content.split("\n")
        lines += found
        page_of += [page if len(pages) > 1 else None] * len(found)
    plain: list[_Line | Table] = []
    index = 0
    gap = False
    tables = 0
    while index < len(lines):
        rows, end = _pipe_rows(lines, index)
        if not rows:
            rows, end = _tab_rows(lines, index)
        if not rows:
            rows, end = _listed_rows(lines, index)
        if rows:
            if len(rows) * max(map(len, rows)) > settings.max_characters or max(map(len, rows)) > _MAX_COLUMNS:
                raise LimitError(path, "表格过大", advice="请检查文件是否为正常的文本")
            tables += 1
            plain.append(make_table(rows, Source(document_id, page=page_of[index], table=tables)))
            index, gap = end, True
            continue
        line = lines[index]
        stripped = line.strip()
        if not stripped or is_page_number(stripped):
            gap = True
        else:
            lead = line[: len(line) - len(line.lstrip())]
            indented = width(lead.replace("\t", "    ")) >= 2
            plain.append(_Line(stripped, page_of[index], indented, gap))
            gap = False
        index += 1
    wrapped = _wrap_width([item for item in plain if isinstance(item, _Line)])
    blocks: list[Paragraph | Table] = []
    run: list[_Line] = []
    for item in [*plain, None]:
        if isinstance(item, _Line):
            run.append(item)
            continue
        blocks += _paragraphs(run, document_id, wrapped)
        run = []
        if item is not None:
            blocks.append(item)
    problems: tuple[Problem, ...] = ()
    if "\ufffd" in text:
        problems = (Problem("note", "文字中有无法识别的字节，已以�代替", file=path),)
    markdown = any(_MARKDOWN_HEADING.match(line) for line in lines) or any(
        _PIPE_RULE.match(line.strip()) for line in lines if "|" in line
    )
    return Document(
        document_id,
        path,
        "markdown" if markdown else "text",
        tuple(blocks),
        page_count=len(pages) if len(pages) > 1 else None,
        problems=problems,
    )


def clean_passage(text: str) -> str:
    r"""Return a passage on one line, without page numbers that stand on lines of their own.

    Example:
        >>> clean_passage("创始人股权\n— 3 —\n和产线设备")
        '创始人股权和产线设备'
    """
    return clean("\n".join(line for line in text.split("\n") if not is_page_number(line)))


def iso_date(text: str) -> str:
    """Return a date in one of the usual forms as ISO, "" where it is none; a month alone counts as its first day.

    Example:
        >>> [iso_date(x) for x in ("2024年3月5日", "2024/3/5", "20240305", "2024-03", "2024-02-31", "2024", "去年")]
        ['2024-03-05', '2024-03-05', '2024-03-05', '2024-03-01', '', '', '']
    """
    text = text.strip()
    if short := re.fullmatch(r"([12]\d{3})(?:(\d\d)(\d\d)|[-/.](\d{1,2}))", text):
        year, month, day, alone = short.groups()
        found = f"{year}-{month or alone.zfill(2)}-{day or '01'}"
    else:
        found = parse_date(text)
    try:
        return datetime.date.fromisoformat(found).isoformat()
    except ValueError:
        return ""


def read_jsonl_documents(path: str, data: bytes, settings: Settings) -> Iterator[Document]:
    """Yield the documents of a JSONL file, one a line.

    A line is {"doc_id","kind","title","issuer","date","passages":[{"pid","text"}]}.
    Given ids come back as they are; other keys are ignored. A date in another form than ISO becomes ISO.

    Raises:
        ReadError: a line is no such object.
    """
    text = decode(data, path)
    if len(text) > settings.max_characters:
        raise LimitError(path, f"文字超过 {settings.max_characters} 字", advice="请拆分文件，或调大 max_characters")
    try:
        for number, value in enumerate(read_jsonl(io.StringIO(text), path), 1):
            yield _jsonl_document(path, number, value)
    except DataError as error:
        raise ReadError(path, str(error).removeprefix(f"{path} ")) from error
    except RecursionError as error:
        raise LimitError(path, "JSON 嵌套过深", advice="请检查文件来源") from error


def _jsonl_document(path: str, number: int, value: dict[str, object]) -> Document:
    passages = value.get("passages")
    if not isinstance(passages, list):
        raise ReadError(
            path, f"第{number}行没有 passages", advice='每行应为 {"doc_id":…,"passages":[{"pid":…,"text":…}]}'
        )

    def text_of(name: str) -> str:
        found = value.get(name)
        return found if isinstance(found, str) else ""

    facts = {name: text_of(name) for name in ("title", "issuer", "number", "kind")}
    raw_id = value.get("doc_id")
    # Without an id of its own a document is what it says: another title makes another document.
    document_id = str(raw_id) if raw_id not in (None, "") else content_id("jsonl", *facts.values(), str(passages))
    given_date = str(value.get("date") or "").strip()
    date = iso_date(given_date)
    problems: tuple[Problem, ...] = ()
    if given_date and not date:
        message = f"第{number}行的日期“{given_date[:40]}”无法识别，未采用。请写成 2024-03-05 的样子。"
        problems = (Problem("note", message, file=path),)
    paragraphs = []
    for passage in passages:
        if not isinstance(passage, dict) or not isinstance(passage.get("text"), str):
            raise ReadError(path, f"第{number}行的段落没有 text", advice='段落应为 {"pid":…,"text":…}')
        raw = passage["text"]
        cleaned = clean_passage(raw)
        pid = passage.get("pid")
        paragraphs.append(
            Paragraph(
                cleaned,
                Source(document_id),
                raw=raw if raw != cleaned else "",
                given_id="" if pid is None else str(pid),
            )
        )
    return Document(
        document_id,
        path,
        "jsonl",
        tuple(paragraphs),
        title=facts["title"],
        issuer=facts["issuer"],
        date=date,
        number=facts["number"],
        kind=facts["kind"],
        problems=problems,
    )
