"""Terms that every domain of the service shares."""

from enum import StrEnum


class State(StrEnum):
    """Where a work order stands, as far as this version goes; the whole table is the tests' `transitions.csv`."""

    SUBMITTED = "submitted"  # 待受理
    POOLED = "pooled"  # 待抢单
    CLAIMED = "claimed"  # 已抢单
    MET = "met"  # 已见面
    IN_PROGRESS = "in_progress"  # 办理中
    RESOLVED = "resolved"  # 待回访
    REVIEW_PENDING = "review_pending"  # 复核中
    CLOSED = "closed"  # 已办结 销账
    CANCELLED = "cancelled"  # 已撤回


FINISHED = frozenset({State.CLOSED, State.CANCELLED})
WORKING = frozenset({State.CLAIMED, State.MET, State.IN_PROGRESS})


class Post(StrEnum):
    """In what capacity somebody moves an order. `RESIDENT` is its reporter; `SYSTEM` is nobody."""

    SYSTEM = "system"
    RESIDENT = "resident"
    HANDLER = "handler"
    DISPATCHER = "dispatcher"
    SUPERVISOR = "supervisor"
    CALLBACK_AGENT = "callback_agent"
    PATROL = "patrol"
    ORGANISER = "organiser"
    SOCIAL_WORKER = "social_worker"
    MERCHANT = "merchant"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Level(StrEnum):
    """四级: the four levels that handle orders, lowest first."""

    PROPERTY = "property"  # 物业
    COMMUNITY = "community"  # 社区
    SUBDISTRICT = "subdistrict"  # 街道科室
    DISTRICT = "district"  # 区级部门


class PlaceKind(StrEnum):
    """What a QR code stands for."""

    ESTATE = "estate"  # 小区
    BUILDING = "building"  # 楼栋
    ENTRANCE = "entrance"  # 单元门
    LIFT = "lift"  # 电梯
    LANE = "lane"  # 背街小巷
    ROOM = "room"  # 公共用房


class Source(StrEnum):
    """How a report came in."""

    QR = "qr"  # 码上说, without an account
    APP = "app"  # signed in
    STAFF = "staff"  # entered by staff on a resident's behalf
    PATROL = "patrol"  # 背街小巷巡查


class MeetingMode(StrEnum):
    """见面: only a meeting on site scores."""

    ON_SITE = "on_site"
    PHONE = "phone"


class PhotoPurpose(StrEnum):
    """What a photo shows."""

    REPORT = "report"  # what was reported
    ADDITION = "addition"  # what the reporter added
    PROOF = "proof"  # what was done


class Satisfied(StrEnum):
    """满意度, as the resident puts it."""

    SATISFIED = "satisfied"  # 满意
    FAIRLY = "fairly"  # 基本满意
    DISSATISFIED = "dissatisfied"  # 不满意


class ClosedWhy(StrEnum):
    """Why an order was closed."""

    DOUBLE_YES = "double_yes"  # 双是: solved and satisfied
    FAIRLY = "fairly"  # solved, fairly satisfied
    UNVERIFIED = "unverified"  # solved and satisfied, says a link that nobody can be called back on
    UNREACHABLE = "unreachable"  # three tries on separate days
    REVIEWED = "reviewed"  # 复核: not satisfied but truthfully handled
