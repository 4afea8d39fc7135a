"""A running process follows the file `env` without being told."""

import base64
import os

import pytest

from pregao.edges.vault.envelope import MasterKeys
from pregao.edges.vault.key_file import KeyFile

OLD, NEW = b"o" * 32, b"n" * 32


def write(folder, *lines: str) -> None:
    """Write the file as the rotation does: another file takes its place."""
    (folder / "draft").write_text("\n".join(lines) + "\n")
    (folder / "draft").replace(folder / "env")


def line(name: str, *keys: bytes) -> str:
    return f"{name}={','.join(base64.b64encode(key).decode() for key in keys)}"


@pytest.fixture
def file(tmp_path):
    write(tmp_path, line("PREGAO_MASTER_KEY", OLD))
    return KeyFile(tmp_path, known=MasterKeys(OLD))


class TestChanged:
    def test_says_nothing_as_long_as_the_keys_are_the_same(self, file, tmp_path):
        assert file.changed() is None
        write(tmp_path, line("PREGAO_MASTER_KEY", OLD), "LOG_LEVEL=DEBUG")

        assert [file.changed(), file.changed()] == [None, None]

    def test_gives_the_keys_once_when_they_are_others(self, file, tmp_path):
        write(tmp_path, line("PREGAO_MASTER_KEY", NEW), line("PREGAO_FORMER_MASTER_KEYS", OLD))

        assert file.changed() == MasterKeys(NEW, former=(OLD,))
        assert file.changed() is None
        write(tmp_path, line("PREGAO_MASTER_KEY", NEW))
        assert file.changed() == MasterKeys(NEW)

    def test_hears_of_a_change_made_while_the_process_started(self, tmp_path):
        write(tmp_path, line("PREGAO_MASTER_KEY", NEW))

        assert KeyFile(tmp_path, known=MasterKeys(OLD)).changed() == MasterKeys(NEW)

    @pytest.mark.parametrize(
        "lines", [(), ("PREGAO_MASTER_KEY=",), ("PREGAO_MASTER_KEY=short",), ("LOG_LEVEL=INFO",), ("\x00",)]
    )
    def test_keeps_the_keys_at_hand_when_the_file_has_none(self, file, tmp_path, lines):
        write(tmp_path, *lines)
        assert file.changed() is None

        write(tmp_path, line("PREGAO_MASTER_KEY", NEW))
        assert file.changed() == MasterKeys(NEW)

    def test_keeps_the_keys_at_hand_when_the_file_is_gone(self, file, tmp_path):
        (tmp_path / "env").unlink()

        assert file.changed() is None

    def test_takes_a_file_of_the_same_size_and_time_for_another(self, file, tmp_path):
        before = (tmp_path / "env").stat()
        assert file.changed() is None

        write(tmp_path, line("PREGAO_MASTER_KEY", NEW))
        os.utime(tmp_path / "env", ns=(before.st_atime_ns, before.st_mtime_ns))

        assert file.changed() == MasterKeys(NEW)
