"""What is cut down to a time or a unit says so, and judges no task by the cut alone."""

import docx
import openpyxl

from pipeline.inventory import Results, View, cut_name, export, filter_snapshot
from pipeline.inventory.word import make_template, write_word
from pipeline.records import Decision
from tests.makers.snapshots import snapshot, task_id

TIME = "2024-06-01T09:00:00+08:00"


def words(folder):
    return [p.text for p in docx.Document(str(folder / "report.docx")).paragraphs]


def test_a_task_done_earlier_stays_done():
    whole, late = Results(snapshot()), Results(filter_snapshot(snapshot(), since="2024-02-15"))
    for column in ("status", "light", "reason", "carried_out"):
        assert late.ledger[column].tolist() == whole.ledger[column].tolist()
    assert late.ledger.set_index("no").loc[1, ["status", "links"]].tolist() == ["done", 0]
    # The same holds for what another district has sent in.
    district = Results(filter_snapshot(snapshot(), unit="甲区")).ledger
    assert district["status"].tolist() == whole.ledger["status"].tolist()
    assert district.set_index("no").loc[3, "links"] == 0


def test_files_say_what_they_are_of(tmp_path):
    part = filter_snapshot(snapshot(), since="2023-01-01", unit="市邮政局")
    export(part, tmp_path)
    scope = "（仅含市邮政局牵头或配合的任务、2023-01-01以来的材料）"
    told = words(tmp_path)
    assert told[0] == f"《某市试点方案》进展情况汇报{scope}"
    first = next(text for text in told if text.startswith("公文部署任务"))
    assert first.startswith(f"公文部署任务4项，本报告{scope[1:-1]}，涉及任务1项，")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"<h1>某市试点方案{scope}</h1>" in page
    assert "公文部署任务 4 项" in page
    book = openpyxl.load_workbook(tmp_path / "inventory.xlsx")
    assert scope in book["说明"]["A1"].value
    assert scope in book.properties.title
    # Nothing of the kind stands on the whole.
    export(filter_snapshot(snapshot()), tmp_path / "all")
    assert words(tmp_path / "all")[0] == "《某市试点方案》进展情况汇报"
    assert "仅含" not in (tmp_path / "all" / "report.html").read_text(encoding="utf-8")


def test_a_template_that_knows_nothing_of_parts_is_marked(tmp_path):
    make_template(tmp_path / "template.docx")
    template = docx.Document(str(tmp_path / "template.docx"))
    template.paragraphs[0].runs[0].text = "《{{公文标题}}》进展"
    template.save(str(tmp_path / "template.docx"))
    part = filter_snapshot(snapshot(), since="2024-02-15")
    write_word(part, tmp_path / "report.docx", template=tmp_path / "template.docx")
    assert words(tmp_path)[0] == "《某市试点方案》进展（仅含2024-02-15以来的材料）"


def test_a_move_that_was_taken_back_comes_into_no_part():
    moved = Decision("p1-1", task_id(3), "moved", "王某", TIME, task_id(2))
    back = Decision("p1-1", task_id(3), "accepted", "王某", TIME)

    def links(*decisions):
        part = View.of(filter_snapshot(snapshot(decisions=decisions), unit="市邮政局"))
        return {(e.link.passage, e.link.task) for e in part.counted}

    assert ("p1-1", task_id(2)) in links(moved)
    assert ("p1-1", task_id(2)) not in links(moved, back)


def test_parts_have_folders_of_their_own():
    assert cut_name("2024-01-01") == "2024-01-01以来"
    assert cut_name(unit="../市 商务委/") == "市-商务委"
