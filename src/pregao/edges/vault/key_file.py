"""The master keys as the environment and the state folder's file `env` have them, read again when the file changes."""

from pathlib import Path

import structlog

from pregao.edges.vault.envelope import MasterKeys, master_key_name
from pregao.environment import SettingError
from pregao.settings import MasterKeySettings, load_master_keys

log = structlog.get_logger()


def keys_of(settings: MasterKeySettings) -> MasterKeys:
    """
    Give the keys of the settings.

    :raises SettingError: when one cannot be used.
    """
    return MasterKeys(settings.master_key_bytes(), settings.former_master_keys_bytes())


class KeyFile:
    """Follows the file, so that a running process needs no restart when its desk gets a new master key."""

    def __init__(self, state_dir: Path, *, known: MasterKeys) -> None:
        """Begin with ``known``; the file is looked at when it is asked for, for the time of one `stat`."""
        self._state_dir = state_dir
        self._known = known
        self._stamp: tuple[int, int, int] | None = None

    def changed(self) -> MasterKeys | None:
        """
        Give the keys once the file has others than were known; None as long as it has the same.

        A file that is gone or cannot be used changes nothing: the keys at hand are better than none.
        """
        stamp = self._stamp_now()
        if stamp is None or stamp == self._stamp:
            return None
        try:
            keys = keys_of(load_master_keys(self._state_dir))
        except (OSError, SettingError) as error:
            log.warning("vault.keys.unusable", reason=str(error))
            return None
        self._stamp = stamp
        if keys == self._known:
            return None
        self._known = keys
        log.info("vault.keys.changed", present=master_key_name(keys.present), others=len(keys.former))
        return keys

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = (self._state_dir / "env").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
