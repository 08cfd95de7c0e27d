"""Words of this service that all of its domains share."""

from enum import StrEnum


class Role(StrEnum):
    """What a post allows. `RESIDENT` is not a post: whoever has a household is a resident."""

    RESIDENT = "resident"  # 居民
    HANDLER = "handler"  # 承办人
    DISPATCHER = "dispatcher"  # 调度员
    SUPERVISOR = "supervisor"  # 督办
    CALLBACK_AGENT = "callback_agent"  # 回访员
    PATROL = "patrol"  # 巡查员
    ORGANISER = "organiser"  # 活动组织者
    SOCIAL_WORKER = "social_worker"  # 社工
    MERCHANT = "merchant"  # 商家
    ADMINISTRATOR = "administrator"  # 管理员
    AUDITOR = "auditor"  # 审计员


class Level(StrEnum):
    """The four levels that handle orders 四级, lowest first."""

    PROPERTY = "property"  # 物业
    COMMUNITY = "community"  # 社区
    SUBDISTRICT = "subdistrict"  # 街道
    DISTRICT = "district"  # 区

    @property
    def rank(self) -> int:
        """0 for the lowest level, 3 for the highest."""
        return list(Level).index(self)


class OrganisationKind(StrEnum):
    """What an organisation is. The first six have their level by nature; the others may stand at any."""

    PROPERTY_COMPANY = "property_company"  # 物业公司
    COMMUNITY = "community"  # 社区居委会
    SUBDISTRICT = "subdistrict"  # 街道办事处
    SECTION = "section"  # 街道科室
    DISTRICT = "district"  # 区
    DEPARTMENT = "department"  # 区级部门
    MERCHANT = "merchant"  # 商家
    SOCIAL_ORGANISATION = "social_organisation"  # 社会组织


class PersonState(StrEnum):
    """Whether a person can be dealt with at all."""

    ACTIVE = "active"
    DELETED = "deleted"


class ConsentPurpose(StrEnum):
    """What a guardian consents to on behalf of a child under fourteen. Each purpose has a text of its own."""

    CHILD_RECORD = "child_record"  # 儿童信息登记
    ACTIVITIES = "activities"  # 参加活动
