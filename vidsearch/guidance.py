"""What Amazon asks of those who search for people with Rekognition, as thresholds."""

from __future__ import annotations

from vidsearch.model import Purpose
from vidsearch.settings import Settings

PUBLIC_SAFETY = 99.0
"""AWS asks for at least this similarity where law enforcement acts on a match (Rekognition developer guide, "Use cases
that involve public safety")."""

MISSING_PERSON = 90.0
"""A wide search for somebody missing shows more, because every match is looked at by a person."""

LOW = (
    f"AWS asks for a threshold of {PUBLIC_SAFETY:g} where somebody is suspected; below it, wrong people are named, and "
    "a person must check every match"
)


def threshold_for(settings: Settings, purpose: Purpose) -> tuple[float, str]:
    """Return the similarity from which Rekognition's matches count for a purpose, and what is to be said of it.

    A threshold in the settings wins. The text is empty where nothing need be said.
    """
    usual = MISSING_PERSON if purpose is Purpose.MISSING_PERSON else PUBLIC_SAFETY
    value = settings.threshold_rekognition or usual
    return value, notice_of(value, purpose)


def notice_of(threshold: float, purpose: Purpose) -> str:
    """Return what is to be said of a threshold on Rekognition, or an empty text."""
    if threshold >= PUBLIC_SAFETY:
        return ""
    return _wide(threshold) if purpose is Purpose.MISSING_PERSON else LOW


def _wide(value: float) -> str:
    return (
        f"threshold {value:g} is wide, for somebody missing: most matches are others, and a person must check each; "
        f"AWS recommends {PUBLIC_SAFETY:g} for public safety"
    )
