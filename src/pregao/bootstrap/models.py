"""The process that asks models at every close of a candle: it is there only while a model filters a bot's entries."""

import asyncio
import time
from collections.abc import Callable

import asyncpg
import httpx
import structlog

from pregao.bootstrap.process import again_and_again, now_utc
from pregao.domain.clock import Clock
from pregao.edges.exchanges.binance.addresses import LIVE
from pregao.edges.model_files.foretell import Foretelling, Said
from pregao.edges.model_files.store import ModelFolder
from pregao.edges.postgres.predictions import keep_foretold, models_wanted
from pregao.settings import MODELS_FOLDER, Settings

LOOK_SECONDS = 5.0  # between two looks whether a candle has closed

log = structlog.get_logger()


async def serve_models(settings: Settings, *, clock: Clock = now_utc) -> None:
    """Ask and tell the desk, until canceled."""
    folder = ModelFolder(settings.state_dir / MODELS_FOLDER)
    with httpx.Client(base_url=settings.model_candles_url or LIVE.rest) as client:
        foretelling = Foretelling(folder=folder, client=client, sleep=time.sleep, now=clock)

        async def look() -> None:
            await ask_models(foretelling, database_url=settings.database_url, heard=_log)
            await asyncio.sleep(LOOK_SECONDS)

        await again_and_again(look, survives_mistakes=True)


async def ask_models(
    foretelling: Foretelling, *, database_url: str, heard: Callable[[Said], None]
) -> list[Said]:
    """Ask the models that filter entries and whose next candle has closed; keep what they say, and give all that came of it."""
    connection = await asyncpg.connect(database_url, server_settings={"search_path": "pregao"})
    try:
        names = await models_wanted(connection)
        told = await asyncio.to_thread(lambda: list(foretelling.ask(names)))
        for said in told:
            if said.foretold is not None:
                await keep_foretold(connection, said.foretold)
            heard(said)
    finally:
        await connection.close()
    return told


def _log(said: Said) -> None:
    if said.foretold is None:
        log.warning("models.model.silent", model=said.model, trouble=said.trouble)
    else:
        log.info(
            "models.model.said",
            model=said.foretold.model_id,
            symbol=said.foretold.symbol,
            direction=str(said.foretold.direction),
            confidence=str(said.foretold.confidence),
        )
