"""Settings are what a site may choose, and nothing that cannot work."""

import pytest

from vidsearch.errors import UsageError
from vidsearch.settings import load_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAMPLE_FPS", "0"),
        ("SAMPLE_FPS", "nan"),
        ("LEASE_S", "0"),
        ("THRESHOLD_LOCAL", "101"),
        ("CORES", "-1"),
        ("CORES", "many"),
    ],
)
def test_what_cannot_work_is_refused_by_name(tmp_path, name, value):
    with pytest.raises(UsageError, match=name.lower()):
        load_settings(tmp_path, env={f"VIDSEARCH_{name}": value})


def test_a_flag_goes_before_the_environment_and_that_before_the_file(tmp_path):
    (tmp_path / "settings.toml").write_text("cores = 1\nlease_s = 30\nsample_fps = 4", encoding="utf-8")
    env = {"VIDSEARCH_CORES": "2", "VIDSEARCH_LEASE_S": "40"}
    settings = load_settings(tmp_path, env=env, cores=3)
    assert (settings.cores, settings.lease_s, settings.sample_fps) == (3, 40, 4.0)
