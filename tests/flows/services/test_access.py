"""The password and the folders of the services: made once, whole, and for nobody else to read."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows.services.access import close_folder, make_password, read_password
from storage.errors import InputError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / ".tidemark" / "prefect"
    close_folder(made)
    return made


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_password_is_made_once_and_for_the_user_alone(home: Path) -> None:
    password = make_password(home)
    assert len(password) >= 32
    assert make_password(home) == read_password(home) == password
    assert mode(home / "password") == 0o600
    assert [each.name for each in home.iterdir()] == ["password"]


def test_of_many_who_make_it_at_once_all_agree(home: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: make_password(home), range(64)))
    assert len(set(made)) == 1
    assert [each.name for each in home.iterdir()] == ["password"]


def test_two_folders_have_two_passwords(tmp_path: Path) -> None:
    homes = [tmp_path / "a" / "prefect", tmp_path / "b" / "prefect"]
    for home in homes:
        close_folder(home)
    assert make_password(homes[0]) != make_password(homes[1])


def test_a_password_of_the_users_own_choice_is_kept(home: Path) -> None:
    (home / "password").write_text("correct horse\n")
    assert make_password(home) == "correct horse"


def test_a_missing_or_empty_password_is_told_with_its_file(home: Path) -> None:
    with pytest.raises(InputError, match=r"no password in .*prefect/password: `up` makes one"):
        read_password(home)
    (home / "password").touch()
    with pytest.raises(InputError, match="is empty: delete it"):
        make_password(home)


def test_the_folders_are_closed_and_those_of_an_earlier_version_too(tmp_path: Path) -> None:
    home = tmp_path / ".tidemark" / "prefect"
    home.mkdir(parents=True)
    database, elsewhere = home / "prefect.db", tmp_path / "elsewhere"
    for file in (database, elsewhere):
        file.touch()
        file.chmod(0o644)
    (home / "link").symlink_to(elsewhere)
    for folder in (home.parent, home):
        folder.chmod(0o755)
    close_folder(home)
    assert [mode(each) for each in (home.parent, home, database)] == [0o700, 0o700, 0o600]
    assert (mode(elsewhere), mode(tmp_path) & 0o077) == (0o644, mode(tmp_path) & 0o077)
