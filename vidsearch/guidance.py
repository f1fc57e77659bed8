"""What Amazon asks of those who search for people with Rekognition, as thresholds."""

from __future__ import annotations

from vidsearch.model import Purpose
from vidsearch.settings import Settings

PUBLIC_SAFETY = 99.0
"""AWS asks for at least this similarity where law enforcement acts on a match (Rekognition developer guide, "Use cases
that involve public safety")."""

MISSING_PERSON = 90.0
"""A wide search for somebody missing shows more, because every match is looked at by a person."""

WIDE = f"threshold {MISSING_PERSON:g} is wide, for somebody missing: most matches are others; look at each"
LOW = f"AWS asks for a threshold of {PUBLIC_SAFETY:g} where somebody is suspected; below it, wrong people are named"


def threshold_for(settings: Settings, purpose: Purpose) -> tuple[float, str]:
    """Return the similarity from which Rekognition's matches count for a purpose, and what is to be said of it.

    A threshold in the settings wins. The text is empty where nothing need be said.
    """
    given = settings.threshold_rekognition
    if purpose is Purpose.MISSING_PERSON:
        return (given, "") if given >= PUBLIC_SAFETY else (given or MISSING_PERSON, WIDE)
    return (given, LOW) if 0 < given < PUBLIC_SAFETY else (given or PUBLIC_SAFETY, "")
