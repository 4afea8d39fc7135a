"""Have a sweep's parts tried on a Dask cluster: the same code, and what all parts share is sent to each worker once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from joblib import parallel_config

from pregao.research.backtests.sweep import SharedLines
from pregao.research.candles import COLUMNS, Candles

WAIT_SECONDS: Final = 30.0  # for the scheduler, and for its first worker


class ClusterError(Exception):
    """There is no such cluster, or nothing to reach one with; the text says what to do."""


@contextmanager
def on_cluster(address: str, *, seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """
    Run what is swept meanwhile on the cluster whose scheduler is at ``address``, such as ``tcp://10.0.0.5:8786``.

    :raises ClusterError: when it cannot be reached.
    """
    try:
        from dask.sizeof import sizeof  # noqa: PLC0415  # an extra, loaded only by who asks for it
        from distributed import Client  # noqa: PLC0415
    except ImportError as missing:
        raise ClusterError("DASK_MISSING: Install it with `pip install 'pregao[dask]'`.") from missing
    sizeof.register(Candles, _bytes_of_candles)
    sizeof.register(SharedLines, _bytes_of_lines)
    try:
        client = Client(address, timeout=seconds, set_as_default=False)
        client.wait_for_workers(1, timeout=seconds)
    except (OSError, TimeoutError, ValueError) as away:
        raise ClusterError(
            f"DASK_AWAY: address={address}. No scheduler with a worker answered there."
        ) from away
    with client, client.as_current(), parallel_config(backend="dask"):
        yield


def _bytes_of_candles(candles: Any) -> int:
    return sum(int(getattr(candles, name).nbytes) for name in COLUMNS)


def _bytes_of_lines(lines: Any) -> int:
    return int(lines.rows.nbytes)
