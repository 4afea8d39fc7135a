"""The file `env` is changed a line at a time, and is whole whatever happens."""

import os

import pytest

from pregao.edges.processes.state import write_settings

BEFORE = (
    "# mine\nSERVER_PORT=9000\nexport PREGAO_MASTER_KEY='old'\n\nLOG_LEVEL=DEBUG\nPREGAO_MASTER_KEY=older\n"
)


@pytest.fixture
def env(tmp_path):
    path = tmp_path / "env"
    path.write_text(BEFORE)
    return path


class TestWriteSettings:
    def test_changes_the_lines_it_is_told_and_no_other(self, env):
        write_settings(env, {"PREGAO_MASTER_KEY": "new=", "PREGAO_FORMER_MASTER_KEYS": "old"})

        assert env.read_text() == (
            "# mine\nSERVER_PORT=9000\nPREGAO_MASTER_KEY=new=\n\nLOG_LEVEL=DEBUG\nPREGAO_FORMER_MASTER_KEYS=old\n"
        )

    def test_takes_out_what_is_none(self, env):
        write_settings(env, {"PREGAO_MASTER_KEY": None, "NEVER_THERE": None})

        assert env.read_text() == "# mine\nSERVER_PORT=9000\n\nLOG_LEVEL=DEBUG\n"

    def test_is_its_owners_alone_whatever_it_was_before(self, env):
        env.chmod(0o644)
        if os.geteuid() == 0:
            os.chown(env, 12345, 12345)

        write_settings(env, {"LOG_LEVEL": "INFO"})

        assert env.stat().st_mode & 0o777 == 0o600
        if os.geteuid() == 0:
            assert (env.stat().st_uid, env.stat().st_gid) == (12345, 12345)

    def test_leaves_no_draft_and_overwrites_one_a_killed_writer_left(self, env):
        (env.parent / ".env.new").write_text("half a secr")

        write_settings(env, {"LOG_LEVEL": "INFO"})

        assert [path.name for path in env.parent.iterdir()] == ["env"]

    def test_writes_through_a_link(self, env, tmp_path_factory):
        link = tmp_path_factory.mktemp("state") / "env"
        link.symlink_to(env)

        write_settings(link, {"LOG_LEVEL": "INFO"})

        assert link.is_symlink()
        assert "LOG_LEVEL=INFO" in env.read_text()

    def test_says_that_there_is_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            write_settings(tmp_path / "env", {"LOG_LEVEL": "INFO"})
