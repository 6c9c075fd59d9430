from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LimitError, ReadError
from pipeline.readers import read_document
from pipeline.readers.ofd import expand_deltas, outline, read_ofd
from pipeline.records import Document, Paragraph
from pipeline.settings import Settings

SHARED = Path(__file__).parents[1].parent / "shared"
NS = 'xmlns:ofd="http://www.ofdspec.org/2016"'


def text(x: float, y: float, content: str, size: float = 5.0, extra: str = "", deltas: str | None = None) -> str:
    given_deltas = f"g {len(content) - 1} {size}" if deltas is None else deltas
    return (
        f'<ofd:TextObject ID="1" Boundary="{x} {y} 150 8" Font="1" Size="{size}" {extra}>'
        f'<ofd:TextCode X="0" Y="5" DeltaX="{given_deltas}">{content}</ofd:TextCode></ofd:TextObject>'
    )


def line(x0: float, y0: float, x1: float, y1: float) -> str:
    return (
        f'<ofd:PathObject ID="2" Boundary="{x0} {y0} {x1 - x0 + 0.1} {y1 - y0 + 0.1}" LineWidth="0.2">'
        f"<ofd:AbbreviatedData>M 0 0 L {x1 - x0} {y1 - y0}</ofd:AbbreviatedData></ofd:PathObject>"
    )


def page(objects: str, extra: str = "") -> str:
    return (
        f"<ofd:Page {NS}><ofd:Area><ofd:PhysicalBox>0 0 210 297</ofd:PhysicalBox></ofd:Area>{extra}"
        f'<ofd:Content><ofd:Layer ID="9">{objects}</ofd:Layer></ofd:Content></ofd:Page>'
    )


def package(pages: list[str], common: str = "", more: dict[str, str] | None = None, root: str = "") -> bytes:
    listed = "".join(f'<ofd:Page ID="{n}" BaseLoc="Pages/P{n}.xml"/>' for n in range(len(pages)))
    members = {
        "OFD.xml": f"<ofd:OFD {NS}>{root}<ofd:DocBody>"
        "<ofd:DocRoot>/Doc_0/Document.xml</ofd:DocRoot></ofd:DocBody></ofd:OFD>",
        "Doc_0/Document.xml": f"<ofd:Document {NS}><ofd:CommonData>{common}</ofd:CommonData>"
        f"<ofd:Pages>{listed}</ofd:Pages><ofd:Annotations>Annotations.xml</ofd:Annotations></ofd:Document>",
    }
    members |= {f"Doc_0/Pages/P{n}.xml": content for n, content in enumerate(pages)} | (more or {})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def read(data: bytes, settings: Settings | None = None) -> Document:
    return read_ofd("a.ofd", data, "d", settings or Settings())


def texts(document: Document) -> list[str]:
    return [block.text for block in document.blocks if isinstance(block, Paragraph)]


def grid(columns: list[float], rows: list[float]) -> str:
    across = "".join(line(columns[0], y, columns[-1], y) for y in rows)
    return across + "".join(line(x, rows[0], x, rows[-1]) for x in columns)


def test_text_and_a_ruled_table() -> None:
    cells = text(32, 42, "序号") + text(52, 42, "任务") + text(32, 52, "1", deltas="") + text(52, 52, "开展试点。")
    document = read(package([page(text(30, 20, "任务分工表如下。") + grid([30, 50, 120], [40, 50, 60]) + cells)]))
    assert texts(document) == ["任务分工表如下。"]
    assert document.tables[0].grid() == [["序号", "任务"], ["1", "开展试点。"]]
    assert document.tables[0].cells[0].page == 1


def test_transforms_blocks_templates_and_annotations() -> None:
    block = f'<ofd:PageBlock ID="3"><ofd:PageBlock ID="4">{text(30, 60, "块中的话。")}</ofd:PageBlock></ofd:PageBlock>'
    scaled = text(30, 90, "放大的话。", size=1.0, extra='CTM="5 0 0 5 0 -20"')
    hidden = text(30, 110, "看不见。", extra='Visible="false"')
    template = page(text(30, 30, "模板的话。"))
    note = (
        f'<ofd:PageAnnot {NS}><ofd:Annot Type="Path"><ofd:Appearance Boundary="30 140 100 10">'
        f'{text(0, 0, "批注的话。")}</ofd:Appearance></ofd:Annot><ofd:Annot Type="Watermark">'
        f'<ofd:Appearance Boundary="0 0 1 1">{text(0, 0, "水印")}</ofd:Appearance></ofd:Annot></ofd:PageAnnot>'
    )
    listed = f'<ofd:Annotations {NS}><ofd:Page PageID="0"><ofd:FileLoc>N.xml</ofd:FileLoc></ofd:Page></ofd:Annotations>'
    data = package(
        [page(block + scaled + hidden, '<ofd:Template TemplateID="7"/>')],
        '<ofd:TemplatePage ID="7" BaseLoc="T.xml"/>',
        {"Doc_0/T.xml": template, "Doc_0/Annotations.xml": listed, "Doc_0/N.xml": note},
    )
    assert texts(read(data)) == ["模板的话。", "块中的话。", "放大的话。", "批注的话。"]


@given(st.text(alphabet="g 0123456789.-x", max_size=60), st.integers(0, 50))
def test_offsets_never_exceed_the_text(content: str, most: int) -> None:
    assert len(expand_deltas(content, most)) <= most


@given(st.text(alphabet="MSLQBAC 0123456789.-", max_size=80))
def test_any_path_data_is_survived(data: str) -> None:
    for shape in outline(data):
        assert shape


def test_a_page_that_cannot_be_read_is_named_and_the_others_are_read() -> None:
    document = read(package([page(text(30, 20, "第一页的话。")), "<broken", page(text(30, 20, "第三页的话。"))]))
    assert "".join(texts(document)) == "第一页的话。第三页的话。"
    assert document.problems[0].page == 2


def test_hostile_packages() -> None:
    with pytest.raises(ReadError, match="加密"):
        read(package([page("")], root="<ofd:Encryptions/>"))
    with pytest.raises(LimitError, match="页"):
        read(package([page(text(1, 1, "话。"))] * 5), Settings(max_pages=4))
    deep = page("<ofd:PageBlock>" * 150 + text(1, 1, "话。") + "</ofd:PageBlock>" * 150)
    with pytest.raises(LimitError, match="嵌套"):
        read(package([deep]))
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>{page("&e;")}'
    with pytest.raises(ReadError, match="实体"):
        read(package([entity]))
    inner = '<ofd:Content><ofd:CompositeObject ResourceID="5"/></ofd:Content>'
    composite = f'<ofd:Res {NS}><ofd:CompositeGraphicUnit ID="5">{inner}'
    data = package(
        [page('<ofd:CompositeObject ResourceID="5"/>')],
        "<ofd:DocumentRes>Res.xml</ofd:DocumentRes>",
        {"Doc_0/Res.xml": composite + "</ofd:CompositeGraphicUnit></ofd:Res>"},
    )
    with pytest.raises(LimitError, match="嵌套"):
        read(data)
    with pytest.raises(ReadError):
        read(package([page(text(1, 1, "话。"))])[:-300])


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared samples")
def test_real_files_open() -> None:
    paths = sorted((SHARED / "samples" / "real").glob("*.ofd"))
    found = {path.name: read_document(path) for path in paths}
    assert all(document.blocks for document in found.values())
    assert found["n.ofd"].number == "路卫发〔2011〕76号"
    assert found["999.ofd"].tables
