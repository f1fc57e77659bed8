"""Settings are what a site may choose, and nothing that cannot work."""

import pytest

from vidsearch.errors import UsageError
from vidsearch.settings import data_folder, load_settings, setup_command


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


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("settings.toml", "core = 2", r"unknown setting 'core'; did you mean 'cores'\?$"),
        ("settings.toml", "zzzz = 2", "unknown setting 'zzzz'; the settings are: active_pad_s, "),
        ("settings.toml", "cores = 'many'", "setting 'cores' cannot be 'many'$"),
        ("settings.toml", "lease_s = 1", "setting 'lease_s' cannot be 1; it is 5 to 86400$"),
        ("settings.toml", "not toml [", "cannot be read as settings: "),
        ("settings.toml", b"zone = '\xff'", "cannot be read as settings: "),
        ("aws.toml", "aws_regoin = 'eu-west-1'", r"did you mean 'aws_region'\?; run `python setup_aws.py"),
        ("aws.toml", "aws_results = 'nowhere'", "one of rekognition, lambda; run `python setup_aws.py"),
        ("aws.toml", "not toml [", "cannot be read as settings: .*; run `python setup_aws.py"),
    ],
)
def test_what_is_wrong_in_a_file_names_the_file(tmp_path, file, text, said):
    (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=said) as refused:
        load_settings(tmp_path, env={})
    assert str(refused.value).startswith(f"{tmp_path / file}: ")


def test_the_set_up_is_told_the_folder_unless_it_is_the_default(tmp_path, monkeypatch):
    folder = tmp_path / "a b"
    assert setup_command(folder) == f"python setup_aws.py --data '{folder}'"
    monkeypatch.setenv("VIDSEARCH_DATA", str(folder))
    assert setup_command(folder) == "python setup_aws.py"
    monkeypatch.delenv("VIDSEARCH_DATA")
    assert setup_command(data_folder(env={})) == "python setup_aws.py"
