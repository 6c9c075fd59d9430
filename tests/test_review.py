"""The review page: who is let in, what is written, and that nothing a document says becomes part of the page."""

import dataclasses
import html
import http.client
import re
import socket
import threading
import urllib.parse
from html.parser import HTMLParser

import pytest

from pipeline.errors import DataError, StoreError
from pipeline.inventory.view import View, link_id
from pipeline.records import Decision, Document, Evidence, Label, Link, Notice, Passage, Source, Task
from pipeline.review import make_server
from pipeline.review.board import Desk, marked
from pipeline.review.server import MAX_BODY, is_remote
from pipeline.settings import Settings
from pipeline.store import Store

NOTICE_ID = "某发〔2023〕1号"
HOSTILE = "已设立机构<script>alert('1')</script>\"><img src=x onerror=alert(2)>{{ 7*7 }}，投放资金3亿元。"
TEXTS = [
    HOSTILE, "绿色债券发行10亿元，支持环保企业。", "会议听取了汇报，没有涉及具体事项。", "仲裁机构完成登记。",
]  # fmt: skip
TASKS = (
    Task(f"{NOTICE_ID}#1", 1, "允许境外仲裁机构设立业务机构，提供仲裁服务。", "一、开放", "", ("市司法局",)),
    Task(f"{NOTICE_ID}#2", 2, "发行绿色债券<b>支持</b>环保企业。", "一、开放", "", ("市金融局",), ("市环保局",)),
    Task(f"{NOTICE_ID}#3", 3, "建设科技服务平台。", "二、创新", "", ("市科技局",)),
)
P = [f"d1-{i}" for i in range(len(TEXTS))]


def evidence(text, start, end, part=""):
    return Evidence(start, end, text[start:end], "相同词：<i>机构</i>", (part,) if part else ())


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.sqlite") as opened:
        opened.save_notice(
            Notice(NOTICE_ID, "某市试点方案", "某市", NOTICE_ID, "2023-01-05", "", (), (), (), TASKS),
            [Label(TASKS[0].id, "sector", "tech", 0.6, "classifier", "business")],
        )
        document = Document("d1", "", "docx", (), title="<u>进展</u>报告", issuer="某局", date="2024-01-02")
        passages = [
            Passage(p, "d1", text, ("一、进展",), Source("d1", page=i + 1))
            for i, (p, text) in enumerate(zip(P, TEXTS, strict=True))
        ]
        links = [
            Link(P[0], TASKS[0].id, 0.55, evidence(HOSTILE, 0, 20, "允许境外仲裁机构"), "linker-1"),
            Link(P[1], TASKS[1].id, 0.99, evidence(TEXTS[1], 0, 6), "linker-1"),
            Link(P[3], TASKS[0].id, 0.98, evidence(TEXTS[3], 0, 4), "linker-1"),
            Link(P[1], TASKS[2].id, 0.6, evidence(TEXTS[1], 0, 4), "linker-1", 1),
        ]
        opened.save_document(NOTICE_ID, document, passages, links, [Label(P[0], "status", "done", 0.7, "status")])
        yield opened


@pytest.fixture
def server(store):
    with make_server(store, NOTICE_ID, port=0, date="2024-06-30") as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class Browser:
    """Just enough of a browser: one cookie, forms, no redirections followed unasked."""

    def __init__(self, server, name="王某"):
        self.port, self.cookie, self.csrf = server.server_port, "", ""
        if name:
            _, page = self.get("/?token=" + server.token)
            self.csrf = re.search(r'name="csrf" value="([^"]+)"', page).group(1)
            assert self.post("/enter", reviewer=name)[0] == 303

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {"Cookie": self.cookie} if self.cookie else {}
        connection.request(method, path, body, given | headers)
        self.reply = connection.getresponse()
        text = self.reply.read().decode()
        if cookie := self.reply.getheader("Set-Cookie"):
            self.cookie = cookie.split(";")[0]
        connection.close()
        return self.reply.status, text

    def get(self, path, **headers):
        return self.request("GET", urllib.parse.quote(path, safe="/?&=%"), **headers)

    def post(self, path, headers=None, **fields):
        body = urllib.parse.urlencode({"csrf": self.csrf} | fields, doseq=True)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", path, body, **kind | (headers or {}))

    def decide(self, verdict, passage=P[0], task=TASKS[0].id, seen="0", **fields):
        return self.post("/decide", verdict=verdict, passage=passage, task=task, seen=seen, **fields)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def test_nobody_enters_without_the_token(server):
    stranger = Browser(server, name="")
    for path in ("/", "/queue", "/document/d1", "/sign", "/enter", "/?token=", "/?token=wrong", "/?token=é"):
        status, page = stranger.get(path)
        assert status == 403
        assert "仲裁" not in page
        assert not stranger.cookie
    stranger.cookie = f"{server.cookie}=guess"
    assert stranger.get("/queue")[0] == 403
    assert stranger.decide("accepted")[0] == 403


