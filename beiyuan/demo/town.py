"""The demo town in one place: what other code reads of it. Nothing here does anything."""

from beiyuan.demo.organisations import ORGANISATIONS, Organisation
from beiyuan.demo.people import HOUSEHOLDS, PEOPLE, STAFF, Employee, Household, Person
from beiyuan.demo.places import PLACES, Place
from beiyuan.demo.stories import STORIES, Story

SIGN_IN_CODE = "246810"
"""Every sign-in code, where the demo town is loaded: on this machine alone."""

__all__ = [
    "HOUSEHOLDS",
    "ORGANISATIONS",
    "PEOPLE",
    "PLACES",
    "SIGN_IN_CODE",
    "STAFF",
    "STORIES",
    "Employee",
    "Household",
    "Organisation",
    "Person",
    "Place",
    "Story",
]
