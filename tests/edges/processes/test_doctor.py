"""The doctor finds what would forget commits, and says what to do."""

import base64
import json
import os
import subprocess
import sys

from pregao.edges.processes.doctor import examine_database, examine_settings
from pregao.environment import Secret
from pregao.settings import Settings
from tests.ports import free_port

GIVEN = {
    "admin_token": Secret("a"),
    "metrics_token": Secret("b"),
    "demo_secret": Secret("c"),
    "database_password": Secret("d"),
    "master_key": Secret(base64.b64encode(bytes(32)).decode()),
}


def wrong(findings) -> list[str]:
    return [finding.subject for finding in findings if not finding.is_fine]


class TestExamineDatabase:
    async def test_finds_each_promise_the_server_breaks(self, database_server):
        """The run's own server forgets on purpose; a given one may keep its promises."""
        findings = await examine_database(database_server)

        assert {finding.subject for finding in findings} >= {"PostgreSQL", "fsync", "full_page_writes"}
        for finding in findings[1:4]:
            assert finding.is_fine == (finding.found == "on")
            assert finding.is_fine != (f"Set {finding.subject} = on" in finding.remedy)

    async def test_finds_a_server_that_does_not_answer(self):
        findings = await examine_database(f"postgresql://nobody@127.0.0.1:{free_port()}/none")

        assert wrong(findings) == ["database"]


class TestExamineSettings:
    def test_is_content_with_a_complete_desk(self, tmp_path):
        assert wrong(examine_settings(Settings(state_dir=tmp_path, **GIVEN))) == []

    def test_names_each_secret_that_is_missing_or_unusable(self, tmp_path):
        settings = Settings(state_dir=tmp_path, master_key=Secret("short"))

        assert wrong(examine_settings(settings)) == [
            "PREGAO_ADMIN_TOKEN",
            "PREGAO_METRICS_TOKEN",
            "PREGAO_DEMO_SECRET",
            "PREGAO_DATABASE_PASSWORD",
            "PREGAO_MASTER_KEY",
        ]

    def test_tells_of_a_rotation_that_is_not_finished(self, tmp_path):
        former = base64.b64encode(b"x" * 32).decode()
        unfinished, unusable = (
            examine_settings(Settings(state_dir=tmp_path, former_master_keys=(Secret(text),), **GIVEN))
            for text in (former, "short")
        )

        (told,) = [finding for finding in unfinished if finding.subject == "PREGAO_FORMER_MASTER_KEYS"]
        assert (told.found, told.is_fine) == ("1 keys", True)
        assert "rotate-master-key" in told.remedy
        assert former not in str(unfinished)
        assert wrong(unusable) == ["PREGAO_FORMER_MASTER_KEYS"]

    def test_sees_secrets_that_others_can_read(self, tmp_path):
        (tmp_path / "env").touch(mode=0o644)
        (tmp_path / "env").chmod(0o644)

        assert wrong(examine_settings(Settings(state_dir=tmp_path, **GIVEN))) == ["secrets file"]


class TestCommand:
    def test_refuses_to_start_without_its_secrets(self, tmp_path):
        done = _pregao("up", state_dir=tmp_path)

        assert done.returncode == 1
        assert "SETTING_UNUSABLE: name=PREGAO_ADMIN_TOKEN." in done.stderr
        assert list(tmp_path.iterdir()) == []

    def test_refuses_to_migrate_a_server_that_forgets(self, tmp_path, database_server):
        done = _pregao("db", "migrate", state_dir=tmp_path, DATABASE_URL=database_server)

        if "TEST_DATABASE_URL" not in os.environ:
            assert done.returncode == 1
            assert "DATABASE_UNSAFE: fsync=off." in done.stderr

    def test_migrates_a_server_that_is_accepted_as_it_is(self, tmp_path, database):
        done = _pregao("db", "migrate", "--forgetful", state_dir=tmp_path, DATABASE_URL=database)

        assert done.returncode == 0, done.stderr

    def test_doctor_speaks_to_machines(self, tmp_path, database):
        done = _pregao("doctor", "--json", state_dir=tmp_path, DATABASE_URL=database)

        assert done.returncode == 1
        assert {"subject": "PREGAO_ADMIN_TOKEN", "found": "missing"}.items() <= json.loads(done.stdout)[
            0
        ].items()

    def test_refuses_an_unknown_role(self, tmp_path):
        assert _pregao("serve", "kitchen", state_dir=tmp_path).returncode == 2

    def test_answers_at_once(self):
        """What the command imports is paid for at every use."""
        code = "import sys, pregao.edges.cli; print(*sys.modules)"
        loaded = subprocess.run(
            [sys.executable, "-c", code], env=_environment(), capture_output=True, text=True, check=False
        )

        heavy = {"pydantic", "sqlalchemy", "asyncpg", "fastapi", "aiohttp", "uvloop", "httpx"}
        assert loaded.returncode == 0
        assert heavy.isdisjoint(loaded.stdout.split())


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.defpath}


def _pregao(*arguments: str, state_dir, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pregao", *arguments],
        env={**_environment(), "PREGAO_STATE_DIR": str(state_dir), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
