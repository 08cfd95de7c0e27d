"""The demo town in one place: what other code reads of it. Nothing here does anything."""

from beiyuan.demo.activities import ACTIVITIES, Activity
from beiyuan.demo.merchants import CLERKS, MERCHANTS, Clerk, Merchant
from beiyuan.demo.organisations import ORGANISATIONS, Organisation
from beiyuan.demo.people import HOUSEHOLDS, PEOPLE, STAFF, Employee, Household, Person
from beiyuan.demo.places import PLACES, Place
from beiyuan.demo.rewards import REWARDS, Reward
from beiyuan.demo.stories import STORIES, Story

SIGN_IN_CODE = "246810"
"""Every sign-in code, where the demo town is loaded: on this machine alone."""

__all__ = [
    "ACTIVITIES",
    "CLERKS",
    "HOUSEHOLDS",
    "MERCHANTS",
    "ORGANISATIONS",
    "PEOPLE",
    "PLACES",
    "REWARDS",
    "SIGN_IN_CODE",
    "STAFF",
    "STORIES",
    "Activity",
    "Clerk",
    "Employee",
    "Household",
    "Merchant",
    "Organisation",
    "Person",
    "Place",
    "Reward",
    "Story",
]
