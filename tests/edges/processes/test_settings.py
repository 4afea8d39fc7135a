"""Settings come from the environment first, then from the state folder, and wrong ones are named."""

import base64
import os
import subprocess
import sys

import pytest

from pregao.environment import Secret, SettingError
from pregao.settings import Settings

ASK = "from pregao.settings import load_settings; s = load_settings(); print({expression})"


def ask(expression: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ASK.format(expression=expression)],
        env={"PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


class TestLoadSettings:
    def test_prefers_the_environment_to_the_state_folder(self, tmp_path):
        (tmp_path / "env").write_text("SERVER_PORT=9001\nLOG_LEVEL=debug\nPREGAO_STATE_DIR=/somewhere/else\n")

        done = ask(
            "s.server_port, s.log_level, s.state_dir, s.demo",
            PREGAO_STATE_DIR=str(tmp_path),
            SERVER_PORT="9002",
        )

        assert done.stdout.strip() == f"9002 DEBUG {tmp_path} True"

    def test_names_a_wrong_setting_without_its_value(self, tmp_path):
        done = ask("s", PREGAO_STATE_DIR=str(tmp_path), SERVER_PORT="a-secret-by-mistake")

        assert "SETTING_UNUSABLE: name=SERVER_PORT." in done.stderr
        assert "a-secret-by-mistake" not in done.stderr

    def test_reads_a_list_of_proxies(self, tmp_path):
        done = ask(
            "s.trusted_proxies", PREGAO_STATE_DIR=str(tmp_path), PREGAO_TRUSTED_PROXIES="10.0.0.0/8, ::1"
        )

        assert done.stdout.strip() == "('10.0.0.0/8', '::1')"


class TestSettings:
    def test_shows_no_secret(self):
        settings = Settings(admin_token=Secret("hush"), database_dsn=Secret("postgresql://u:hush@h/d"))

        assert "hush" not in repr(settings)
        assert "hush" not in f"{settings}"
        assert "hush" in settings.secrets()

    def test_finds_the_embedded_database_where_it_was_started(self, tmp_path):
        settings = Settings(state_dir=tmp_path, database_password=Secret("word"))
        with pytest.raises(SettingError, match="DATABASE_NOT_STARTED"):
            _ = settings.database_url

        (tmp_path / "postgres.port").write_text("5433\n")

        assert settings.database_url == "postgresql://pregao:word@127.0.0.1:5433/pregao"

    def test_takes_a_master_key_of_32_bytes_only(self):
        key = bytes(range(32))

        assert Settings(master_key=Secret(base64.b64encode(key).decode())).master_key_bytes() == key
        for wrong in ("", "short", base64.b64encode(key[1:]).decode(), "not base64!", "ç" * 44):
            with pytest.raises(SettingError, match="MASTER_KEY_UNUSABLE"):
                Settings(master_key=Secret(wrong)).master_key_bytes()

    def test_takes_former_master_keys_of_32_bytes_only_and_shows_none(self):
        keys = [bytes(range(32)), b"x" * 32]
        texts = [base64.b64encode(key).decode() for key in keys]

        settings = Settings(former_master_keys=tuple(map(Secret, texts)))

        assert settings.former_master_keys_bytes() == tuple(keys)
        assert set(texts) <= set(settings.secrets())
        assert texts[0] not in repr(settings) + f"{settings}"
        assert Settings(former_master_keys=()).former_master_keys_bytes() == ()
        with pytest.raises(SettingError, match="FORMER_MASTER_KEY_UNUSABLE"):
            Settings(former_master_keys=(Secret(texts[0]), Secret("short"))).former_master_keys_bytes()


class TestLoadMasterKeys:
    ASK = (
        "from pathlib import Path; from pregao.settings import load_master_keys as load; "
        "s = load(Path({folder!r})); "
        "print([k.reveal() for k in (s.master_key, *s.former_master_keys)])"
    )

    def ask(self, tmp_path, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", self.ASK.format(folder=str(tmp_path))],
            env={"PYTHONPATH": os.pathsep.join(sys.path), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def test_lets_the_file_speak_where_the_environment_is_silent(self, tmp_path):
        (tmp_path / "env").write_text(
            "SERVER_PORT=no port\nPREGAO_MASTER_KEY=a\nPREGAO_FORMER_MASTER_KEYS=b,c\n"
        )

        assert self.ask(tmp_path) == "['a', 'b', 'c']"
        assert self.ask(tmp_path, PREGAO_MASTER_KEY="x") == "['x', 'b', 'c']"
        assert self.ask(tmp_path, PREGAO_MASTER_KEY="", PREGAO_FORMER_MASTER_KEYS="y") == "['a', 'y']"
