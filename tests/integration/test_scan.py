"""Finding recordings in folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vidsearch.media.scan import recordings_in


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "b/two.MP4",
        "b/one.mkv",
        "a/raw.h264",
        "a/deep/er/export.dav",
        "a/notes.txt",
        "a/photo.jpg",
        "a/.hidden.mp4",
        ".trash/old.mp4",
        "._resource.mp4",
        "locked.g64x",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def test_folders_give_their_recordings_sorted_hidden_ones_left_out(tree: Path):
    found = [path.relative_to(tree).as_posix() for path in recordings_in([tree])]
    assert found == ["a/deep/er/export.dav", "a/raw.h264", "b/one.mkv", "b/two.MP4", "locked.g64x"]


def test_files_stand_as_given_and_each_comes_once(tree: Path):
    given = [tree / "b", tree / "a" / "notes.txt", tree / "nowhere.mp4", tree / "b" / "one.mkv"]
    found = [path.relative_to(tree).as_posix() for path in recordings_in(given)]
    assert found == ["b/one.mkv", "b/two.MP4", "a/notes.txt", "nowhere.mp4"]
    assert recordings_in([]) == []


def test_links_are_followed_once(tree: Path):
    try:
        (tree / "b" / "up").symlink_to(tree, target_is_directory=True)
        (tree / "a" / "link.mp4").symlink_to(tree / "b" / "two.MP4")
        (tree / "a" / "broken.mp4").symlink_to(tree / "gone.mp4")
    except OSError:
        pytest.skip("links are not allowed here")
    found = [path.relative_to(tree).as_posix() for path in recordings_in([tree])]
    assert found == ["a/deep/er/export.dav", "a/link.mp4", "a/raw.h264", "b/one.mkv", "b/two.MP4", "locked.g64x"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_may_not_be_listed_is_named(tree: Path):
    (tree / "b").chmod(0)
    try:
        assert tree / "b" in recordings_in([tree])
    finally:
        (tree / "b").chmod(0o755)