def test_the_token_gives_a_strict_cookie_and_asks_for_a_name(server):
    browser = Browser(server, name="")
    status, page = browser.get("/?token=" + server.token)
    cookie = browser.reply.getheader("Set-Cookie")
    assert status == 200
    assert "审核人姓名" in page
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert server.token not in cookie
    assert browser.get("/queue")[0] == 303  # no name yet
    browser.csrf = re.search(r'name="csrf" value="([^"]+)"', page).group(1)
    assert browser.post("/enter", reviewer=" \u202e ")[0] == 400
    assert browser.post("/enter", reviewer="王某")[0] == 303
    assert browser.get("/queue")[0] == 200


def test_names_may_be_given_beforehand(store):
    with make_server(store, NOTICE_ID, port=0, reviewers=("李某",)) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        browser = Browser(running, "李某")
        assert browser.post("/enter", reviewer="别人")[0] == 400
        running.shutdown()


def test_every_answer_forbids_foreign_content(server):
    browser = Browser(server)
    for path in ("/", "/static/review.css", "/static/review.js", "/nothing"):
        browser.get(path)
        policy = browser.reply.getheader("Content-Security-Policy")
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert browser.reply.getheader("X-Content-Type-Options") == "nosniff"
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/static/"):
        assert browser.get(path)[0] == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "a@127.0.0.1:{port}", ""]
)
def test_another_name_of_the_host_is_refused(server, host):
    browser = Browser(server)
    assert browser.get("/", Host=host.format(port=server.server_port))[0] == 421
    assert browser.get("/", Host=f"localhost:{server.server_port}")[0] == 200


def test_a_forged_form_is_refused(server, store):
    browser = Browser(server)
    own = browser.csrf
    for csrf in ("", "guess", Browser(server, "李某").csrf):
        browser.csrf = csrf
        assert browser.decide("accepted")[0] == 403
    browser.csrf = own
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert browser.decide("accepted", headers=headers)[0] == 403
    # Another program on this machine has the same site, but not the same origin.
    assert browser.decide("accepted", headers={"Origin": "http://127.0.0.1:1"})[0] == 403
    assert browser.decide("accepted", headers={"Content-Type": "text/plain"})[0] == 415
    assert browser.get(f"/decide?verdict=accepted&passage={P[0]}")[0] == 404
    assert not store.decisions(NOTICE_ID)


def test_a_huge_form_is_refused(server, store):
    browser = Browser(server)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.request("POST", "/decide", "", **kind, **{"Content-Length": str(MAX_BODY + 1)})[0] == 413
    assert browser.request("POST", "/decide", "", **kind, **{"Content-Length": "9" * 5000})[0] == 413
    assert browser.request("POST", "/decide", "a=" + "x" * 2**20, **kind)[0] == 413
    assert browser.request("POST", "/decide", iter([b"csrf=1"]), **kind)[0] == 411  # sent in chunks
    assert browser.request("POST", "/decide", "&".join(["a=1"] * 5000), **kind)[0] == 400
    assert browser.request("POST", "/decide", b"a=\xff", **kind)[0] == 400
    assert not store.decisions(NOTICE_ID)


