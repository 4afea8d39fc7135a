"""A sweep on a cluster of two workers is the sweep of this machine, to the last bit."""

import pytest
from distributed import LocalCluster

from pregao.research.backtests.cluster import ClusterError, on_cluster
from pregao.research.backtests.sweep import sweep
from pregao.research.backtests.terms import Terms
from pregao.research.strategies.shipped import get_strategy
from tests.rooms.research.made import walk

RANGES = {
    "ema_cross": {"fast": range(5, 25), "slow": range(30, 80, 2)},
    "rsi_reversal": {"period": range(5, 25), "stop_pct": (1, 2, 3)},
}


@pytest.fixture(scope="module")
def address():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        yield cluster.scheduler_address


@pytest.mark.extra  # its workers load the lab
class TestCluster:
    @pytest.mark.parametrize("name", list(RANGES))
    def test_gives_what_this_machine_gives(self, address, name):
        candles, strategy = walk(20_000, seed=5), get_strategy(name)
        combinations = list(
            strategy.combinations({one: list(map(float, some)) for one, some in RANGES[name].items()})
        )
        here = sweep(candles, strategy, combinations, Terms(fee_bps=5.0))
        told = []

        with on_cluster(address):
            there = sweep(candles, strategy, combinations, Terms(fee_bps=5.0), on_done=told.append)

        assert there.sums.tobytes() == here.sums.tobytes()
        assert sum(told) == len(combinations)
        assert len(told) > 1  # it went in parts

    def test_says_where_nobody_answers(self):
        with pytest.raises(ClusterError, match="DASK_AWAY"), on_cluster("tcp://127.0.0.1:9", seconds=1.0):  # fmt: skip
            pass
