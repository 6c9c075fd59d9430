"""The units of an invented city, 滨湖市: a further lexicon, and a notice that names them."""

from pipeline.records import Notice, Task

HEAD = "name,aliases,same_as,successor,kind,level,place\n"
LAKESIDE = (
    HEAD
    + "滨湖市大数据管理局,市大数据局、市大数据管理局,,滨湖市数据局,政府部门,市级,滨湖市\n"
    + "滨湖市数据中心,市数据中心,滨湖市大数据管理局,,事业单位,市级,滨湖市\n"
    + "滨湖市数据局,市数据局,,,政府部门,市级,滨湖市\n"
)


def lakeside_notice():
    """Return a notice in which one office stands under two plates."""
    units = [
        (("市数据中心",), ("市财政局",)),
        (("市大数据局", "市数据中心"), ("=某某某",)),
        (("湖心岛筹备组",), ("市大数据局", "各有关部门")),
        (("市大数据局",), ()),
    ]
    tasks = tuple(
        Task(f"n#{i}", i, f"开展第{i}项试点。", lead_units=lead, coop_units=coop)
        for i, (lead, coop) in enumerate(units, 1)
    )
    return Notice("n", "滨湖方案", "滨湖市人民政府", "", "2023-01-05", "", (), (), (), tasks, path="滨湖.pdf")