def test_what_a_document_says_stays_text(server):
    browser = Browser(server)
    browser.decide("unsure", note="<script>note</script>")
    for path in (
        "/", "/queue?queue=all", f"/link/{link_id(P[0], TASKS[0].id)}", "/document/d1", "/documents", "/task/2", "/sign",
        "/queue?queue=<script>&task=<script>&unit=\"><script>&low=<b>&doc='", "/<script>",
    ):  # fmt: skip
        _, page = browser.get(path)
        tags = Tags(page).found
        assert [a for tag, a in tags if tag == "script"] == [{"src": "/static/review.js", "defer": None}]
        assert not {"img", "i", "u", "iframe", "style"} & {tag for tag, _ in tags} - {"i"}
        assert not [name for _, a in tags for name in a if name.startswith("on") or name == "style"]
        for _, attributes in tags:
            for name in ("src", "href", "action"):
                assert attributes.get(name, "/").startswith("/"), attributes
    _, page = browser.get("/queue?queue=all")
    assert html.escape("<script>alert('1')</script>", quote=False).split("'")[0] in page
    assert "{{ 7*7 }}" in page


def test_the_evidence_and_the_answered_part_are_marked(server):
    _, page = Browser(server).get("/queue?queue=doubtful")
    marks = [html.unescape(mark) for mark in re.findall(r"<mark>(.*?)</mark>", page, re.S)]
    assert marks == [HOSTILE[:20], "允许境外仲裁机构"]
    for words in ("0.55", "相同词：", "第 1 页", "已完成", "市司法局", "待审核"):
        assert words in page


def test_doubtful_links_come_first_and_filters_hold(server):
    browser = Browser(server)

    def shown(query):
        return re.findall(r'<a class="soft right" href="/link/(L\w+)"', browser.get("/queue?" + query)[1])

    doubtful, sure, other = (link_id(p, t.id) for p, t in ((P[0], TASKS[0]), (P[1], TASKS[1]), (P[3], TASKS[0])))
    assert shown("") == [doubtful, other, sure]
    assert shown("queue=sure") == [other, sure]
    assert shown("task=2") == shown("unit=环保局") == shown("task=2 发行绿色债券") == [sure]
    assert shown("low=0.5&high=0.98") == [doubtful, other]
    assert shown("queue=related") == [link_id(P[1], TASKS[2].id)]
    assert shown("doc=elsewhere") == shown("queue=decided") == []
    assert shown("page=99&low=x") == [doubtful, other, sure]


def test_a_unit_is_found_under_any_of_its_names_and_listed_once(store, tmp_path):
    path = tmp_path / "units.csv"
    path.write_text(
        "name,aliases,same_as,successor,kind,level,place\n"
        "某市金融局,市金融局,,,政府部门,市级,某市\n某市环境保护局,市环保局、市生态局,某市金融局,,政府部门,市级,某市\n",
        encoding="utf-8",
    )
    desk = Desk(store, NOTICE_ID, Settings(unit_lexicon=str(path)), "2024-06-30")
    board = desk.board()
    filters = dict.fromkeys(("queue", "task", "low", "high", "doc"), "")
    found = {
        name: {e.link.task for e in board.queue(filters | {"unit": name})} for name in ("市生态局", "金融", "甲局")
    }
    assert found == {"市生态局": {TASKS[1].id}, "金融": {TASKS[1].id}, "甲局": set()}
    assert board.units == ["市司法局", "市金融局", "市科技局"]
    path.write_text("name\n甲\n", encoding="utf-8")
    with pytest.raises(DataError, match="第2行"):
        make_server(store, NOTICE_ID, port=0, settings=Settings(unit_lexicon=str(path)))


