"""Whether somebody else could have written what is at a path."""

import os
from pathlib import Path

import pytest

from ttrace.kernels.trust import is_trusted_file, untrusted

OTHER = 65_534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    for one in (place.parent, place):
        one.chmod(0o755)
    return place


def why(path, owners=()):
    return untrusted(path, {os.geteuid(), *owners})


def test_a_folder_of_ours_is_trusted_and_what_would_be_made_in_it(folder):
    assert why(folder) is None
    assert why(folder / "not" / "yet") is None


@pytest.mark.parametrize("part", [".", ".."])
@pytest.mark.parametrize(("mode", "words"), [(0o777, "everybody"), (0o757, "everybody"), (0o1777, "everybody")])
def test_a_folder_that_everybody_may_write_is_not(folder, part, mode, words):
    (folder / part).chmod(mode)
    passed = mode & 0o1000 and part == ".."
    assert (why(folder) is None) == bool(passed)
    assert passed or words in why(folder)


def test_what_is_to_be_made_in_a_folder_for_all_is_trusted_only_where_it_is_sticky(folder):
    folder.chmod(0o1777)
    assert why(folder / "new") is None
    folder.chmod(0o777)
    assert "everybody" in why(folder / "new")


@needs_root
@pytest.mark.parametrize("part", [".", ".."])
def test_a_folder_of_another_user_is_trusted_for_that_user_alone(folder, part):
    place = Path(os.path.normpath(folder / part))
    os.chown(place, OTHER, OTHER)
    assert why(folder) == f"`{place}` belongs to another user (uid {OTHER})"
    assert why(folder, owners=[OTHER]) is None


@needs_root
def test_a_group_that_may_write_is_trusted_where_it_is_the_owners_own(folder):
    folder.chmod(0o775)
    assert why(folder) is None
    os.chown(folder, 0, OTHER)
    assert why(folder) == f"`{folder}` can be written by a group (gid {OTHER})"


@needs_root
def test_links_are_followed_and_distrusted_where_another_user_made_them(folder):
    target = folder / "target"
    target.mkdir(0o755)
    link = folder.parent / "link"
    link.symlink_to("b/target")
    assert why(link) is None
    os.chown(link, OTHER, OTHER, follow_symlinks=False)
    assert f"`{link}` belongs" in why(link)
    link.unlink()
    link.symlink_to(target)
    target.chmod(0o777)
    assert f"`{target}` can be written" in why(link)
    assert f"`{target}` can be written" in why(link / "deeper")


def test_a_loop_of_links_is_not_trusted(folder):
    (folder / "x").symlink_to("y")
    (folder / "y").symlink_to("x")
    assert "symbolic links" in why(folder / "x" / "z")


def test_only_a_file_is_a_trusted_file(folder):
    file = folder / "file"
    file.touch()
    file.chmod(0o644)
    assert is_trusted_file(file.stat(), {os.geteuid()})
    file.chmod(0o666)
    assert not is_trusted_file(file.stat(), {os.geteuid()})
    assert not is_trusted_file(folder.stat(), {os.geteuid()})
