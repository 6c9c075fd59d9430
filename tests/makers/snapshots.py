"""A small snapshot of one notice with documents of every kind, for tests of the inventory."""

from pipeline.records import (
    Document,
    Evidence,
    Label,
    Link,
    Notice,
    Passage,
    Problem,
    Snapshot,
    Source,
    StatedCount,
    Task,
)

NOTICE_ID = "某发〔2022〕1号"


def task_id(no):
    return f"{NOTICE_ID}#{no}"


TASKS = (
    Task(task_id(1), 1, "支持开展专利质押融资试点。", "一、重点领域", "（一）科技", ("市科技局",), ("市财政局",)),
    Task(task_id(2), 2, "支持开行国际邮包班列。", "一、重点领域", "（二）物流", ("市邮政局", "市口岸办"), ()),
    Task(task_id(3), 3, "制定数据交易规则。", "二、制度", "（三）数据", ("市大数据局",), ("市财政局",), "2023年6月"),
    Task(task_id(4), 4, "探索新的投诉机制。", "二、制度", "（四）法治", ("市商务局",), ()),
)

# id, kind, title, issuer, date, [(text, heading, [(task, probability, grade)], status)]
DOCUMENTS = [
    ("p1", "progress", "市科技局2023年工作总结", "市科技局", "2023-12-20", [
        ("专利质押融资累计放款5230万元，惠及9户企业。", (), [(1, 0.99, 2), (2, 0.3, 1)], "done"),
        ("数据交易规则正在征求意见，进展缓慢。", (), [(3, 0.81, 2)], "ongoing"),
        ("全年开展党建活动12次。", (), [], "done"),
    ]),
    ("c1", "case", "=2+3 专利组合质押案例", "某市甲区人民政府", "2024-02-01", [
        ("过去企业厂房少，单押一样银行只肯给三成。", ("一、背景",), [], "none"),
        ("由区知识产权局牵头，三项折成一个授信上限，区级出资1000万元设补偿金。", ("二、主要做法",), [(1, 0.97, 2)], "done"),
        ("首批9户企业拿到贷款5230万元，平均利率4.05%，截至3月末无一户逾期。该模式已在乙区、丙区复用。下一步编制估值指引。",
         ("三、成效",), [(1, 0.92, 2)], "done"),
    ]),
    ("c2", "case", "-邮包班列常态化", "甲区物流园区", "2024-03-01", [
        ("回程邮路一直空着，企业盼着双向开行。", (), [], "none"),
        ("园区联合长安物流有限公司试运回程总包，实行一次过机。", (), [(2, 0.71, 2)], "ongoing"),
        ("全年运送386柜，时间由22天缩短至17天。", (), [(2, 0.64, 2)], "done"),
    ]),
    ("z1", "policy", "某市数据交易管理办法", "市大数据局", "2022-09-01", [
        ("数据交易实行备案管理，按次结算。", (), [(3, 0.88, 2)], "none"),
    ]),
    ("x1", "project", "@邮包分拨中心项目简介", "市口岸办", "2023-05-05", [
        ("项目总投资48亿元，计划2025年竣工。", (), [(2, 0.77, 2)], "planned"),
    ]),
]  # fmt: skip


def snapshot(documents=None, decisions=(), date="2024-06-01", problems=None, folder="/data"):
    """Return the snapshot; folder is where the files are said to stand."""
    docs, passages, links, labels = [], [], [], []
    for identity, kind, title, issuer, day, parts in DOCUMENTS if documents is None else documents:
        path = f"{folder}/{identity}.pdf"
        docs.append(Document(identity, path, "pdf", (), 3, title, issuer, day, kind=kind))
        for position, (text, heading, tasks, status) in enumerate(parts):
            key = f"{identity}-{position}"
            source = Source(identity, page=position + 1)
            passages.append(Passage(key, identity, text, heading, source, "", title, issuer, day, kind))
            labels.append(Label(key, "status", status, 0.9, "status"))
            links += [
                Link(key, task_id(no), p, Evidence(0, min(9, len(text)), text[:9], "词语相同"), "linker", grade)
                for no, p, grade in tasks
            ]
    schemes = [
        ("sector", ("tech", "logistics", "data", "cross")),
        ("reform", ("platform", "platform", "rights", "rights")),
    ]
    labels += [
        Label(task_id(no), scheme, value, 0.8, "classifier")
        for scheme, values in schemes
        for no, value in enumerate(values, 1)
    ]
    counts = (StatedCount("任务", 4, 4, "4 项任务"), StatedCount("案例", 10, None, "10 个以上案例"))
    notice = Notice(NOTICE_ID, "某市试点方案", "某市人民政府", NOTICE_ID, "2022-01-05", "", (), (), counts, TASKS)
    if problems is None:
        problems = (Problem("read", "坏文件.pdf：文件已加密。请先解除密码。", "坏文件.pdf", 2),)
    return Snapshot(
        notice, tuple(labels), tuple(docs), tuple(passages), tuple(links), tuple(decisions), tuple(problems), date,
        (("linker", "linker-1"), ("red_months", "12")),
    )  # fmt: skip