def test_a_decision_is_added_and_counts(server, store):
    browser = Browser(server)
    status, _ = browser.decide("rejected", note="不是一回事", back="/queue?task=1", place="at-1")
    assert (status, browser.reply.getheader("Location")) == (303, "/queue?task=1#at-1")
    (said,) = store.snapshot(NOTICE_ID).decisions
    assert (said.verdict, said.reviewer, said.note, said.task) == ("rejected", "王某", "不是一回事", TASKS[0].id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", said.time)
    assert browser.decide("accepted", seen="1")[0] == 303
    decisions = store.decisions(NOTICE_ID)
    assert [d.verdict for d in decisions] == ["rejected", "accepted"]  # the first word is kept
    _, page = browser.get(f"/link/{link_id(P[0], TASKS[0].id)}")
    assert page.index("不是一回事") < page.rindex("王某")
    assert "意见记录（2）" in page


@pytest.mark.parametrize("address", ["//evil.example/", "/\\evil.example", "https://evil.example", "", "/a\r\nX: y"])
def test_nobody_is_sent_elsewhere(server, address):
    browser = Browser(server)
    browser.decide("accepted", back=address)
    location = browser.reply.getheader("Location")
    assert re.fullmatch(r"/[\w%-][\w%/-]*", location)
    assert browser.reply.getheader("X") is None


def test_a_link_is_moved_by_number_or_by_candidate(server, store):
    browser = Browser(server)
    assert browser.decide("moved", target="3 建设科技服务平台。")[0] == 303
    assert browser.post("/decide", passage=P[1], task=TASKS[1].id, seen="0", move="1")[0] == 303
    counted = [(e.link.passage, e.link.task) for e in View(store.snapshot(NOTICE_ID)).counted]
    assert (P[0], TASKS[2].id) in counted
    assert (P[0], TASKS[0].id) not in counted
    assert (P[1], TASKS[0].id) in counted


@pytest.mark.parametrize("fields", [{"target": ""}, {"target": "99"}, {"target": "1"}, {"target": "x"}])
def test_a_move_needs_another_task(server, store, fields):
    status, page = Browser(server).decide("moved", note="写好的备注", **fields)
    assert status == 400
    assert "改挂须选择另一项任务" in page
    assert "写好的备注" in page
    assert not store.decisions(NOTICE_ID)


def test_a_word_spoken_meanwhile_is_shown_and_none_is_lost(server, store):
    first, second = Browser(server, "王某"), Browser(server, "李某")
    assert first.decide("accepted", note="有合同")[0] == 303
    status, page = second.decide("rejected", note="我不同意")
    assert status == 409
    for words in ("有合同", "王某", "我不同意", "尚未记录"):
        assert words in page
    assert [d.verdict for d in store.decisions(NOTICE_ID)] == ["accepted"]
    seen = re.search(r'name="seen" value="(\w+)"', page).group(1)
    assert second.decide("rejected", seen=seen)[0] == 303
    assert [(d.verdict, d.reviewer) for d in store.decisions(NOTICE_ID)] == [("accepted", "王某"), ("rejected", "李某")]
    # A decision that came another way, such as a workbook read back, counts as well.
    store.add_decision(Decision(P[1], TASKS[1].id, "unsure", "赵某", "2024-07-01T09:00:00+08:00"))
    assert second.decide("accepted", P[1], TASKS[1].id)[0] == 409
    assert "赵某" in second.get("/queue?queue=unsure")[1]


def test_two_at_once(server, store):
    browsers = [Browser(server, f"人员{i}") for i in range(6)]
    statuses = []
    threads = [threading.Thread(target=lambda b=b: statuses.append(b.decide("accepted")[0])) for b in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303] + [409] * 5
    assert len(store.decisions(NOTICE_ID)) == 1


def test_a_document_read_again_is_shown_as_it_is_now(server, store):
    browser = Browser(server)
    browser.decide("accepted")
    text = "改过的段落，只有这一段。"
    document = Document("d1", "", "docx", (), title="新报告")
    store.save_document(NOTICE_ID, document, [Passage("new", "d1", text)], [], signature="2")
    assert text in browser.get("/document/d1")[1]
    assert browser.decide("rejected", seen="1")[0] == 409
    assert len(store.decisions(NOTICE_ID)) == 1


def test_sure_links_are_signed_together_after_they_were_listed(server, store):
    browser = Browser(server)
    ids = re.findall(r'name="link" value="(L\w+)"', browser.get("/sign")[1])
    assert ids == [link_id(P[3], TASKS[0].id), link_id(P[1], TASKS[1].id)]
    Browser(server, "李某").decide("rejected", P[1], TASKS[1].id)  # meanwhile
    assert browser.post("/sign", link=[*ids, link_id(P[0], TASKS[0].id), "L0", ids[0]], back="/sign")[0] == 303
    decisions = store.decisions(NOTICE_ID)
    assert [(d.passage, d.verdict, d.reviewer) for d in decisions] == [
        (P[1], "rejected", "李某"), (P[3], "accepted", "王某"),
    ]  # fmt: skip
    assert "批量签认" in decisions[1].note
    assert "已签认 1 条" in browser.get("/sign")[1]


def test_a_missing_link_is_added(server, store):
    browser = Browser(server)
    _, page = browser.get("/document/d1?only=none")
    assert TEXTS[2] in page
    assert TEXTS[3] not in page
    assert browser.post("/decide", added="1", passage=P[2], seen="0", target="", verdict="added")[0] == 400
    assert browser.post("/decide", added="1", passage=P[2], seen="0", move="3")[0] == 303
    assert browser.post("/decide", added="1", passage=P[2], seen="0", move="2")[0] == 409
    (added,) = [e for e in View(store.snapshot(NOTICE_ID)).counted if e.link.passage == P[2]]
    assert (added.link.task, added.state, added.link.probability) == (TASKS[2].id, "accepted", 1.0)


def test_labels_are_corrected_and_what_changed_meanwhile_is_not_overwritten(server, store):
    browser = Browser(server)
    form = {"target": TASKS[0].id, "was_sector": "tech", "sector": "finance", "reform": "", "was_reform": ""}
    assert browser.post("/label", **form)[0] == 303
    label = View(store.snapshot(NOTICE_ID)).labels[TASKS[0].id, "sector"]
    assert (label.value, label.labeller, label.probability) == ("finance", "王某", 1.0)
    _, page = browser.get("/task/1")
    assert "已更正为“金融服务”" in page
    browser.post("/label", **form | {"sector": "health"})
    assert View(store.snapshot(NOTICE_ID)).value(TASKS[0].id, "sector") == "finance"
    browser.post("/label", target=TASKS[0].id, was_sector="finance", sector="<script>")
    assert View(store.snapshot(NOTICE_ID)).value(TASKS[0].id, "sector") == "finance"
    browser.post("/label", target=P[0], was_status="done", status="ongoing")
    assert View(store.snapshot(NOTICE_ID)).value(P[0], "status") == "ongoing"


def test_the_source_file_is_shown_only_where_that_is_safe(server, store, tmp_path):
    browser = Browser(server)
    for name, kind, how in (
        ("a.pdf", "application/pdf", "inline"),
        ("b.html", "application/octet-stream", "attachment"),
    ):
        (tmp_path / name).write_bytes(b"<script>alert(1)</script>")
        document = Document(name, str(tmp_path / name), "", (), title=name)
        store.save_document(NOTICE_ID, document, [Passage(name, name, "一段文字。")])
        status, _ = browser.get(f"/source/{name}")
        assert status == 200
        assert browser.reply.getheader("Content-Type") == kind
        assert browser.reply.getheader("Content-Disposition").startswith(how)
    secret = Document("s", str(tmp_path / "store.sqlite"), "", ())
    store.save_document(NOTICE_ID, dataclasses.replace(secret), [])
    for path in ("/source/s", "/source/d1", "/source/../a.pdf", f"/source/{tmp_path}/a.pdf"):
        assert browser.get(path)[0] == 404


def test_other_machines_only_when_asked_for(store):
    with pytest.raises(DataError, match="--allow-remote"):
        make_server(store, NOTICE_ID, "0.0.0.0", 0)
    with make_server(store, NOTICE_ID, "0.0.0.0", 0, allow_remote=True) as running:
        assert running.knows_host(f"10.0.0.5:{running.server_port}")
        assert not running.knows_host(f"evil.example:{running.server_port}")
    assert [is_remote(h) for h in ("localhost", "127.0.0.1", "::1", "::", "10.0.0.5")] == [False] * 3 + [True] * 2


def test_what_cannot_be_served_is_said(store):
    with pytest.raises(StoreError, match="没有公文"):
        make_server(store, "另一份", port=0)
    with pytest.raises(DataError, match="16"):
        make_server(store, NOTICE_ID, port=0, token="short")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DataError, match="--port"):
        make_server(store, NOTICE_ID, port=taken.getsockname()[1])


