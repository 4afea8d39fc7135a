"""Settings come from the environment first, then from the state folder, and wrong ones are named."""

import base64
import os
import subprocess
import sys

import pytest
from pydantic import SecretStr

from pregao.settings import SettingError, Settings

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
        settings = Settings(admin_token=SecretStr("hush"), database_dsn=SecretStr("postgresql://u:hush@h/d"))

        assert "hush" not in repr(settings)
        assert "hush" not in str(settings.model_dump())
        assert "hush" in settings.secrets()

    def test_finds_the_embedded_database_where_it_was_started(self, tmp_path):
        settings = Settings(state_dir=tmp_path, database_password=SecretStr("word"))
        with pytest.raises(SettingError, match="DATABASE_NOT_STARTED"):
            _ = settings.database_url

        (tmp_path / "postgres.port").write_text("5433\n")

        assert settings.database_url == "postgresql://pregao:word@127.0.0.1:5433/pregao"

    def test_takes_a_master_key_of_32_bytes_only(self):
        key = bytes(range(32))

        assert Settings(master_key=SecretStr(base64.b64encode(key).decode())).master_key_bytes() == key
        for wrong in ("", "short", base64.b64encode(key[1:]).decode(), "not base64!"):
            with pytest.raises(SettingError, match="MASTER_KEY_UNUSABLE"):
                Settings(master_key=SecretStr(wrong)).master_key_bytes()
