"""The texts that guardians consent to 监护人同意书. A changed text is a new version; consents to the former stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from services.identity.terms import ConsentPurpose

MAX_CHILDREN = 10
"""Children of a household."""

MAX_GUARDIANS = 6
"""Guardians of a child."""


@dataclass(frozen=True, slots=True)
class Text:
    """What is consented to, in Chinese, and its version."""

    version: str
    text: str


@dataclass(frozen=True, slots=True)
class ChildCare:
    """Who are a child's guardians, and which of them consents to what."""

    guardians: tuple[UUID, ...]
    consents: Mapping[ConsentPurpose, UUID]


TEXTS = {
    ConsentPurpose.CHILD_RECORD: Text(
        "2026-11",
        """\
儿童信息登记同意书（2026-11 版）

本人是该儿童的父母或其他监护人，同意平台登记该儿童的姓名和出生日期。

一、用来做什么
确认该儿童属于本家庭、是否已满十四周岁。不用于广告，不出售，不提供给与此无关的任何人。

二、怎样保护
姓名和出生日期加密保存。姓名只有家庭成员能看到，出生日期只有监护人能看到。其他服务只知道编号、是否未满十四周岁和是否取得同意。

三、保存多久
出生日期保存到该儿童满十四周岁，届时删除。

四、您的权利
您可以随时更正姓名，也可以随时撤回同意：撤回后姓名和出生日期立即删除，该儿童不再是家庭成员，已报名的活动随之取消。\
撤回前的处理不受影响。任何一位监护人都可以撤回。
""",
    ),
    ConsentPurpose.ACTIVITIES: Text(
        "2026-11",
        """\
儿童参加活动同意书（2026-11 版）

本人是该儿童的父母或其他监护人，同意该儿童由家庭报名参加本平台的社区活动。

一、我们记录什么
报名、签到、签退和经核实的服务时长，只用编号，不公开姓名。

二、用来做什么
组织活动、核实时长、给家庭记志愿积分。

三、您的责任
活动中请按活动说明陪同或接送该儿童。

四、您的权利
您可以随时撤回同意：撤回后，包含该儿童的未开始的报名取消；正在进行的活动中，该儿童的签到当即结束，此前的记录保留。\
任何一位监护人都可以撤回。
""",
    ),
}
"""The text in force for each purpose."""