def test_sessions_end(server):
    browser = Browser(server)
    name, session = server.open_session()
    assert server.session(name) is session
    for _ in range(100):
        server.open_session()
    assert server.session(name) is None
    assert browser.get("/queue")[0] == 403


def test_marks_may_overlap_or_lie_outside():
    assert marked("甲乙丙丁", [(1, 3), (2, 9)]) == [("甲", False), ("乙丙丁", True)]
    assert marked("", [(0, 1)]) == []
    assert Settings().sign_threshold == 0.97


def test_tasks_whose_numbers_begin_anew_are_told_apart(server, store):
    tasks = (*TASKS, Task(f"{NOTICE_ID}#1-2", 1, "建设仲裁中心。", "二、创新", "", ("市司法局",)))
    store.save_notice(Notice(NOTICE_ID, "某市试点方案", "某市", NOTICE_ID, "2023-01-05", "", (), (), (), tasks))
    store.save_document(NOTICE_ID, Document("d2", "", "text", ()), [Passage("d2-0", "d2", "另有一段。")])
    browser = Browser(server)
    _, page = browser.get(f"/link/{link_id(P[0], TASKS[0].id)}")
    assert '<button name="move" value="1-2"><b>1-2</b>' in page
    assert '<option value="1-2 建设仲裁中心。">' in page
    assert "建设仲裁中心。</p>" in browser.get("/task/1-2")[1]
    assert "提供仲裁服务。</p>" in browser.get("/task/1")[1]
    for passage, task, how in (
        (P[0], TASKS[0], {"move": "1-2"}), (P[1], TASKS[1], {"verdict": "moved", "target": "1－2 建设仲裁中心。"}),
        (P[3], TASKS[0], {"verdict": "moved", "target": "02"}),
    ):  # fmt: skip
        assert browser.post("/decide", passage=passage, task=task.id, seen="0", **how)[0] == 303
    assert [d.moved_to for d in store.decisions(NOTICE_ID)] == [tasks[3].id, tasks[3].id, TASKS[1].id]
    assert "任务 1，改挂到 任务 1-2" in browser.get("/queue?queue=all&task=1-2")[1]
    assert len(re.findall('<article class="card', browser.get("/queue?queue=all&task=1-2")[1])) == 2


def test_a_label_that_another_program_added_is_not_overwritten(server, store):
    browser = Browser(server)
    browser.get("/task/1")
    store.add_labels(NOTICE_ID, [Label(TASKS[0].id, "sector", "finance", 1.0, "李某（导入）")])
    browser.post("/label", target=TASKS[0].id, was_sector="tech", sector="health", back="/task/1")
    _, page = browser.get("/task/1")
    assert "已被他人改动" in page
    assert "李某（导入）" in page
    assert View(store.snapshot(NOTICE_ID)).value(TASKS[0].id, "sector") == "finance"


def test_a_corrected_label_does_not_have_all_read_again(store):
    desk = Desk(store, NOTICE_ID, Settings(), "2024-06-30")
    passages = desk.board().view.snapshot.passages
    desk.add_labels([Label(TASKS[0].id, "sector", "finance", 1.0, "王某")])
    board = desk.board()
    assert board.view.value(TASKS[0].id, "sector") == "finance"
    assert board.view.snapshot.passages is passages
    assert store.snapshot(NOTICE_ID).labels == board.view.snapshot.labels
