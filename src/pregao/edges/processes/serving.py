"""How one role is started: told whom it is, with the settings, and without what it does not need."""

import importlib
import sys
from collections.abc import Iterable


def serve(role: str) -> int:
    """Run a role until it ends or is told to; give the exit code, 2 for a role there is not, and say what was wrong."""
    _spare_rich()
    from pregao.edges.processes.roles import ROLES, run_role  # noqa: PLC0415  # structlog comes with it
    from pregao.environment import SettingError  # noqa: PLC0415
    from pregao.rehearsal import RehearsalRefusedError  # noqa: PLC0415
    from pregao.settings import load_settings  # noqa: PLC0415

    if role not in ROLES:
        return _refuse(f"ROLE_UNKNOWN: role={role} known={', '.join(ROLES)}", code=2)
    try:
        return run_role(role, load_settings())
    except (SettingError, RehearsalRefusedError) as refused:
        return _refuse(str(refused), code=1)


def load_roles(roles: Iterable[str]) -> None:
    """Load what the roles need, and run none of them."""
    _spare_rich()
    import uvloop  # noqa: F401, PLC0415

    from pregao.edges.processes.roles import ROLES  # noqa: PLC0415

    for role in roles:
        importlib.import_module(ROLES[role].partition(":")[0])


def _spare_rich() -> None:
    """
    Load structlog without rich, which it takes along where it is installed.

    It wants it for tracebacks on a terminal; a role logs JSON, and has better use for five megabytes.
    """
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # Python's way to say that there is none
        import structlog  # noqa: F401, PLC0415

        del sys.modules["rich"]


def _refuse(text: str, *, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code
