"""Thresholds on Rekognition follow from why we look, and say so where they are low."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vidsearch.guidance import threshold_for
from vidsearch.model import Purpose
from vidsearch.settings import load_settings


@pytest.mark.parametrize("purpose", [Purpose.SUSPECT, Purpose.OTHER])
def test_public_safety_asks_for_99(tmp_path, purpose):
    assert threshold_for(load_settings(tmp_path), purpose) == (99.0, "")


def test_a_missing_person_is_searched_for_widely_and_that_is_said(tmp_path):
    value, notice = threshold_for(load_settings(tmp_path), Purpose.MISSING_PERSON)
    assert value == 90.0
    assert "a person must check each" in notice
    assert "99" in notice


def test_the_settings_win_and_a_low_one_is_said_aloud(tmp_path):
    settings = replace(load_settings(tmp_path), threshold_rekognition=85.0)
    value, notice = threshold_for(settings, Purpose.SUSPECT)
    assert value == 85.0
    assert "AWS asks for a threshold of 99" in notice
    value, notice = threshold_for(settings, Purpose.MISSING_PERSON)
    assert value == 85.0
    assert "threshold 85 is wide" in notice


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_high_setting_needs_no_word(tmp_path, purpose):
    settings = replace(load_settings(tmp_path), threshold_rekognition=99.5)
    assert threshold_for(settings, purpose) == (99.5, "")
