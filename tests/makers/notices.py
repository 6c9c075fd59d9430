"""Invented notices with tasks: drawn at random, the same for the same seed. Places, bodies and plans are made up."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

PLACES = ("青屿市", "临岚省", "云泽市", "望江州", "南渡新区", "松陵县")
ORGANS = (
    "市发展改革委", "市科技局", "市商务局", "市财政局", "市教育局", "市人力资源社会保障局", "市市场监管局", "市卫生健康委", "市交通运输局",
    "市大数据局", "市文化和旅游局", "市生态环境局", "市农业农村局", "市地方金融监管局", "市委网信办", "市委组织部", "青屿海关", "青屿海事局",
    "人民银行青屿市分行", "市税务局", "市住房城乡建设局", "市自然资源和规划局", "市司法局", "市公安局", "市邮政管理局", "市政务服务局",
    "青屿高新区管委会", "市港口集团", "各区县人民政府", "市民政局", "市体育局", "市医保局", "市药监局", "市总工会", "市残联",
)  # fmt: skip
VERBS = (
    "支持",
    "探索",
    "推进",
    "建立",
    "完善",
    "优化",
    "深化",
    "鼓励",
    "开展",
    "健全",
    "试点",
    "加快",
    "推动",
    "制定",
    "落实",
    "允许",
)
OBJECTS = (
    "海洋装备共享测试平台建设", "跨境数据分类管理清单", "中小企业信用融资服务", "城市更新项目联合审批", "职业院校产教融合实训基地", "社区嵌入式养老服务网络",
    "口岸“两段准入”监管模式", "公共数据授权运营制度", "绿色建材认证与采信", "新型离岸贸易结算便利化", "低空物流配送航线", "科技成果先使用后付费机制",
    "外籍人才来华工作许可（A类、B类）一窗办理", "“一业一证”改革", "生物医药研发用物品进口“白名单”", "文物艺术品保税展示交易", "智能网联汽车道路测试互认",
    "ESG信息披露指引", "REITs扩募储备项目库", "免税店即购即提", "数字人民币在政务缴费中的应用", "5G+工业互联网标识解析体系", "远程医疗协作网",
)  # fmt: skip
CLAUSES = (
    "明确申报条件和办理流程", "形成可复制的经验做法", "将办理时限压缩至5个工作日以内", "按季度公布进展情况", "实行“负面清单+承诺制”管理", "建立部门间信息共享机制",
    "对符合条件的企业给予最高30%的补助", "依法保护各方合法权益", "引导社会资本参与", "分类制定实施细则", "鼓励行业协会参与标准制定", "逐步扩大到全市范围",
    "在风险可控的前提下先行先试", "完善容错纠错机制", "对接国际高标准经贸规则（CPTPP、DEPA等）", "培育不少于20家示范单位", "加强事中事后监管", "做好政策宣传解读",
)  # fmt: skip
PARTS = ("夯实产业基础", "扩大制度型开放", "优化营商环境", "强化要素保障", "提升公共服务水平", "守牢安全底线")
SECTIONS = (
    "提升科技创新能力", "壮大现代物流", "发展数字经济", "促进消费升级", "便利跨境贸易", "畅通人员往来", "规范市场秩序", "完善金融服务", "加强人才引育",
    "推进绿色转型", "改善民生服务", "防范重点领域风险",
)  # fmt: skip
NUMERALS = "一二三四五六七八九十"
DEADLINES = ("2025年12月底前", "2026年6月底前", "持续推进", "2025年9月", "长期坚持", "2027年底前")


@dataclass
class InventedTask:
    """What stands in one row."""

    no: int
    text: str
    lead: list[str]
    coop: list[str]
    deadline: str
    name: str
    part: str = ""
    section: str = ""


@dataclass
class InventedNotice:
    """A notice with its tasks."""

    title: str
    issuer: str
    number: str
    tasks: list[InventedTask] = field(default_factory=list)
    body: list[str] = field(default_factory=list)

    def gold(self, single_column: bool = False, sections: bool = True) -> list[dict[str, object]]:
        """The tasks as score_tasks.py wants them."""
        return [
            {
                "no": task.no,
                "text": task.text,
                "lead_units": task.lead,
                "coop_units": task.coop,
                "part": task.part if sections else "",
                "section": task.section if sections else "",
                "deadline": task.deadline,
            }
            for task in self.tasks
        ]


def _sentence(draw: random.Random, longest: int) -> str:
    text = draw.choice(VERBS) + draw.choice(OBJECTS)
    for _ in range(draw.choice((0, 0, 1, 1, 2, 3, longest))):
        text += "，" + draw.choice(CLAUSES)
    text += "。"
    if draw.random() < 0.15:
        text += draw.choice(VERBS) + draw.choice(OBJECTS) + "。"
    return text


def make_notice(seed: int, tasks: int = 30, merged_leads: bool = False, sections: bool = True) -> InventedNotice:
    """Draw a notice.

    Args:
        seed: the same seed draws the same notice.
        tasks: how many tasks.
        merged_leads: let runs of tasks share their lead units, for tables that merge those cells.
        sections: give the parts sections of their own.
    """
    draw = random.Random(seed)
    place = draw.choice(PLACES)
    issuer = place + "人民政府"
    notice = InventedNotice(
        f"{issuer}办公室关于印发{place}扩大开放重点任务分工方案的通知",
        issuer + "办公室",
        f"{place[0]}政办发〔{draw.randint(2019, 2026)}〕{draw.randint(1, 120)}号",
    )
    parts = draw.sample(PARTS, draw.randint(2, 4))
    sections_left = draw.sample(SECTIONS, len(SECTIONS))
    starts = sorted({0, *draw.sample(range(2, tasks - 1), len(parts) - 1)})
    part = section = ""
    count = part_count = 0
    lead: list[str] = []
    left = 0
    for index in range(tasks):
        if index in starts:
            part = f"{NUMERALS[part_count]}、{parts[part_count]}"
            part_count += 1
            section = ""
            left = 0
        if sections and sections_left and count < 10 and (not section or draw.random() < 0.2):
            stop = draw.choice(("", "。"))
            tail = draw.choice(("", "，打造具有区域影响力的开放合作和创新发展示范高地，形成全面开放新格局"))
            section = f"（{NUMERALS[count]}）{sections_left.pop()}{tail}{stop}"
            count += 1
            left = 0
        if not merged_leads or left == 0:
            lead = draw.sample(ORGANS, draw.choice((1, 1, 1, 2, 2, 3)))
            left = draw.choice((1, 2, 2, 3, 4))
        left -= 1
        coop = [unit for unit in draw.sample(ORGANS, draw.choice((0, 1, 2, 3, 5, 8))) if unit not in lead]
        text = _sentence(draw, draw.choice((3, 4, 8)))
        notice.tasks.append(
            InventedTask(
                index + 1,
                text,
                list(lead),
                coop,
                draw.choice(DEADLINES),
                text[2:8].strip("“”，（"),
                part,
                section if sections else "",
            )
        )
    notice.body = [
        f"为贯彻落实《国务院关于扩大开放若干措施的通知》（国发〔2024〕{draw.randint(1, 30)}号）精神，制定本方案。",
        f"经过3年努力，完成{tasks}项重点任务，形成10个以上典型案例。",
    ]
    return notice
