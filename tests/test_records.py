"""Records: ids from content, round trips, frames."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DataError, ReadError
from pipeline.records import (
    Cell,
    Decision,
    Document,
    Evidence,
    Link,
    Notice,
    Paragraph,
    Problem,
    Snapshot,
    Source,
    StatedCount,
    Table,
    Task,
    content_id,
    from_dict,
    read_jsonl,
    to_dict,
    to_frame,
    write_jsonl,
)  # fmt: skip

TEXT = st.text(max_size=20)


@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, min_size=1, max_size=4))
def test_ids_differ_where_parts_differ(left, right):
    assert (content_id(*left) == content_id(*right)) == (left == right)


def test_round_trip_of_nested_records():
    source = Source("d", 2, 1, 3, (1.0, 2.0, 3.0, 4.5))
    task = Task("n#1", 1, "支持开展试点。", "一、", "(一)", ("市科技局",), (), "", source)
    table = Table((Cell(0, 0, "序号", page=1, box=(0.0, 0.0, 1.0, 1.0)), Cell(0, 1, "任务")), source)
    document = Document(
        "d", "a.pdf", "pdf", (Paragraph("标题", source, level=1), table), problems=(Problem("note", "注"),)
    )
    notice = Notice(
        "n", "t", "i", "x", "2021-08-04", "", ("一、",), (), (StatedCount("任务", 86, None, "86项"),), (task,)
    )
    link = Link("p", "n#1", 0.9, Evidence(0, 2, "支持", "相同词", ("开展试点",)), "linker")
    snapshot = Snapshot(notice, links=(link,), documents=(document,), settings=(("a", "b"),))
    for record in (document, notice, link, snapshot):
        assert from_dict(type(record), to_dict(record)) == record


def test_unknown_keys_are_ignored_and_missing_ones_named():
    assert from_dict(Source, {"document_id": "d", "colour": "red"}) == Source("d")
    with pytest.raises(DataError, match="Decision"):
        from_dict(Decision, {"passage": "p"})


def test_grid_of_merged_cells():
    table = Table((Cell(0, 0, "甲", row_span=2), Cell(0, 1, "乙"), Cell(1, 1, "丙")), Source("d"))
    assert table.grid() == [["甲", "乙"], ["", "丙"]]


def test_jsonl_round_trip_and_errors():
    buffer = io.StringIO()
    write_jsonl([Source("d"), {"a": "中文"}], buffer)
    buffer.seek(0)
    assert list(read_jsonl(buffer)) == [to_dict(Source("d")), {"a": "中文"}]
    with pytest.raises(DataError, match="第2行"):
        list(read_jsonl(io.StringIO('{"a": 1}\n{oops\n'), "坏.jsonl"))
    with pytest.raises(DataError, match="不是 JSON 对象"):
        list(read_jsonl(io.StringIO("[1]\n"), "坏.jsonl"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_jsonl_is_read_in_what_windows_writes(tmp_path, encoding):
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"text": "开展试点"}\r\n{"text": "支持创新"}\r\n'.encode(encoding))
    assert [row["text"] for row in read_jsonl(path)] == ["开展试点", "支持创新"]
    assert list(read_jsonl(path.read_bytes())) == list(read_jsonl(path))
    path.write_bytes(b"\xff\x00\xff")
    with pytest.raises(DataError, match=r"a\.jsonl：文字编码无法识别。请另存为"):
        list(read_jsonl(path))


def test_frame_has_place_of_each_record():
    frame = to_frame([Task("n#1", 1, "甲", source=Source("d", page=3)), Task("n#2", 2, "乙")])
    assert frame["page"].tolist()[0] == 3
    assert frame["no"].tolist() == [1, 2]


def test_read_error_says_file_page_and_next_step():
    error = ReadError("报告.pdf", "文件已加密", 3, "请先解除密码")
    assert str(error) == "报告.pdf 第3页：文件已加密。请先解除密码。"
