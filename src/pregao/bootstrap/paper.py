"""The process that is the paper exchange."""

import asyncio

import structlog

from pregao.edges.paper.serve import PaperServer, PaperSettings
from pregao.edges.processes.roles import paper_socket
from pregao.settings import Settings

log = structlog.get_logger()


async def serve_paper(settings: Settings) -> None:
    """Serve the paper exchange; until canceled."""
    server = PaperServer(
        PaperSettings(
            tape=settings.paper_tape,
            speed=settings.paper_tape_speed,
            align_seconds=settings.paper_tape_align_seconds,
            simulate_seed=settings.paper_seed,
            state_dir=settings.state_dir / "paper",
            log=log.info,
        ),
        bound_socket=paper_socket(settings),
    )
    await server.start()
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()
