"""PDF files: made here by reportlab, and the samples where they are at hand."""

import json
from io import BytesIO
from pathlib import Path

import pytest

from pipeline.errors import LimitError, ReadError
from pipeline.extraction.notice import extract_notice
from pipeline.readers.pdf import read_pdf
from pipeline.settings import Settings
from tests.makers.layouts import Layout, draw_layout
from tests.makers.notices import make_notice
from tests.makers.pages import by_reportlab, gold

SHARED = Path(__file__).resolve().parents[2] / "shared" / "samples"
COLUMNS = (("no", "序号"), ("text", "任务"), ("lead", "牵头单位"), ("coop", "配合单位"))


def made(notice, layout):
    data = BytesIO()
    by_reportlab(notice, layout, "STSong-Light", data)
    return data.getvalue()


def bare(text):
    return "".join(str(text).split())


def check(tasks, expected):
    got = [(t.no, bare(t.text), t.lead_units, t.coop_units, t.part) for t in tasks]
    assert got == [
        (g["no"], bare(g["text"]), tuple(g["lead_units"]), tuple(g["coop_units"]), g["part"] or "") for g in expected
    ]


@pytest.mark.parametrize("rules", ["all", "open", "rows", "three", "none"])
def test_tasks_of_each_kind_of_ruling(rules):
    notice = make_notice(7, tasks=18)
    layout = Layout(COLUMNS, rules=rules, padding=5.0)
    check(extract_notice(read_pdf("n.pdf", made(notice, layout), "d")).tasks, gold(notice, layout))


def test_merged_lead_units_on_landscape_pages_with_a_watermark():
    notice = make_notice(11, tasks=16, merged_leads=True)
    layout = Layout(COLUMNS, landscape=True, merged_leads=True, watermark="内部资料", title_row=True)
    check(extract_notice(read_pdf("n.pdf", made(notice, layout), "d")).tasks, gold(notice, layout))


@pytest.mark.parametrize("seed", [302, 306, 310])
def test_layouts_drawn_at_random(seed):
    layout = draw_layout(seed, rules="all")
    notice = make_notice(seed, tasks=14, merged_leads=layout.merged_leads)
    if "units" in [kind for kind, _ in layout.columns]:
        for task in notice.tasks:
            task.lead = task.lead[:1]
    check(extract_notice(read_pdf("n.pdf", made(notice, layout), "d")).tasks, gold(notice, layout))


def encrypted(password, owner):
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    data = BytesIO()
    canvas = Canvas(data, encrypt=StandardEncryption(password, owner, strength=128))
    canvas.drawString(100, 700, "text")
    canvas.save()
    return data.getvalue()


def test_a_password_is_asked_for_and_an_owner_lock_is_none():
    with pytest.raises(ReadError, match="加密"):
        read_pdf("x.pdf", encrypted("secret", "owner"), "d")
    assert read_pdf("x.pdf", encrypted("", "owner"), "d").paragraphs[0].text == "text"


def test_damaged_files_and_bounds():
    with pytest.raises(ReadError, match="损坏"):
        read_pdf("x.pdf", b"%PDF-1.7 nothing", "d")
    data = made(make_notice(1, tasks=8), Layout(COLUMNS))
    with pytest.raises(LimitError, match="页"):
        read_pdf("x.pdf", data, "d", Settings(max_pages=1))
    with pytest.raises(LimitError, match="字符"):
        read_pdf("x.pdf", data, "d", Settings(max_characters=100))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_turned_pages_read_alike(turn):
    import pypdfium2

    data = made(make_notice(3, tasks=6), Layout(COLUMNS))
    document = pypdfium2.PdfDocument(data)
    for page in document:
        page.set_rotation(turn)
    turned = BytesIO()
    document.save(turned)
    assert [t.text for t in extract_notice(read_pdf("n.pdf", turned.getvalue(), "d")).tasks] == [
        t.text for t in make_notice(3, tasks=6).tasks
    ]


def test_pages_without_text_go_to_the_recogniser_or_are_said():
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    data = BytesIO()
    canvas = Canvas(data)
    canvas.drawImage(ImageReader(Image.new("RGB", (200, 200), "grey")), 0, 0, 595, 842)
    canvas.save()
    asked = []
    document = read_pdf("x.pdf", data.getvalue(), "d", recognise=asked.append)
    assert asked == [1]
    assert [(p.kind, p.page) for p in document.problems] == [("read", 1)]


def test_a_font_that_this_machine_lacks_is_said_once(monkeypatch):
    from pipeline.readers import pdf

    def no_shape(text_page, index, *sides):
        for side in sides:
            side._obj.value = 0.0
        return True

    data = made(make_notice(3, tasks=30), Layout(COLUMNS))
    assert not [p for p in read_pdf("a.pdf", data, "d").problems if "字体" in p.message]
    monkeypatch.setattr(pdf.pdfium, "FPDFText_GetCharBox", no_shape)
    told = [p for p in read_pdf("a.pdf", data, "d").problems if "字体" in p.message]
    assert len(told) == 1
    assert "fonts-noto-cjk" in told[0].message
    assert told[0].page == 1


@pytest.mark.skipif(not SHARED.exists(), reason="the shared folder is not beside the checkout")
@pytest.mark.parametrize("name", ["v3b_reportlab", "v5a_threeline", "v6_landscape", "v7_order", "v11_watermark"])
def test_samples(name):
    file = SHARED / f"{name}.pdf"
    tasks = extract_notice(read_pdf(str(file), file.read_bytes(), "d")).tasks
    expected = json.loads((SHARED / f"{name}.tasks.json").read_text(encoding="utf-8"))
    assert len(tasks) == len(expected)
    for task, true in zip(tasks, expected, strict=True):
        assert bare(task.text) == bare(true["text"])
        assert list(task.lead_units) == true["lead_units"]
        assert list(task.coop_units) == true["coop_units"]


def test_the_second_reading_agrees_and_pictures_are_drawn(tmp_path):
    from pipeline.readers.second_reading import draw_debug_pictures, second_reading

    file = tmp_path / "n.pdf"
    file.write_bytes(made(make_notice(5, tasks=6), Layout(COLUMNS, split_rows=False)))
    tables = read_pdf(str(file), file.read_bytes(), "d").tables
    assert second_reading(file, tables) == []
    assert all(picture.stat().st_size > 0 for picture in draw_debug_pictures(file, tmp_path / "out", tables))


def test_a_scan_inside_margins_beside_a_page_number_is_recognised_and_one_bad_page_costs_no_other():
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    data = BytesIO()
    canvas = Canvas(data)
    for number in (1, 2):
        canvas.drawImage(ImageReader(Image.new("RGB", (200, 200), "grey")), 76, 102, 442, 638)
        canvas.drawString(290, 30, f"- {number} -")
        canvas.showPage()
    canvas.drawString(72, 700, "plain text of the third page, long enough to be read as it stands here")
    canvas.save()

    def refuse(number):
        raise LimitError("x.pdf", "图像过大", number, "请调大 max_pixels")

    document = read_pdf("x.pdf", data.getvalue(), "d", recognise=refuse)
    assert [(p.kind, p.page) for p in document.problems] == [("read", 1), ("read", 2)]
    assert document.problems[0].message == "图像过大。请调大 max_pixels。"
    assert "third page" in document.paragraphs[-1].text
